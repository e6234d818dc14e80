"""Answers: JSON or a page, whichever the client wants, and the words of refusals."""

import json
from typing import Any, NamedTuple

import falcon

from ciserver.dialects.selfserve import paths
from ciserver.dialects.selfserve.words import FIELD, SENTENCE
from ciserver.edge.pages import show_page
from ciserver.edge.proofs import BASIC
from ciserver.edge.refusals import Refusal
from ciserver.model.errors import Complaint, Invalid

_PLAIN = "selfserve/plain.html"
_TITLES = {401: "Please sign in", 403: "You may not do that", 404: "There is nothing here"}


class Shown(NamedTuple):
    """What an address tells: a value for programs, and for people a template with what it needs;
    without one, the value as it is.
    """

    value: Any
    template: str = _PLAIN
    title: str = "self-serve"
    more: dict[str, Any] = {}  # noqa: RUF012  nobody changes it


def is_json_wanted(req: falcon.Request) -> bool:
    """By `format` of the query, else by an Accept that names JSON anywhere. Raises Invalid for an
    unknown format.
    """
    named = _format(req)
    return named == "json" if named else "application/json" in (req.get_header("Accept") or "")


def is_format_json(req: falcon.Request) -> bool:
    """By `format` of the query alone. Raises Invalid for an unknown one."""
    return _format(req) == "json"


def _format(req: falcon.Request) -> str:
    named = req.get_param("format") or ""
    if named not in {"", "json", "html"}:
        raise Invalid("Bad format", hint="json and html are known")
    return named


def show(req: falcon.Request, resp: falcon.Response, shown: Shown, *, as_json: bool) -> None:
    resp.append_header("Vary", "Accept")
    if as_json:
        resp.media = shown.value
    else:
        _show_page(req, resp, shown)


def accept(req: falcon.Request, resp: falcon.Response, request_id: int) -> None:
    """Say that a job request waits; a browser is led to its page."""
    value = {"status": "OK", "msg": "Ok", "request_id": request_id}
    as_json = is_json_wanted(req)
    show(req, resp, Shown(value, title="Accepted"), as_json=as_json)
    resp.status = falcon.HTTP_202
    if not as_json and not _format(req):
        resp.status = falcon.HTTP_302
        resp.location = paths.job(request_id)


def refuse(req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
    if refusal.kind == "conflict":
        resp.status = falcon.HTTP_400
    if refusal.status == 401:
        resp.set_header("WWW-Authenticate", BASIC)
    value = {"status": "FAILED", "msg": _message(refusal)}
    try:
        as_json = is_json_wanted(req)
    except Invalid:  # the format is what was refused
        as_json = True
    title = _TITLES.get(refusal.status, "That cannot be done")
    show(req, resp, Shown(value, title=title), as_json=as_json)


def _message(refusal: Refusal) -> str:
    if refusal.complaints:
        return "; ".join(_fault(one) for one in refusal.complaints)
    message = SENTENCE.get(refusal.code, refusal.message)
    return f"{message} ({refusal.hint})" if refusal.hint else message


def _fault(complaint: Complaint) -> str:
    field = FIELD.get(complaint.field, complaint.field)
    return f"Bad {field}: {complaint.message}" if field else complaint.message


def _show_page(req: falcon.Request, resp: falcon.Response, shown: Shown) -> None:
    show_page(
        resp,
        shown.template,
        title=shown.title,
        text=json.dumps(shown.value, indent=2, ensure_ascii=False),
        as_json=_as_json(req),
        **shown.more,
    )


def _as_json(req: falcon.Request) -> str:
    """The address of the same as JSON; none where nothing can be read again."""
    if req.method != "GET":
        return ""
    kept = [one for one in req.query_string.split("&") if one and not one.startswith("format=")]
    return "?" + "&".join([*kept, "format=json"])
