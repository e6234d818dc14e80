"""Which resource answers an address: what falcon calls a router."""

from collections.abc import Callable, Iterable
from typing import Any

import falcon
from falcon.routing import CompiledRouter

from ciserver.edge.dialect import Route

_FIELD = "{"


class Addresses(CompiledRouter):
    """falcon looks through the methods of each resource, and compiles all addresses to one
    function. Of hundreds that takes long, and memory that the process keeps; so those that begin
    with one word are a part, which is made when it is first asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self._added: dict[str, list[tuple[str, object, dict[str, Any]]]] = {}
        self._later: dict[str, Callable[[], Iterable[Route]]] = {}
        self._made: dict[str, CompiledRouter] = {}

    @property
    def parts(self) -> tuple[CompiledRouter, ...]:
        """Each knows the addresses of one word; one knows those that begin with a field."""
        return tuple(map(self._part, self._added))

    def add_route(self, uri_template: str, resource: object, **how: Any) -> None:
        word = _word(uri_template)
        beginning = _FIELD if _FIELD in word else word
        self._added.setdefault(beginning, []).append((uri_template, resource, how))
        self._made.pop(beginning, None)

    def add_later(self, word: str, routes: Callable[[], Iterable[Route]]) -> None:
        """More addresses that begin with this word, which are made when it is first asked for."""
        self._added.setdefault(word, [])
        self._later[word] = routes

    def find(self, uri: str, req: falcon.Request | Any = None) -> Any:
        """A word is looked for before a field, as falcon does."""
        known = (one for one in (_word(uri), _FIELD) if one in self._added)
        return next(filter(None, (self._part(one).find(uri, req) for one in known)), None)

    def _part(self, beginning: str) -> CompiledRouter:
        part = self._made.get(beginning)
        if part is None:
            part = CompiledRouter()
            for uri_template, resource, how in self._added[beginning]:
                part.add_route(uri_template, resource, **how)
            for route in self._later.get(beginning, tuple)():
                part.add_route(route.path, route.resource, suffix=route.suffix)
            # Of two requests that are the first at once, one makes it in vain.
            part = self._made.setdefault(beginning, part)
        return part


def _word(path: str) -> str:
    """What an address begins with, up to its first slash."""
    return path.lstrip("/").partition("/")[0]
