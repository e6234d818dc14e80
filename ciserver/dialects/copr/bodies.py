"""The bodies of requests: JSON objects, and how their faults are told."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import falcon

from ciserver.edge import bodies
from ciserver.model.errors import Complaint, Invalid

_MOST_REPEATED = 1000
_UNUSABLE = re.compile(r"[\0\ud800-\udfff]")

Given = dict[str, Any]


class Kind(NamedTuple):
    """What a value must be, and in which words that is said."""

    is_right: Callable[[Any], bool]
    wanted: str


def given_in(req: falcon.Request) -> Given:
    """The body as an object. Raises Invalid, TooLarge."""
    return read_object(bodies.raw_body(req) or b"{}", "the body")


def read_object(text: bytes, what: str) -> Given:
    """A JSON object without its nulls, which are as good as nothing. Raises Invalid, repeating the
    beginning of what was sent.
    """
    try:
        value = bodies.read_object(text, what)
    except Invalid as error:
        error.details["request_string"] = text[:_MOST_REPEATED].decode("utf-8", "replace")
        raise
    return {name: one for name, one in value.items() if one is not None}


def faults_of(given: Given, kinds: Mapping[str, Kind]) -> list[Complaint]:
    """What is wrong of what is given; unknown keys are left alone, as Copr does."""
    return [
        Complaint(name, f"must be {kind.wanted}")
        for name, kind in kinds.items()
        if name in given and not kind.is_right(given[name])
    ]


def refused(faults: Iterable[Complaint]) -> Invalid:
    found = list(faults)
    names = ", ".join(one.field for one in found)
    return Invalid(f"Failed to validate: {names}", complaints=found)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and not _UNUSABLE.search(value)


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_truth(value: Any) -> bool:
    return isinstance(value, bool)
