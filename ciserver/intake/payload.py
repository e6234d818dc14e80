"""Strict reading of a payload: JSON without surprises, and fields that remember their faults."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Never

from ciserver.intake.headers import visible
from ciserver.model.errors import Complaint, Invalid

MAX_NESTING = 100
MAX_TEXT = 4096
MAX_SHOWN = 200

_MARK = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_QUOTE = ord('"')
# Lone surrogates can be written in JSON but not stored; a tab is harmless in a push option.
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises Invalid for anything but UTF-8, more than 100 levels, NaN and infinities, duplicate keys
    and values that are not objects.
    """
    if _is_too_deep(body):
        raise malformed([Complaint("body", f"is nested deeper than {MAX_NESTING} levels")])
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise malformed([Complaint("body", "is not UTF-8 text")]) from error
    except ValueError as error:
        raise malformed([Complaint("body", f"is not JSON: {visible(str(error), 200)}")]) from error
    if not isinstance(value, dict):
        raise malformed([Complaint("body", "is not a JSON object")])
    return value


def malformed(complaints: Iterable[Complaint]) -> Invalid:
    """The refusal of a payload that is signed well and cannot be used."""
    return Invalid(
        "the payload of this delivery cannot be used",
        complaints=complaints,
        hint="compare it with what this kind of hook sends; the signature was right",
    )


class Fields:
    """The named fields of one object of a payload.

    A fault does not stop the reading: it is noted with the field's full path, a harmless value is
    returned, and `require_sound` raises all faults together at the end.
    """

    def __init__(
        self, values: Mapping[str, Any], path: str = "", faults: list[Complaint] | None = None
    ) -> None:
        self._values = values
        self._path = path
        self._faults = [] if faults is None else faults

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None or value == "":
            self.complain(name, "is missing")
            return ""
        return self._fit(name, value)

    def optional_text(self, name: str) -> str:
        """A text; absent, null and empty are the same."""
        return self._fit(name, self._values[name]) if name in self else ""

    def texts(self, name: str, *, at_most: int) -> tuple[str, ...]:
        """A list of texts; absent means empty."""
        values = self._list(name, 0, at_most) if name in self else []
        return tuple(self._fit(f"{name}[{index}]", one) for index, one in enumerate(values))

    def part(self, name: str) -> "Fields":
        return self._object(name, self._values.get(name))

    def parts(self, name: str, *, at_most: int) -> list["Fields"]:
        """A list of objects, at least one."""
        values = self._list(name, 1, at_most)
        return [self._object(f"{name}[{index}]", one) for index, one in enumerate(values)]

    def shown(self, path: str) -> str:
        """A text for people, found by its dotted path; never a fault, so unfit means empty."""
        value: Any = self._values
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return visible(value, MAX_SHOWN) if isinstance(value, str) else ""

    def complain(self, name: str, message: str) -> None:
        self._faults.append(Complaint(f"{self._path}{name}", message))

    def require_sound(self) -> None:
        """Raise Invalid with every fault found so far, here and in the parts."""
        if self._faults:
            raise malformed(self._faults)

    def _fit(self, name: str, value: Any) -> str:
        if isinstance(value, str) and len(value) <= MAX_TEXT and not _UNFIT.search(value):
            return value
        self.complain(name, f"must be text of at most {MAX_TEXT} characters, none of them control")
        return ""

    def _list(self, name: str, at_least: int, at_most: int) -> list[Any]:
        value = self._values.get(name)
        if isinstance(value, list) and at_least <= len(value) <= at_most:
            return value
        self.complain(name, f"must be a list of {at_least} to {at_most} entries")
        return []

    def _object(self, name: str, value: Any) -> "Fields":
        if isinstance(value, dict):
            return Fields(value, f"{self._path}{name}.", self._faults)
        self.complain(name, "must be an object")
        return Fields({}, faults=[])  # one complaint is enough, not one for each field inside


def _is_too_deep(body: bytes) -> bool:
    """Looked at before parsing, so that hostile nesting never reaches the parser's recursion."""
    if body.count(b"[") + body.count(b"{") <= MAX_NESTING:
        return False
    depth, in_text = 0, False
    for mark in _MARK.finditer(body):
        letter = body[mark.start()]
        if letter == _QUOTE:
            in_text = not in_text
        elif not in_text:
            depth += _STEP.get(letter, 0)
            if depth > MAX_NESTING:
                return True
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object has the same key twice")
    return values


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
