"""What happens around every request: who asks, what browsers may do, and the access log."""

import base64
import binascii
import hmac
import time
from typing import Any

import falcon
import structlog

from ciserver.model.account import ANONYMOUS
from ciserver.model.errors import Forbidden, NotSignedIn
from ciserver.model.ports import Clock
from ciserver.service.access import Access

log = structlog.get_logger()

SESSION_COOKIE = "ciserver_session"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class Authentication:
    """Puts `actor`, `csrf` and `now` into the request's context.

    A token comes by header only (Bearer, token, or Basic as user name or password); a person has a
    session cookie, which is for pages and not for the API: a foreign page could send it there
    without knowing what the forms know. A wrong token is an error, not a stranger; a session that
    has ended is.
    """

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.now = self._clock.now()
        req.context.actor, req.context.csrf, req.context.session = ANONYMOUS, "", ""
        if req.path.startswith("/hooks/"):
            return  # hooks prove themselves by signature, and by nothing else
        token = _token(req.get_header("Authorization") or "")
        if token:
            req.context.actor = self._access.actor_of_token(token)
            return
        session = req.get_cookie_values(SESSION_COOKIE)
        if session and not req.path.startswith("/ci/"):
            self._recognize(req, session[0])

    def _recognize(self, req: falcon.Request, session: str) -> None:
        try:
            person = self._access.signed_in(session)
        except NotSignedIn:
            return
        req.context.actor, req.context.csrf = person.actor, person.csrf
        req.context.session = session


class BrowserRules:
    """Headers that keep browsers safe, and no state-changing request from a foreign page.

    Our own pages are known by the Host of the request or, behind a proxy that changes it, by
    `base_url`.
    """

    def __init__(self, base_url: str) -> None:
        self._host = _host(base_url)

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if req.method in _SAFE or req.path.startswith("/hooks/"):
            return
        origin = req.get_header("Origin")
        if origin is not None and _host(origin) not in {req.netloc, self._host} - {""}:
            raise Forbidden("this request comes from a page of another site")
        if req.get_header("Sec-Fetch-Site") in {"cross-site", "same-site"}:
            raise Forbidden("this request comes from a page of another site")

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_header("Referrer-Policy", "same-origin")
        if resp.get_header("Content-Security-Policy") is None:
            resp.set_header("Content-Security-Policy", _PAGE_POLICY)
        if resp.get_header("Cache-Control") is None:
            resp.set_header("Cache-Control", "no-store")


class HeadAsGet:
    """Whatever answers GET answers HEAD: the same headers, without the body."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.is_head = req.method == "HEAD"
        if req.context.is_head:
            req.method = "GET"

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if req.context.is_head:
            req.method = "HEAD"
            stream: Any = resp.stream
            if stream is not None:
                stream.close()  # nobody reads it, so nobody else would
                resp.stream = None


class AccessLog:
    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.began = time.monotonic()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        took = time.monotonic() - req.context.began
        log.debug(
            "request",
            method=req.method,
            path=shown_path(req),
            status=resp.status_code,
            milliseconds=round(took * 1000, 1),
        )


def check_csrf(req: falcon.Request, given: str) -> None:
    """A form of a signed-in person must carry the token of their session. Raises Forbidden."""
    expected = req.context.csrf
    if req.context.session and not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden("the form is too old", hint="load the page again and repeat")


def shown_path(req: falcon.Request) -> str:
    """The path as logs may have it: a sign-in link is a secret until it was used."""
    return "/welcome/..." if req.path.startswith("/welcome/") else req.path


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _token(authorization: str) -> str:
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() in {"bearer", "token"}:
        return value
    if scheme.lower() != "basic":
        return ""
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password or name
