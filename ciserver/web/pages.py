"""Pages for people: each reads one view and renders one template."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import falcon

from ciserver.model.errors import Invalid, NotFound
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.service.access import Access
from ciserver.service.declarations import BY_PEOPLE
from ciserver.service.services import Services
from ciserver.web.bodies import form_body, number, number_query
from ciserver.web.failures import page_context
from ciserver.web.log_lines import tail_lines
from ciserver.web.middleware import check_csrf
from ciserver.web.view import View, step_to_show

INLINE_LOG = 128 * 1024


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
        projects = self._queries.list_projects(req.context.actor)
        self._show(req, resp, "home.html", projects=projects)

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        found = self._queries.project(req.context.actor, project)
        self._show(req, resp, "project.html", project=found)

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
            may_change=Access.may(actor, "projects:write"),
            written=written,
            faults=faults,
        )

    def on_get_schedule(self, req: falcon.Request, resp: falcon.Response, schedule_id: str) -> None:
        found = self._services.schedules.show(req.context.actor, number(schedule_id))
        self._show(
            req,
            resp,
            "schedule.html",
            view=found,
            may_change=Access.may(req.context.actor, "projects:write"),
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

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        found = self._queries.evaluation(req.context.actor, number(evaluation_id))
        self._show(req, resp, "evaluation.html", view=found)

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        found = self._queries.build(req.context.actor, number(build_id))
        step = step_to_show(found)
        log = None
        if step is not None:
            log = tail_lines(*self._services.logs.tail(found.build.id, step, INLINE_LOG))
        self._show(req, resp, "build.html", view=found, step=step, log=log)

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        build = self._services.builds.cancel(req.context.actor, number(build_id))
        raise falcon.HTTPSeeOther(self._view.urls.build(build.id))

    def on_post_rerun(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        build = self._services.builds.rerun(req.context.actor, number(build_id))
        raise falcon.HTTPSeeOther(self._view.urls.build(build.id))

    def on_get_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._queries.queue(req.context.actor, before=number_query(req, "before"))
        self._show(req, resp, "queue.html", view=found)

    def on_get_static(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        file = self._view.static(name)
        resp.content_type, resp.data = file.media_type, file.content
        if req.get_param("v") == file.version:
            resp.set_header("Cache-Control", "public, max-age=31536000, immutable")


def no_such_page(req: falcon.Request, resp: falcon.Response, **_: str) -> None:  # noqa: ARG001
    """Whatever no route knows."""
    raise NotFound(f"there is nothing at {req.path}")
