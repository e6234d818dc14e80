"""Signing in and out, with answers for programs."""

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.given import body_of, is_text
from ciserver.dialects.hydra.words import NO_PASSWORD, NO_USER_NAME, WRONG_PASSWORD
from ciserver.edge.sessions import drop_session, keep_session
from ciserver.model.errors import Forbidden, Invalid, NotSignedIn
from ciserver.service.services import Services


class Accounts:
    """`secure` cookies are for a server behind https."""

    def __init__(self, services: Services, *, secure: bool) -> None:
        self._access = services.access
        self._secure = secure

    def on_get_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPMethodNotAllowed(["POST", "OPTIONS"])

    def on_post_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = body_of(req)
        name, password = given.get("username"), given.get("password")
        if not name or not is_text(name):
            raise Invalid(NO_USER_NAME)
        if not password or not is_text(password):
            raise Invalid(NO_PASSWORD)
        try:
            session = self._access.sign_in(name, password, source=req.remote_addr)
        except NotSignedIn:
            raise Forbidden(WRONG_PASSWORD) from None
        keep_session(resp, session, secure=self._secure)
        resp.status, resp.location = falcon.HTTP_302, "/current-user"
        resp.media = show.user(self._access.user(self._access.signed_in(session).actor))

    def on_post_logout(self, req: falcon.Request, resp: falcon.Response) -> None:
        if req.context.session:
            self._access.sign_out(req.context.session)
        drop_session(resp)
        resp.status = falcon.HTTP_204

    def on_get_current(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = show.user(self._access.user(req.context.actor))
