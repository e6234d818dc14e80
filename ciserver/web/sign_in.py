"""Signing in and out in a browser."""

from urllib.parse import unquote

import falcon

from ciserver.edge.bodies import form_body
from ciserver.edge.refusals import STATUS
from ciserver.edge.sessions import drop_session, keep_session
from ciserver.model.errors import CiError, Invalid
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.view import View


class SignIn:
    """`secure` cookies are for a server that people reach by https."""

    def __init__(self, services: Services, view: View, *, secure: bool) -> None:
        self._access = services.access
        self._view = view
        self._secure = secure

    def on_get_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._show_login(req, resp, local_path(req.get_param("next", default="/")))

    def on_post_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        form = form_body(req)
        following = local_path(form.get("next", "/"))
        name = form.get("name") or form.get("username", "")
        try:
            session = self._access.sign_in(name, form.get("password", ""), source=req.remote_addr)
        except CiError as error:
            resp.status = falcon.code_to_http_status(STATUS[error.kind])
            self._show_login(req, resp, following, name, error)
            return
        keep_session(resp, session, secure=self._secure)
        _go(resp, following)

    def on_post_logout(self, req: falcon.Request, resp: falcon.Response) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        if req.context.session:
            self._access.sign_out(req.context.session)
        drop_session(resp)
        _go(resp, "/")

    def on_get_welcome(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        self._show_welcome(req, resp, token)

    def on_post_welcome(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        try:
            session = self._access.use_link(token, form_body(req).get("password", ""))
        except CiError as error:
            if error.kind == "not_found":
                raise
            resp.status = falcon.code_to_http_status(STATUS[error.kind])
            self._show_welcome(req, resp, token, error)
            return
        keep_session(resp, session, secure=self._secure)
        _go(resp, "/")

    def _show_login(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        following: str,
        name: str = "",
        error: CiError | None = None,
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "login.html", page_context(req), next=following, name=name, error=_words(error)
        )

    def _show_welcome(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        token: str,
        error: CiError | None = None,
    ) -> None:
        user = self._access.user_of_link(token)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "welcome.html", page_context(req), user=user.name, error=_words(error)
        )


def local_path(text: str) -> str:
    """A path of this server to go on to; anything else becomes the home page."""
    plain = unquote(unquote(text))
    foreign = not plain.startswith("/") or plain.startswith("//") or "\\" in plain
    return "/" if foreign or any(ord(mark) < 33 or ord(mark) == 127 for mark in plain) else text


def _go(resp: falcon.Response, path: str) -> None:
    resp.status = falcon.HTTP_303
    resp.location = path


def _words(error: CiError | None) -> str:
    if error is None:
        return ""
    faults = [one.message for one in error.complaints] if isinstance(error, Invalid) else []
    return ": ".join(filter(None, (error.message, "; ".join(faults), error.hint)))
