"""Reads what a request brings: bounded, strictly parsed, with every fault named."""

import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import NoneType
from typing import Any, NoReturn

import falcon

from ciserver.model.errors import Complaint, Invalid, TooLarge

HOOK_LIMIT = 25 * 1024 * 1024
LIMIT = 1024 * 1024
_WORDS = {
    str: "text",
    list: "a list of texts",
    dict: "an object of texts",
    bool: "true or false",
    int: "a whole number",
    tuple: "a list of whole numbers",
    NoneType: "true or false",
}
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def raw_body(req: falcon.Request, limit: int = LIMIT) -> bytes:
    """The whole body. Raises TooLarge before reading one that is over the limit."""
    if (req.content_length or 0) > limit:
        raise _too_large(limit)
    body: bytes = req.bounded_stream.read(limit + 1)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def json_body(req: falcon.Request, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body as an object with these fields and no others; `fields` gives each its default,
    whose type is the type the value must have (a class: the field is required). A list holds text,
    a tuple stands for a list of numbers, None for a boolean that may be left out, a member of an
    enumeration for one of its words, a mapping for a list of objects with such fields.
    Raises Invalid naming every fault.
    """
    return _valid(*_read(json_object(req), fields))


def json_changes(req: falcon.Request, kinds: Mapping[str, type]) -> dict[str, Any]:
    """What the body gives of these fields, each of its type, and of no others.
    Raises Invalid naming every fault.
    """
    body = json_object(req)
    values, complaints = _read({**dict.fromkeys(kinds), **body}, kinds)
    given = {name: value for name, value in values.items() if name in body}
    return _valid(given, [one for one in complaints if one.field in body])


def _valid(values: dict[str, Any], complaints: list[Complaint]) -> dict[str, Any]:
    if complaints:
        raise Invalid("the request cannot be used", complaints=complaints)
    return values


def _read(
    body: Mapping[str, Any], fields: Mapping[str, Any], place: str = ""
) -> tuple[dict[str, Any], list[Complaint]]:
    complaints = [
        Complaint(place + name, f"unknown field; known are {', '.join(fields)}")
        for name in body.keys() - fields.keys()
    ]
    values = {}
    for name, default in fields.items():
        if isinstance(default, Mapping):
            values[name], faults = _read_each(body.get(name, []), default, place + name)
        else:
            values[name], faults = _read_one(body, name, default, place)
        complaints += faults
    return values, complaints


def _read_one(
    body: Mapping[str, Any], name: str, default: Any, place: str
) -> tuple[Any, list[Complaint]]:
    required = isinstance(default, type)
    wanted = default if required else type(default)
    value = body.get(name, None if required else default)
    if not _is_a(wanted, value):
        return value, [Complaint(place + name, f"must be {_words(wanted)}")]
    return wanted(value) if issubclass(wanted, StrEnum) else value, []


def _words(wanted: type) -> str:
    return f"one of {', '.join(wanted)}" if issubclass(wanted, StrEnum) else _WORDS[wanted]


def _read_each(
    value: Any, fields: Mapping[str, Any], place: str
) -> tuple[list[dict[str, Any]], list[Complaint]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return [], [Complaint(place, "must be a list of objects")]
    read = [_read(one, fields, f"{place}[{index}].") for index, one in enumerate(value)]
    return [values for values, _ in read], [one for _, faults in read for one in faults]


def json_object(req: falcon.Request) -> dict[str, Any]:
    """The body as an object with whatever it has; no body is an empty one. Raises Invalid."""
    return read_object(raw_body(req) or b"{}")


def read_object(text: bytes, what: str = "the body") -> dict[str, Any]:
    """An object in JSON, in which no key is twice and every number is one. Raises Invalid."""
    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Invalid(f"{what} must be a JSON object")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object has the same key twice")
    return values


def _is_a(wanted: type, value: Any) -> bool:
    if wanted is str:
        # A lone surrogate can be written in JSON, but neither stored nor sent.
        return isinstance(value, str) and not _SURROGATE.search(value)
    if wanted is list:
        return isinstance(value, list) and all(_is_a(str, one) for one in value)
    if wanted in (dict, tuple):
        return _are_all(wanted, value)
    if wanted is NoneType:
        return value is None or isinstance(value, bool)
    if issubclass(wanted, StrEnum):
        return isinstance(value, str) and value in set(wanted)
    return type(value) is wanted  # to Python true is a number


def _are_all(wanted: type, value: Any) -> bool:
    """An object of texts, or a list of numbers."""
    if wanted is dict:
        return isinstance(value, dict) and _is_a(list, [*value, *value.values()])
    return isinstance(value, list | tuple) and all(_is_a(int, one) for one in value)


def form_body(req: falcon.Request) -> dict[str, str]:
    """The fields of a posted form; the last one of a name counts."""
    text = raw_body(req).decode("utf-8", "replace")
    fields = falcon.uri.parse_query_string(text, keep_blank=True, csv=False)
    return {name: one if isinstance(one, str) else one[-1] for name, one in fields.items()}


def number(text: str, name: str = "id") -> int:
    """A whole number from a path or query, within 63 bits. Raises Invalid."""
    if text.isascii() and text.isdigit() and int(text[:20]) < 2**63 and len(text) < 20:
        return int(text)
    raise Invalid("the address cannot be used", complaints=[Complaint(name, "must be a number")])


def number_query(req: falcon.Request, name: str) -> int | None:
    text = req.get_param(name)
    return number(text, name) if text else None


def has_left(req: falcon.Request) -> Callable[[], bool]:
    """Tells whether the client has hung up meanwhile, where the HTTP server can tell."""
    found: Callable[[], bool] = req.env.get("waitress.client_disconnected", bool)
    return found


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over {limit // (1024 * 1024)} MiB")
