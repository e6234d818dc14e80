"""Which resource answers an address: what falcon calls a router."""

from typing import Any

import falcon
from falcon.routing import CompiledRouter

_FIELD = "{"


class Addresses(CompiledRouter):
    """falcon compiles all addresses to one function. Of hundreds that takes milliseconds, and
    memory that the process keeps; so those that begin with one word are a part, which is compiled
    when it is first asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self._beginning: dict[str, CompiledRouter] = {}

    @property
    def parts(self) -> tuple[CompiledRouter, ...]:
        """Each knows the addresses of one word; one knows those that begin with a field."""
        return tuple(self._beginning.values())

    def add_route(self, uri_template: str, resource: object, **how: Any) -> None:
        word = _word(uri_template)
        beginning = _FIELD if _FIELD in word else word
        if beginning not in self._beginning:
            self._beginning[beginning] = CompiledRouter()
        self._beginning[beginning].add_route(uri_template, resource, **how)

    def find(self, uri: str, req: falcon.Request | Any = None) -> Any:
        """A word is looked for before a field, as falcon does."""
        parts = map(self._beginning.get, (_word(uri), _FIELD))
        return next(filter(None, (part.find(uri, req) for part in parts if part)), None)


def _word(path: str) -> str:
    """What an address begins with, up to its first slash."""
    return path.lstrip("/").partition("/")[0]
