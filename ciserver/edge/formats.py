"""Whether a client of an address that has a page wants the page or JSON."""

import re

import falcon

_JSON = {"application/json", "text/x-json"}
_HTML = {"text/html"}
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def wants_json(req: falcon.Request) -> bool:
    """Chosen by the request's own Content-Type, also of a GET, then by `?content-type=` of a GET,
    then by Accept with its qualities. Only types by their full names count, and HTML is the answer
    to whoever names none.
    """
    named = [req.content_type]
    if req.method == "GET":
        named.append(req.get_param("content-type"))
    for name in named:
        media_type, _ = falcon.parse_header(name or "")
        if media_type.lower() in _JSON | _HTML:
            return media_type.lower() in _JSON
    return _accepted(req.get_header("Accept") or "") in _JSON


def _accepted(header: str) -> str:
    """The known type of the highest quality; of equal ones the first, "" for none."""
    best, chosen = 0.0, ""
    for one in header.split(","):
        name, parameters = falcon.parse_header(one)
        quality = parameters.get("q", "1")
        weight = float(quality) if _QUALITY.fullmatch(quality) else 0.0
        if name.lower() in _JSON | _HTML and weight > best:
            best, chosen = weight, name.lower()
    return chosen
