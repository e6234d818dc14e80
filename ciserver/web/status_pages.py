"""Pages about the whole server: the search, the queue in numbers, what runs, the workers."""

from collections.abc import Iterator
from typing import Any, NoReturn

import falcon

from ciserver.edge.bodies import form_body, number_query
from ciserver.edge.dialect import Route
from ciserver.model.errors import Invalid
from ciserver.model.overview import Found
from ciserver.service.search import USUAL
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.systems import workers_for
from ciserver.web.view import View


class StatusPages:
    def __init__(self, services: Services, view: View) -> None:
        self._status = services.status
        self._search = services.search
        self._systems = services.systems
        self._view = view

    def routes(self) -> Iterator[Route]:
        yield Route("/search", self, "search")
        yield Route("/queue-summary", self, "queue_summary")
        yield Route("/status", self, "status")
        yield Route("/steps", self, "steps")
        yield Route("/machines", self, "machines")

    def _show(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(template, page_context(req), **values)

    def on_get_search(self, req: falcon.Request, resp: falcon.Response) -> None:
        """What is found; a query that cannot be used comes back with what is wrong."""
        query, fault, found = req.get_param("query", default=""), "", Found()
        limit = number_query(req, "limit") or USUAL
        try:
            found = self._search.find(req.context.actor, query, limit=limit)
        except Invalid as error:
            resp.status, fault = falcon.HTTP_400, error.message
        self._show(req, resp, "search.html", query=query, fault=fault, found=found)

    def on_get_queue_summary(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._status.queue_summary(req.context.actor)
        self._show(req, resp, "queue_summary.html", summary=found)

    def on_get_status(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._show(req, resp, "status.html", steps=self._status.running_steps(req.context.actor))

    def on_get_steps(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._show(req, resp, "steps.html", steps=self._status.latest_steps(req.context.actor))

    def on_get_machines(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor = req.context.actor
        machines = self._status.machines(actor)
        self._show(
            req,
            resp,
            "machines.html",
            machines=machines,
            broker=self._status.broker(),
            steps=self._status.running_steps(actor),
            systems=[(one, workers_for(one, machines)) for one in self._systems.list_all()],
            may_change=self._systems.may_change(actor),
        )

    def on_post_machines(self, req: falcon.Request, resp: falcon.Response) -> NoReturn:
        """Begin nothing more for a system, or go on."""
        form = form_body(req)
        check_csrf(req, form.get("csrf", ""))
        active = form.get("active") == "1"
        self._systems.change(req.context.actor, form.get("system", ""), active=active)
        raise falcon.HTTPSeeOther(self._view.urls.machines)
