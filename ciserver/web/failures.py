"""Refusals become answers: the kind picks the status, the door picks the body."""

import secrets
from dataclasses import replace
from typing import Any

import falcon
import structlog

from ciserver import __version__
from ciserver.model.account import ANONYMOUS
from ciserver.model.errors import CiError, Invalid, Kind, RemoteFailure
from ciserver.web.middleware import shown_path
from ciserver.web.view import PageContext, View

log = structlog.get_logger()

STATUS: dict[Kind, int] = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "busy": 503,
    "internal": 500,
}
TITLES = {
    400: "That cannot be done as asked",
    401: "Please sign in",
    403: "You may not do that",
    404: "There is nothing here",
    405: "That cannot be done here",
    409: "Not in this state",
    413: "Too large",
    416: "Nothing in that range",
    500: "Something broke inside the server",
    503: "Busy right now",
}
_MACHINE_PATHS = ("/ci/", "/hooks/", "/healthz", "/readyz", "/version")


class Failures:
    """Registers itself as the application's error handlers."""

    def __init__(self, view: View) -> None:
        self._view = view

    def register(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        app.add_error_handler(Exception, self.crashed)
        app.add_error_handler(falcon.HTTPError, self.refused_by_framework)
        app.add_error_handler(CiError, self.refused)

    def refused(self, req: falcon.Request, resp: falcon.Response, error: CiError, _: Any) -> None:
        status = 502 if isinstance(error, RemoteFailure) else STATUS[error.kind]
        if status == 503:
            resp.set_header("Retry-After", "2")
        if status == 401:
            resp.set_header("WWW-Authenticate", "Bearer")
        complaints = error.complaints if isinstance(error, Invalid) else ()
        body = {"code": error.code, "message": error.message, "hint": error.hint or ""}
        if complaints:
            body["complaints"] = [  # type: ignore[assignment]
                {"field": one.field, "message": one.message} for one in complaints
            ]
        self._answer(req, resp, status, body, "; ".join(map(str, complaints)))

    def refused_by_framework(
        self, req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _: Any
    ) -> None:
        status = falcon.http_status_to_code(error.status)
        for name, value in dict(error.headers or {}).items():
            resp.set_header(name, value)
        message = error.description or error.title or TITLES.get(status, "refused")
        body = {"code": f"http-{status}", "message": message, "hint": ""}
        self._answer(req, resp, status, body)

    def crashed(self, req: falcon.Request, resp: falcon.Response, error: Exception, _: Any) -> None:
        incident = secrets.token_hex(4)
        log.error("request-crashed", incident=incident, path=shown_path(req), exc_info=error)
        message = f"the server failed; its log has the details under incident {incident}"
        body = {"code": "internal", "message": message, "hint": ""}
        self._answer(req, resp, 500, body, incident=incident)

    def _answer(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        status: int,
        body: dict[str, str],
        details: str = "",
        incident: str = "",
    ) -> None:
        resp.status = falcon.code_to_http_status(status)
        if req.path.startswith(_MACHINE_PATHS) or not wants_page(req):
            resp.media = {"error": body}
            return
        message = f"{body['message']}: {details}" if details else body["message"]
        page = page_context(req)
        if req.method != "GET":
            page = replace(
                page, path="/"
            )  # whoever signs in now cannot come back to a form's target
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "error.html",
            page,
            status=status,
            title=TITLES.get(status, "Refused"),
            message=message,
            hint=body["hint"],
            incident=incident,
        )


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
