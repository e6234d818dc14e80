"""The cookie by which a browser, or a program that keeps cookies, has a session."""

import hmac

import falcon

from ciserver.model.errors import Forbidden
from ciserver.service.access import SESSION_LIFE

SESSION_COOKIE = "ciserver_session"


def keep_session(resp: falcon.Response, session: str, *, secure: bool) -> None:
    """`secure` is for a server that is reached by https."""
    resp.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        secure=secure,
        http_only=True,
        same_site="Lax",
    )


def drop_session(resp: falcon.Response) -> None:
    resp.unset_cookie(SESSION_COOKIE, path="/")


def check_csrf(req: falcon.Request, given: str) -> None:
    """A form of a signed-in person must carry the token of their session. Raises Forbidden."""
    expected = req.context.csrf
    if req.context.session and not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden("the form is too old", hint="load the page again and repeat")
