"""Pages for people: each reads one view and renders one template."""

from typing import Any, NoReturn

import falcon

from ciserver.edge.bodies import form_body, number, number_query
from ciserver.model.account import Actor, Right
from ciserver.model.errors import NotFound
from ciserver.model.view import ProjectSummary
from ciserver.service.declarations import BY_PEOPLE
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.requests import requests_from
from ciserver.web.view import View

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
        self._show(
            req,
            resp,
            "home.html",
            projects=shown,
            starred=self._services.jobs.starred(actor),
            may_make=self._services.rights.may_make_projects(actor),
        )

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

    def on_get_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._queries.queue(req.context.actor, before=number_query(req, "before"))
        self._show(
            req,
            resp,
            "queue.html",
            view=found,
            paused=self._services.pauses.list_all(req.context.actor),
            may_pause=self._services.pauses.may_pause(req.context.actor),
            broker=self._services.status.broker(),
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
