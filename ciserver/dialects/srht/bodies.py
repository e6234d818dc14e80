"""The body of a request: JSON, or a form of either kind, whose fields have types."""

import io
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import falcon
from falcon.media.multipart import MultipartForm, MultipartFormHandler

from ciserver.edge.bodies import raw_body
from ciserver.model.errors import Complaint

# What fields are, or the elements of those that are lists.
Fields = Mapping[str, type]
_FORM_SWITCH = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_MOST_DEPTH = 100
_MOST_FAULTS = 100  # of the elements of one list
_MOST_DIGITS = 18  # of a number within 63 bits


def read_body(
    req: falcon.Request, fields: Fields, inner: Fields
) -> tuple[dict[str, Any], list[Complaint]]:
    """What the body says, and what is wrong with it as a whole. Whatever is no JSON is read as a
    form, where only known `fields` count. Raises TooLarge.
    """
    media_type, _ = falcon.parse_header(req.content_type or "")
    raw = raw_body(req)
    match media_type.lower():
        case falcon.MEDIA_JSON:
            return _json(raw)
        case falcon.MEDIA_MULTIPART:
            return _form(_parts(raw, req.content_type or ""), fields, inner), []
    text = raw.decode("utf-8", "replace")
    given = falcon.uri.parse_query_string(text, keep_blank=True, csv=False)
    several = {name: [one] if isinstance(one, str) else one for name, one in given.items()}
    return _form(several, fields, inner), []


def type_faults(
    body: Mapping[str, Any], fields: Fields, inner: Fields, *, required: str
) -> Iterator[Complaint]:
    """Every field that is missing or not of its type, in the order of `fields`; of the lists in
    `inner` the first elements that are not of their own.
    """
    if required not in body:
        yield Complaint(required, "is required")
    for name, wanted in fields.items():
        if name not in body:
            continue
        value = body[name]
        if value is None:
            yield Complaint(name, "may not be null")
        elif type(value) is not wanted:
            yield Complaint(name, f"should be a {wanted.__name__}")
        elif name in inner and isinstance(value, list):
            yield from islice(_inner_faults(name, value, inner[name]), _MOST_FAULTS)


def _inner_faults(name: str, values: list[Any], wanted: type) -> Iterator[Complaint]:
    for place, one in enumerate(values):
        if type(one) is not wanted:
            yield Complaint(f"{name}[{place}]", f"should be {_a(wanted)}")


def _a(kind: type) -> str:
    return f"{'an' if kind is int else 'a'} {kind.__name__}"


def _json(raw: bytes) -> tuple[dict[str, Any], list[Complaint]]:
    try:
        body = json.loads(raw, object_pairs_hook=_unique)
        _check_depth(body)
        # A lone surrogate can be written in JSON, but neither kept nor sent.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return {}, [Complaint("", "Invalid JSON provided")]
    if not isinstance(body, dict):
        return {}, [Complaint("", "Expected JSON dictionary")]
    return body, []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values of a name it would be guessed which one is meant."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name comes twice")
    return values


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_MOST_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, list | dict)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _parts(raw: bytes, content_type: str) -> dict[str, list[str]]:
    """The parts of a multipart form; none where it cannot be read."""
    found: dict[str, list[str]] = {}
    try:
        form: MultipartForm = MultipartFormHandler().deserialize(
            io.BytesIO(raw), content_type, len(raw)
        )
        for part in form:
            text = part.get_data().decode("utf-8", "replace")
            found.setdefault(part.name or "", []).append(text)
    except (falcon.HTTPError, ValueError):
        return {}
    return found


def _form(given: Mapping[str, list[str]], fields: Fields, inner: Fields) -> dict[str, Any]:
    """With the types of JSON; a list is a field that comes several times."""
    return {
        name: [_of_form(one, inner.get(name, str)) for one in values]
        if fields[name] is list
        else _of_form(values[-1], fields[name])
        for name, values in given.items()
        if name in fields
    }


def _of_form(text: str, wanted: type) -> Any:
    if wanted is bool:
        return _FORM_SWITCH.get(text.lower(), text)
    is_number = wanted is int and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else text
