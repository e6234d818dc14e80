"""What a request asks for: its query parameters, and the ids and names in its path."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import falcon

from ciserver.dialects.copr.words import FALSE, TRUE, WANTED
from ciserver.edge.bodies import number
from ciserver.model.errors import Complaint, Invalid, NotFound

_LIMIT = 100
_HIGHEST = 2**62  # no id is that high, and a limit can be added to it
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)\s*")
_CHROOT = re.compile(r"[A-Za-z0-9_.+-]+")

Reader: TypeAlias = Callable[[str], Any]
Given: TypeAlias = dict[str, Any]


class Page(NamedTuple):
    limit: int
    offset: int

    def of(self, things: tuple[Any, ...]) -> tuple[Any, ...]:
        return things[self.offset : self.offset + self.limit]


# -- readers of one parameter: each raises ValueError with what the text must be ------------------


def integer(text: str) -> int:
    """A whole number; one that is too high for an id stays too high for one."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        raise ValueError("must be a whole number")
    digits = found[1]
    if len(digits.lstrip("+-0")) > len(str(_HIGHEST)):
        return -_HIGHEST if digits.startswith("-") else _HIGHEST
    return max(-_HIGHEST, min(int(digits), _HIGHEST))


def state(text: str) -> str:
    if text not in WANTED:
        raise ValueError(f"must be one of {', '.join(WANTED)}")
    return text


def truth(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError("must be true, yes, 1, false, no or 0")
    return word in TRUE


def wish(text: str) -> bool:
    """To name it is to want it."""
    return not text or truth(text)


def read(req: falcon.Request, readers: Mapping[str, Reader]) -> Given:
    """The parameters that are given, of those that there are. Raises Invalid naming every fault."""
    given: Given = {}
    faults = []
    for name, reader in readers.items():
        text = req.get_param(name)
        if text is None:
            continue
        try:
            given[name] = reader(text)
        except ValueError as error:
            faults.append(Complaint(name, str(error)))
    if faults:
        names = ", ".join(one.field for one in faults)
        raise Invalid(f"Failed to validate query parameter: {names}", complaints=faults)
    return given


def page(given: Given, most: int = _LIMIT) -> Page:
    """A limit outside of 1 to `most` is the usual one; no list begins before its beginning."""
    limit = given.get("limit", _LIMIT)
    return Page(limit if 0 < limit <= most else _LIMIT, max(0, given.get("offset", 0)))


def any_page(given: Given) -> Page:
    return page(given, _HIGHEST)


# -- the path -------------------------------------------------------------------------------------


def path_id(text: str, what: str) -> int:
    """Raises NotFound for what can be no id."""
    try:
        return number(text)
    except Invalid:
        raise NotFound(f"there is no {what} {text}") from None


def chroot_name(text: str) -> str:
    """Raises Invalid for what can be no name of a chroot."""
    if "-" not in text or not _CHROOT.fullmatch(text):
        fault = "must be letters, digits, '_', '.', '+' and '-', with at least one '-'"
        raise Invalid("the name of the chroot is malformed", complaints=[Complaint("name", fault)])
    return text


@contextmanager
def told_as(message: str, **data: Any) -> Iterator[None]:
    """What is not there, or not for the caller, is not found in these words."""
    try:
        yield
    except NotFound:
        raise NotFound(message, **data) from None
