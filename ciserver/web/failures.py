"""Refusals become answers: the door that was asked picks the body."""

from dataclasses import replace
from typing import Any

import falcon
import structlog

from ciserver import __version__
from ciserver.edge.dialect import Dialects
from ciserver.edge.pages import take_page
from ciserver.edge.paths import is_for_programs
from ciserver.edge.proofs import BASIC, BEARER
from ciserver.edge.refusals import Refusal, refusal_of
from ciserver.model.account import ANONYMOUS
from ciserver.web.middleware import shown_path
from ciserver.web.view import PageContext, View

log = structlog.get_logger()

TITLES = {
    400: "That cannot be done as asked",
    401: "Please sign in",
    403: "You may not do that",
    404: "There is nothing here",
    405: "That cannot be done here",
    409: "Not in this state",
    410: "This is not kept",
    413: "Too large",
    416: "Nothing in that range",
    500: "Something broke inside the server",
    503: "Busy right now",
}


class Failures:
    """Registers itself as the application's error handler. A dialect words the refusals at its own
    addresses, and so it does for unknown ones beneath them; elsewhere programs get JSON, and
    people a page.
    """

    def __init__(self, view: View, dialects: Dialects) -> None:
        self._view = view
        self._dialects = dialects

    def register(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        app.add_error_handler(Exception, self.refused)
        app.add_error_handler(falcon.HTTPError, self.refused)  # instead of the framework's own

    def refused(self, req: falcon.Request, resp: falcon.Response, error: Exception, _: Any) -> None:
        refusal = refusal_of(error)
        if refusal.incident:
            log.error(
                "request-crashed",
                incident=refusal.incident,
                path=shown_path(req),
                exc_info=refusal.error,
            )
        resp.status = falcon.code_to_http_status(refusal.status)
        resp.content_type = falcon.MEDIA_JSON  # the responder may have meant to send something else
        resp.set_headers(refusal.headers)
        dialect = self._dialects.of(req)
        if refusal.status == 401:
            # For our own pages a browser would ask for Basic in a window of its own.
            challenge = f"{BEARER}, {BASIC}" if dialect else BEARER
            resp.set_header("WWW-Authenticate", challenge)
        if dialect:
            dialect.refuse(req, resp, refusal)
            render_chosen(self._view, req, resp)
        elif is_for_programs(req.path) or not wants_page(req):
            resp.media = {"error": _body(refusal)}
        else:
            self._show(req, resp, refusal)

    def _show(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        page = page_context(req)
        if req.method != "GET":
            # Whoever signs in now cannot come back to a form's target.
            page = replace(page, path="/")
        faults = "; ".join(map(str, refusal.complaints))
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "error.html",
            page,
            status=refusal.status,
            title=TITLES.get(refusal.status, "Refused"),
            message=f"{refusal.message}: {faults}" if faults else refusal.message,
            hint=refusal.hint,
            incident=refusal.incident,
        )


def _body(refusal: Refusal) -> dict[str, Any]:
    body = {"code": refusal.code, "message": refusal.message, "hint": refusal.hint}
    if not refusal.complaints:
        return body
    complaints = [{"field": one.field, "message": one.message} for one in refusal.complaints]
    return {**body, "complaints": complaints}


def render_chosen(view: View, req: falcon.Request, resp: falcon.Response) -> None:
    """Render the page that a dialect has chosen, if it has chosen one."""
    page = take_page(resp)
    if page is not None:
        resp.text = view.render(page.template, page_context(req), **page.values)


def wants_page(req: falcon.Request) -> bool:
    """A person's browser asks for HTML by name; scripts do not."""
    return "text/html" in (req.get_header("Accept") or "")


def page_context(req: falcon.Request, notice: str = "") -> PageContext:
    return PageContext(
        actor=getattr(req.context, "actor", ANONYMOUS),
        csrf=getattr(req.context, "csrf", ""),
        now=req.context.now,
        path=req.relative_uri,
        version=__version__,
        notice=notice,
    )
