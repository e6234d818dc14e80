"""Answers: JSON or a page, whichever the client wants, and the words of refusals."""

import html
import json
from collections.abc import Iterable
from typing import Any

import falcon

from ciserver.dialects.selfserve.words import FIELD, SENTENCE
from ciserver.edge.proofs import BASIC
from ciserver.edge.refusals import Refusal
from ciserver.model.errors import Complaint, Invalid

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def is_json_wanted(req: falcon.Request) -> bool:
    """By `format` of the query, else by an Accept that names JSON anywhere. Raises Invalid for an
    unknown format.
    """
    named = req.get_param("format")
    if not named:
        return "application/json" in (req.get_header("Accept") or "")
    if named not in {"json", "html"}:
        raise Invalid("Bad format", hint="json and html are known")
    return named == "json"


def show(req: falcon.Request, resp: falcon.Response, value: Any) -> None:
    if is_json_wanted(req):
        resp.media = value
    else:
        _show_page(resp, f"<pre>{_escaped(value)}</pre>")


def show_calls(resp: falcon.Response, calls: Iterable[tuple[str, str, str]]) -> None:
    """A page of what can be asked: method, path, meaning."""
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in call) + "</tr>"
        for call in calls
    )
    head = "<tr><th>Method</th><th>Path</th><th>Meaning</th></tr>"
    _show_page(resp, f"<table>\n{head}\n{rows}\n</table>")


def accept(req: falcon.Request, resp: falcon.Response, request_id: int) -> None:
    """Say that a job request waits; a browser is led to its page."""
    show(req, resp, {"status": "OK", "msg": "Ok", "request_id": request_id})
    resp.status = falcon.HTTP_202
    if not is_json_wanted(req) and not req.get_param("format"):
        resp.status = falcon.HTTP_302
        resp.location = f"/self-serve/jobs/{request_id}"


def refuse(req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
    if refusal.kind == "conflict":
        resp.status = falcon.HTTP_400
    if refusal.status == 401:
        resp.set_header("WWW-Authenticate", BASIC)
    value = {"status": "FAILED", "msg": _message(refusal)}
    try:
        show(req, resp, value)
    except Invalid:  # the format is what was refused
        resp.media = value


def _message(refusal: Refusal) -> str:
    if refusal.complaints:
        return "; ".join(_fault(one) for one in refusal.complaints)
    message = SENTENCE.get(refusal.code, refusal.message)
    return f"{message} ({refusal.hint})" if refusal.hint else message


def _fault(complaint: Complaint) -> str:
    field = FIELD.get(complaint.field, complaint.field)
    return f"Bad {field}: {complaint.message}" if field else complaint.message


def _escaped(value: Any) -> str:
    return html.escape(json.dumps(value, indent=2, ensure_ascii=False))


def _show_page(resp: falcon.Response, body: str) -> None:
    resp.content_type = falcon.MEDIA_HTML
    resp.text = _PAGE.format(title="self-serve", body=body)
