"""Logs and products: the page of a log, what follows it live, and the raw files."""

from collections.abc import Callable, Iterator
from typing import IO, NoReturn, cast

import falcon

from ciserver.edge.bodies import has_left, number, number_query
from ciserver.edge.dialect import Route
from ciserver.edge.files import Span, Stretch, as_download, first_byte, serve_file
from ciserver.edge.formats import wants_json
from ciserver.edge.paths import with_slashes
from ciserver.model.build import Step
from ciserver.model.errors import Invalid, NotFound
from ciserver.service.build_logs import BuildLogs, WholeLog
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.log_lines import more_lines, tail_lines
from ciserver.web.view import View

WHOLE_LOG = 5 * 1024 * 1024
WAIT_LIMIT = 20
TAIL_LINES = 50
_MODES = ("raw", "tail")
_BUILD = "/build/{build_id}"
_STEP = f"{_BUILD}/step/{{step}}"


class LogPages:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._logs = services.build_logs
        self._view = view

    def routes(self) -> Iterator[Route]:
        yield Route(_STEP, self, "log")
        yield Route(f"{_STEP}/lines", self, "lines")
        yield Route(f"{_STEP}/log", self, "log")
        yield Route(f"{_STEP}/log/{{mode}}", self, "step_mode")
        yield Route(f"{_BUILD}/log", self, "of_build")
        yield Route(f"{_BUILD}/log/{{name}}", self, "raw")
        yield Route(f"{_BUILD}/nixlog/{{step}}", self, "moved")
        yield Route(f"{_BUILD}/nixlog/{{step}}/{{mode}}", self, "moved")
        yield Route("/log/{name}", self, "text")
        yield Route(f"{_BUILD}/product/{{product_id}}/{{name}}", self, "product")

    def _step(self, req: falcon.Request, build_id: str, step: int | str) -> Step:
        return self._services.queries.step(
            req.context.actor, number(build_id), step, number_query(req, "attempt")
        )

    # -- pages ------------------------------------------------------------------------------------

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

    def on_get_of_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """The logs of all steps, one behind the other."""
        log = self._logs.of_build(req.context.actor, number(build_id))
        raw = self._view.urls.text_log(BuildLogs.name_of(log.build.id))
        self._show(req, resp, log, raw, max(0, log.size - WHOLE_LOG))

    def _show_tail(
        self, req: falcon.Request, resp: falcon.Response, log: WholeLog, raw: str
    ) -> None:
        self._show(req, resp, log, raw, self._logs.last_lines(log, TAIL_LINES), TAIL_LINES)

    def _show(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        log: WholeLog,
        raw: str,
        start: int,
        lines: int = 0,
    ) -> None:
        """The page of a log from `start` on, or of its last `lines`."""
        end = self._logs.end(log, max(start, log.size - WHOLE_LOG))
        shown = more_lines(end.chunk, end.line, "") if lines else tail_lines(end.chunk, end.line)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "build_log.html", page_context(req), log=log, shown=shown, raw=raw, lines=lines
        )

    # -- as text ----------------------------------------------------------------------------------

    def on_get_raw(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, name: str
    ) -> None:
        """The log of a step as text, or where none is called so, that of the build in a mode."""
        try:
            found = self._step(req, build_id, with_slashes(name))
        except NotFound:
            if name not in _MODES and not wants_json(req):
                raise
            log = self._logs.of_build(req.context.actor, number(build_id))
            text = self._view.urls.text_log(BuildLogs.name_of(log.build.id))
            self._in_mode(req, resp, name, log, text)
            return
        self._serve(req, resp, lambda: self._logs.of_step(req.context.actor, found))

    def on_get_step_mode(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, step: str, mode: str
    ) -> None:
        found = self._step(req, build_id, number(step, "step"))
        log = self._logs.of_step(req.context.actor, found)
        self._in_mode(req, resp, mode, log, self._view.urls.raw_log(found))

    def _in_mode(
        self, req: falcon.Request, resp: falcon.Response, mode: str, log: WholeLog, text: str
    ) -> None:
        if mode == "raw":
            raise falcon.HTTPFound(text)
        if mode != "tail":
            raise Invalid("Unknown log display mode", hint=f"the modes are {', '.join(_MODES)}")
        self._show_tail(req, resp, log, text)

    def on_get_moved(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, step: str, mode: str = ""
    ) -> NoReturn:
        found = self._step(req, build_id, number(step, "step"))
        rest = (with_slashes(mode),) if mode else ()
        raise falcon.HTTPMovedPermanently(self._view.urls.step_log(found, *rest))

    def on_get_text(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The log of a build or a derivation."""
        actor, wanted = req.context.actor, with_slashes(name)
        log = self._logs.find(actor, wanted)
        if not log.steps:
            raise NotFound(f"build {log.build.id} has no log yet")
        self._serve(req, resp, lambda: self._logs.find(actor, wanted))

    def _serve(
        self, req: falcon.Request, resp: falcon.Response, look: Callable[[], WholeLog]
    ) -> None:
        """The bytes of a log, whole, by Range, or its last lines with `tail`. With `wait` a range
        that begins at the end of an unfinished log answers when there is more.
        """
        log, first = look(), first_byte(req)
        wait, tail = min(number_query(req, "wait") or 0, WAIT_LIMIT), number_query(req, "tail")
        if wait and first is not None and tail is None:
            self._logs.wait(log, first, wait, has_left(req))
            log = look()
        start = 0 if tail is None else self._logs.last_lines(log, tail)
        resp.content_type = "text/plain; charset=utf-8"
        span = Span(start, log.size - start)
        file = cast("IO[bytes]", Stretch(self._logs.open(log), span))
        serve_file(req, resp, file, span.length)

    def on_get_product(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, product_id: str, name: str
    ) -> None:
        product = self._services.queries.product(
            req.context.actor, number(build_id), number(product_id, "product")
        )
        file = self._services.queries.open_product(product)
        as_download(resp, product.name)
        serve_file(req, resp, file, product.size, etag=product.sha256)
