"""Puts addresses right before anything looks at them."""

from urllib.parse import quote, unquote, urlsplit

import falcon

from ciserver.edge.paths import is_under

_MAY_END_IN_JSON = "/api/v1"
_WITHOUT_SLASH_AT_THE_END = "/self-serve"
_SUFFIX = ".json"


class Front:
    """A slash that a client has encoded does not part segments: it stays `%2F` in the path.
    Beneath two prefixes that old clients write in two ways, one way is left.
    """

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        _keep_encoded_slashes(req)
        if is_under(req.path, _MAY_END_IN_JSON):
            _drop_suffix(req)
        elif is_under(req.path, _WITHOUT_SLASH_AT_THE_END) and req.path.endswith("/"):
            raise falcon.HTTPMovedPermanently(_without_slash(req))


def _keep_encoded_slashes(req: falcon.Request) -> None:
    """Servers decode the whole path; most pass on what was sent, under one of two names."""
    sent = req.env.get("REQUEST_URI") or req.env.get("RAW_URI") or ""
    if "%2f" not in sent.lower():
        return
    segments = urlsplit(sent).path.split("/")
    path = "/".join(unquote(one).replace("/", "%2F") for one in segments)
    if path.replace("%2F", "/") == req.path.replace("%2F", "/"):  # else it tells another path
        req.path = path


def _drop_suffix(req: falcon.Request) -> None:
    name = req.path.rpartition("/")[2]
    if name.endswith(_SUFFIX) and name != _SUFFIX:
        req.path = req.path.removesuffix(_SUFFIX)


def _without_slash(req: falcon.Request) -> str:
    path = quote(req.path.rstrip("/")).replace("%252F", "%2F")
    return f"{path}?{req.query_string}" if req.query_string else path
