"""Logs and products: the page of a log, what follows it live, and the raw files."""

import io

import falcon

from ciserver.edge.bodies import has_left, number, number_query
from ciserver.edge.files import as_download, first_byte, serve_file
from ciserver.model.build import Step
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.log_lines import more_lines, tail_lines
from ciserver.web.view import View

WHOLE_LOG = 5 * 1024 * 1024
WAIT_LIMIT = 20


class LogPages:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._view = view

    def _step(self, req: falcon.Request, build_id: str, step: int | str) -> Step:
        return self._services.queries.step(
            req.context.actor, number(build_id), step, number_query(req, "attempt")
        )

    def on_get_log(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, step: str
    ) -> None:
        found = self._step(req, build_id, number(step, "step"))
        view = self._services.queries.build(req.context.actor, found.build_id)
        log = tail_lines(*self._services.logs.tail(found.build_id, found, WHOLE_LOG))
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "log.html", page_context(req), build=view.build, step=found, log=log
        )

    def on_get_lines(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, step: str
    ) -> None:
        """What follows `offset`, as lines; with `wait` (seconds) it answers when there is some."""
        found = self._step(req, build_id, number(step, "step"))
        chunk = self._services.logs.read(
            found.build_id,
            found.attempt,
            found.number,
            offset=number_query(req, "offset") or 0,
            wait_seconds=min(number_query(req, "wait") or 0, WAIT_LIMIT),
            has_left=has_left(req),
        )
        line = number_query(req, "line") or 1
        resp.media = more_lines(chunk, line, req.get_param("state", default="")).to_json()

    def on_get_raw(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, name: str
    ) -> None:
        """The bytes of a log as text, whole or by Range. With `wait` a range that begins at the
        end of an unfinished log answers when there is more.
        """
        found = self._step(req, build_id, name)
        wait, first = min(number_query(req, "wait") or 0, WAIT_LIMIT), first_byte(req)
        if wait and first is not None:
            self._services.logs.read(
                found.build_id,
                found.attempt,
                found.number,
                offset=first,
                wait_seconds=wait,
                has_left=has_left(req),
            )
        resp.content_type = "text/plain; charset=utf-8"
        file = self._services.logs.open(found.build_id, found) or io.BytesIO()
        serve_file(req, resp, file, file.seek(0, io.SEEK_END))

    def on_get_product(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, product_id: str, name: str
    ) -> None:
        product = self._services.queries.product(
            req.context.actor, number(build_id), number(product_id, "product")
        )
        file = self._services.queries.open_product(product)
        as_download(resp, product.name)
        serve_file(req, resp, file, product.size, etag=product.sha256)
