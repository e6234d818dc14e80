"""Pages for people: each reads one view and renders one template."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import falcon

from ciserver.edge.bodies import form_body, number, number_query
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.view import ProjectSummary
from ciserver.service.declarations import BY_PEOPLE
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.log_lines import tail_lines
from ciserver.web.middleware import check_csrf
from ciserver.web.requests import requests_from
from ciserver.web.view import View, step_to_show

INLINE_LOG = 128 * 1024
REQUESTS = 100


class Pages:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._queries = services.queries
        self._view = view

    def _show(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(template, page_context(req), **values)

    def on_get_home(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor = req.context.actor
        shown = [one for one in self._queries.list_projects(actor) if _is_of_interest(one, actor)]
        self._show(req, resp, "home.html", projects=shown)

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        actor = req.context.actor
        found = self._queries.project(actor, project)
        may_change = self._services.rights.may_in(actor, Right.EDIT, project)
        members = self._services.projects.members(actor, project) if may_change else None
        self._show(req, resp, "project.html", project=found, members=members)

    def on_get_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._show_jobset(req, resp, project, jobset)

    def on_post_schedules(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Add a schedule to the jobset; a refused one comes back with what is wrong."""
        form = form_body(req)
        check_csrf(req, form.get("csrf", ""))
        timing = Timing(cron=form.get("cron", ""), zone=form.get("zone", ""))
        try:
            kind = ScheduleKind(form.get("kind", ""))
            made = self._services.schedules.add(
                req.context.actor, project, jobset, kind, timing, declared_by="page"
            )
        except (Invalid, ValueError) as error:
            faults = error.complaints if isinstance(error, Invalid) else ("unknown kind",)
            resp.status = falcon.HTTP_400
            self._show_jobset(req, resp, project, jobset, form, tuple(map(str, faults)))
            return
        raise falcon.HTTPSeeOther(self._view.urls.schedule(made.id))

    def _show_jobset(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str,
        jobset: str,
        written: Mapping[str, str] = MappingProxyType({}),
        faults: tuple[str, ...] = (),
    ) -> None:
        actor = req.context.actor
        found = self._queries.jobset(actor, project, jobset, before=number_query(req, "before"))
        self._show(
            req,
            resp,
            "jobset.html",
            view=found,
            schedules=self._services.schedules.list_of_jobset(actor, found.jobset),
            may_change=self._services.rights.may_in(actor, Right.EDIT, project),
            written=written,
            faults=faults,
        )

    def on_post_pause_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._pause_jobset(req, project, jobset, paused=True)

    def on_post_resume_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._pause_jobset(req, project, jobset, paused=False)

    def _pause_jobset(
        self, req: falcon.Request, project: str, name: str, *, paused: bool
    ) -> NoReturn:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._services.pauses.pause_jobset(req.context.actor, project, name, paused=paused)
        raise falcon.HTTPSeeOther(self._view.urls.jobset(project, name))

    def on_get_schedule(self, req: falcon.Request, resp: falcon.Response, schedule_id: str) -> None:
        found = self._services.schedules.show(req.context.actor, number(schedule_id))
        self._show(
            req,
            resp,
            "schedule.html",
            view=found,
            may_change=self._services.rights.may_in(
                req.context.actor, Right.EDIT, found.schedule.project
            ),
            by_people=found.schedule.declared_by in BY_PEOPLE,
        )

    def on_post_change_schedule(
        self, req: falcon.Request, resp: falcon.Response, schedule_id: str, change: str
    ) -> None:
        """Fire, pause, resume or remove."""
        check_csrf(req, form_body(req).get("csrf", ""))
        actor, one = req.context.actor, number(schedule_id)
        schedules, urls = self._services.schedules, self._view.urls
        if change == "fire":
            raise falcon.HTTPSeeOther(urls.evaluation(schedules.fire(actor, one)))
        if change in {"pause", "resume"}:
            schedules.pause(actor, one, paused=change == "pause")
            raise falcon.HTTPSeeOther(urls.schedule(one))
        if change != "remove":
            raise NotFound(f"a schedule cannot be asked to {change}")
        jobset = schedules.show(actor, one).schedule
        schedules.remove(actor, one)
        raise falcon.HTTPSeeOther(urls.jobset(jobset.project, jobset.jobset))

    def on_get_evaluations(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """The page of the jobset shows them."""
        raise falcon.HTTPFound(self._view.urls.jobset(project, jobset))

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        found = self._queries.evaluation(req.context.actor, number(evaluation_id))
        self._show(req, resp, "evaluation.html", view=found)

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        actor = req.context.actor
        found = self._queries.build(actor, number(build_id))
        step = step_to_show(found)
        log = None
        if step is not None:
            log = tail_lines(*self._services.logs.tail(found.build.id, step, INLINE_LOG))
        rights = self._services.rights
        self._show(
            req,
            resp,
            "build.html",
            view=found,
            step=step,
            log=log,
            may_ask=rights.may(actor, Right.EVALUATE, found.build),
            may_bump=rights.may(actor, Right.BUMP, found.build),
        )

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see_build(self._services.builds.cancel(req.context.actor, number(build_id)).id)

    def on_post_rerun(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see_build(self._services.builds.rerun(req.context.actor, number(build_id)).id)

    def on_post_start(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see_build(self._services.builds.start(req.context.actor, number(build_id)).id)

    def on_post_rebuild(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """A new build of the same."""
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see_build(*self._services.builds.rebuild(req.context.actor, number(build_id)))

    def on_post_bump(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """To the front of the queue."""
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see_build(self._services.builds.bump(req.context.actor, number(build_id)).id)

    def _see_build(self, build_id: int) -> NoReturn:
        raise falcon.HTTPSeeOther(self._view.urls.build(build_id))

    def on_get_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._queries.queue(req.context.actor, before=number_query(req, "before"))
        self._show(
            req,
            resp,
            "queue.html",
            view=found,
            paused=self._services.pauses.list_all(req.context.actor),
            may_pause=self._services.pauses.may_pause(req.context.actor),
        )

    def on_post_pause_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._pause_queue(req, paused=True)

    def on_post_resume_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The whole queue, or the worker that the form names."""
        self._pause_queue(req, paused=False)

    def _pause_queue(self, req: falcon.Request, *, paused: bool) -> NoReturn:
        form = form_body(req)
        check_csrf(req, form.get("csrf", ""))
        worker = form.get("worker", "")
        self._services.pauses.pause(req.context.actor, worker=worker, paused=paused)
        raise falcon.HTTPSeeOther(self._view.urls.queue)

    def on_get_requests(self, req: falcon.Request, resp: falcon.Response) -> None:
        offset = number_query(req, "offset") or 0
        found, following = requests_from(self._services, req.context.actor, offset, REQUESTS)
        self._show(req, resp, "requests.html", requests=found, next=following, offset=offset)

    def on_get_static(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        file = self._view.static(name)
        resp.content_type, resp.data = file.media_type, file.content
        if req.get_param("v") == file.version:
            resp.set_header("Cache-Control", "public, max-age=31536000, immutable")


def _is_of_interest(summary: ProjectSummary, actor: Actor) -> bool:
    """Whether the overview has it: neither what is hidden nor what other people submit."""
    project = summary.project
    return not project.settings.hidden and (not project.is_implicit or project.owner == actor.name)


def no_such_page(req: falcon.Request, resp: falcon.Response, **_: str) -> None:  # noqa: ARG001
    """Whatever no route knows."""
    raise NotFound(f"there is nothing at {req.path}")
