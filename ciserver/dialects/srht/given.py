"""What a request brings: a submission as JSON or as a form, ids, and where a page begins."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import falcon

from ciserver.dialects.srht.words import VISIBILITY
from ciserver.edge.bodies import number, raw_body
from ciserver.model.account import Visibility
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.service.submissions import ManifestSubmission

EVERYBODY = "*"
_FIELDS: dict[str, type] = {
    "manifest": str,
    "note": str,
    "tags": list,
    "access:read": list,
    "access:write": list,
    "triggers": list,
    "execute": bool,
    "secrets": bool,
    "visibility": str,
}
_LISTS_OF_TEXT = {"tags", "access:read", "access:write"}
_FORM_SWITCH = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_HIGHEST_ID = 2**63 - 1


def submission(req: falcon.Request) -> ManifestSubmission:
    """The job that the body describes. Raises Invalid with every fault, TooLarge."""
    media_type, _ = falcon.parse_header(req.content_type or "")
    complaints: list[Complaint] = []
    if media_type.lower() == falcon.MEDIA_JSON:
        body = _json(raw_body(req), complaints)
    else:
        body = _form(raw_body(req))
    complaints += _faults(body)
    if complaints:
        raise Invalid("the job cannot be submitted", complaints=complaints)
    readers = body.get("access:read", [EVERYBODY])
    return ManifestSubmission(
        manifest=body["manifest"],
        note=body.get("note", ""),
        tags=tuple(body.get("tags", ())),
        visibility=_visibility(body, is_open=EVERYBODY in readers),
        readers=_names(name for name in readers if name != EVERYBODY),
        writers=_names(body.get("access:write", [])),
        triggers=tuple(body.get("triggers", ())),
        execute=body.get("execute", True),
    )


def job_id(text: str) -> int:
    """Raises NotFound for what is no id."""
    try:
        return number(text)
    except Invalid:
        raise NotFound(f"there is no job {text}") from None


def start(req: falcon.Request) -> int | None:
    """The id that a page begins with; None for the first page. Raises Invalid."""
    text = req.get_param("start", default="")
    if text in {"", "-1"}:
        return None
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        complaint = Complaint("start", "should be an int")
        raise Invalid("the page cannot be shown", complaints=[complaint])
    if len(text) > len(str(_HIGHEST_ID)):
        return -1 if text.startswith("-") else _HIGHEST_ID
    return min(int(text), _HIGHEST_ID)


def _json(raw: bytes, complaints: list[Complaint]) -> dict[str, Any]:
    try:
        body = json.loads(raw)
        # A lone surrogate can be written in JSON, but neither kept nor sent.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        complaints.append(Complaint("", "Invalid JSON provided"))
        return {}
    if not isinstance(body, dict):
        complaints.append(Complaint("", "Expected JSON dictionary"))
        return {}
    return body


def _form(raw: bytes) -> dict[str, Any]:
    """A form's fields with the types of JSON; a list is a field that comes several times."""
    text = raw.decode("utf-8", "replace")
    fields = falcon.uri.parse_query_string(text, keep_blank=True, csv=False)
    return {
        name: _of_form([given] if isinstance(given, str) else given, _FIELDS[name])
        for name, given in fields.items()
        if name in _FIELDS
    }


def _of_form(given: list[str], wanted: type) -> Any:
    if wanted is list:
        return given
    text = given[-1]
    return _FORM_SWITCH.get(text.lower(), text) if wanted is bool else text


def _faults(body: dict[str, Any]) -> Iterator[Complaint]:
    if "manifest" not in body:
        yield Complaint("manifest", "is required")
    for name, wanted in _FIELDS.items():
        if name in body:
            yield from _faults_of(name, body[name], wanted)


def _faults_of(name: str, value: Any, wanted: type) -> Iterator[Complaint]:
    fits = isinstance(value, wanted)
    if value is None:
        yield Complaint(name, "may not be null")
    elif not fits:
        yield Complaint(name, f"should be a {wanted.__name__}")
    elif name in _LISTS_OF_TEXT:
        for place, one in enumerate(value):
            if not isinstance(one, str):
                yield Complaint(f"{name}[{place}]", "should be a str")
    elif name == "visibility" and value.upper() not in VISIBILITY:
        yield Complaint(name, f"should be one of {', '.join(VISIBILITY)}")


def _names(given: Iterable[str]) -> tuple[str, ...]:
    """People may be named as ~ada or as ada."""
    return tuple(name.removeprefix("~") for name in given)


def _visibility(body: dict[str, Any], *, is_open: bool) -> Visibility:
    """Of two answers the one that shows it to fewer."""
    return VISIBILITY[body.get("visibility", "PUBLIC").upper()] if is_open else Visibility.PRIVATE
