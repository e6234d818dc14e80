"""Pages of other sites, as far as a dialect lets them ask: cross-origin resource sharing."""

import falcon

from ciserver.edge.dialect import Dialects
from ciserver.model.errors import Forbidden
from ciserver.web.middleware import host_of, is_ours

_METHODS = "GET, HEAD, POST, PUT, DELETE"
_HEADERS = "Accept, Authorization, Content-Type"
_SECONDS = "600"


class OtherSites:
    """Welcomes the sites that a dialect names, and lets their pages read what they asked for. At
    such a dialect the page of any other site is refused where its browser sends a session along.
    """

    def __init__(self, base_url: str, dialects: Dialects) -> None:
        self._host = host_of(base_url)
        self._dialects = dialects

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.is_welcome = False
        origin = req.get_header("Origin")
        if origin is None:
            return
        dialect = self._dialects.open_to(req)
        if dialect is None:
            return
        if origin in dialect.origins:
            req.context.is_welcome = True
            if req.method == "OPTIONS" and req.get_header("Access-Control-Request-Method"):
                _answer_question(resp)
        elif req.context.session and not is_ours(req, origin, self._host):
            raise Forbidden("this request comes from a page of another site")

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if self._dialects.open_to(req) is None:
            return
        resp.append_header("Vary", "Origin")
        if getattr(req.context, "is_welcome", False):
            resp.set_header("Access-Control-Allow-Origin", req.get_header("Origin") or "")
            resp.set_header("Access-Control-Allow-Credentials", "true")


def _answer_question(resp: falcon.Response) -> None:
    """What a browser asks before it sends a request for another site."""
    resp.status = falcon.HTTP_204
    resp.set_header("Access-Control-Allow-Methods", _METHODS)
    resp.set_header("Access-Control-Allow-Headers", _HEADERS)
    resp.set_header("Access-Control-Max-Age", _SECONDS)
    resp.complete = True
