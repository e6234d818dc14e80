"""Pages for people: each reads one view and renders one template."""

from typing import Any

import falcon

from ciserver.model.errors import NotFound
from ciserver.service.services import Services
from ciserver.web.bodies import form_body, number, number_query
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.view import View, step_to_show, tail_lines

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
        found = self._queries.jobset(
            req.context.actor, project, jobset, before=number_query(req, "before")
        )
        self._show(req, resp, "jobset.html", view=found)

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
