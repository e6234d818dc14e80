"""What happens around every request: who asks, what browsers may do, and the access log."""

import logging
import time
from typing import Any

import falcon
import structlog

from ciserver.edge import sessions
from ciserver.edge.dialect import Dialects
from ciserver.edge.paths import is_under
from ciserver.edge.proofs import FrontEndProof, PasswordProof, Proof, TokenProof, usual_proof
from ciserver.edge.sessions import SESSION_COOKIE
from ciserver.model.account import ANONYMOUS, Actor
from ciserver.model.errors import Forbidden, NotSignedIn
from ciserver.model.ports import Clock
from ciserver.service.access import Access
from ciserver.web.shared import Twin

log = structlog.get_logger()
check_csrf = sessions.check_csrf

_SAFE = {"GET", "HEAD", "OPTIONS"}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class Authentication:
    """Puts `actor`, `csrf`, `session` and `now` into the request's context.

    A program proves itself as the dialect of the address has it, elsewhere by the Authorization
    header; a person has a session cookie, which is not for our own API: a foreign page could send
    it there without knowing what the forms know. A wrong proof is an error, not a stranger; a
    session that has ended is.
    """

    def __init__(self, access: Access, clock: Clock, dialects: Dialects) -> None:
        self._access = access
        self._clock = clock
        self._dialects = dialects

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.now = self._clock.now()
        req.context.actor, req.context.csrf, req.context.session = ANONYMOUS, "", ""
        if is_under(req.path, "/hooks") or is_under(req.path, "/worker"):
            return  # hooks prove themselves by signature, workers by tokens that are no account's
        dialect = self._dialects.of(req)
        proof = dialect.proof(req) if dialect else usual_proof(req)
        if proof is not None:
            req.context.actor = self._actor(proof, req.remote_addr)
            return
        session = req.get_cookie_values(SESSION_COOKIE)
        if session and not is_under(req.path, "/ci"):
            self._recognize(req, session[0])

    def _actor(self, proof: Proof, source: str) -> Actor:
        match proof:
            case TokenProof(text):
                return self._access.actor_of_token(text)
            case PasswordProof(name, password):
                return self._access.actor_of_password(name, password, source=source)
            case FrontEndProof(name):
                return self._access.actor_of_front_end(name)

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
    `base_url`. Their forms carry the token of the session. What is no form, in a dialect or by
    another method than POST, has no such token, so with a session it must name the page that asks.
    """

    def __init__(self, base_url: str, dialects: Dialects) -> None:
        self._host = host_of(base_url)
        self._dialects = dialects

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if req.method in _SAFE or is_under(req.path, "/hooks") or req.context.is_welcome:
            return
        origin = req.get_header("Origin")
        if origin is not None and not self._is_ours(req, origin):
            raise Forbidden("this request comes from a page of another site")
        if req.get_header("Sec-Fetch-Site") in {"cross-site", "same-site"}:
            raise Forbidden("this request comes from a page of another site")

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        if req.method in _SAFE or not req.context.session or self._is_form(req, resource):
            return
        if req.get_header("Origin") is None:
            self._check_referer(req)

    def _is_form(self, req: falcon.Request, resource: object) -> bool:
        if isinstance(resource, Twin):
            return req.method == "POST" and resource.is_page(req)
        return req.method == "POST" and self._dialects.of(req) is None

    def _check_referer(self, req: falcon.Request) -> None:
        referer = req.get_header("Referer")
        if referer is None:
            raise Forbidden(
                "with a session, a request that changes something must name its page",
                hint="send the header Origin or Referer, or use an API token",
            )
        if not self._is_ours(req, referer):
            raise Forbidden("this request comes from a page of another site")

    def _is_ours(self, req: falcon.Request, url: str) -> bool:
        return is_ours(req, url, self._host)

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
        if not log.is_enabled_for(logging.DEBUG):
            return
        took = time.monotonic() - req.context.began
        log.debug(
            "request",
            method=req.method,
            path=shown_path(req),
            status=resp.status_code,
            milliseconds=round(took * 1000, 1),
        )


def shown_path(req: falcon.Request) -> str:
    """The path as logs may have it: a sign-in link is a secret until it was used."""
    return "/welcome/..." if req.path.startswith("/welcome/") else req.path


def is_ours(req: falcon.Request, url: str, own_host: str) -> bool:
    """Whether a page at this address is one of ours, by the Host of the request or our own."""
    return host_of(url) in {req.netloc, own_host} - {""}


def host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
