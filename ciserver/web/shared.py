"""Addresses that are pages to people and something else to programs that ask for it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

import falcon
from falcon.routing import map_http_methods

from ciserver.edge.dialect import Route, SharedDialect

Responder: TypeAlias = Callable[..., None]


class Twin:
    """One address with a page, or with what the shared dialect has there, or with both: then the
    request says which it wants. A responder that only one of them has is everybody's.
    """

    def __init__(
        self,
        page: Mapping[str, Responder],
        program: Mapping[str, Responder],
        dialect: SharedDialect,
    ) -> None:
        self._page = page
        self._program = program
        self._dialect = dialect
        for method in page.keys() | program.keys():
            setattr(self, f"on_{method.lower()}", self._responder(method))

    def is_page(self, req: falcon.Request) -> bool:
        """Whether the page answers, so that a form must carry the token of its session."""
        if req.method in self._page and req.method in self._program:
            return not self._dialect.speaks(req)
        return req.method in self._page

    def _responder(self, method: str) -> Responder:
        def respond(req: falcon.Request, resp: falcon.Response, **named: str) -> None:
            resp.append_header("Vary", "Accept")
            if self.is_page(req):
                self._page[method](req, resp, **named)
            else:
                req.context.dialect = self._dialect
                self._program[method](req, resp, **named)

        return respond


def add_shared_routes(
    app: "falcon.App[Any, Any]", pages: Iterable[Route], dialect: SharedDialect
) -> None:
    """Mount the pages together with what the dialect has at their addresses, and at others."""
    page, program = _by_path(pages), _by_path(dialect.shared)
    for path in page | program:
        app.add_route(path, Twin(page.get(path, {}), program.get(path, {}), dialect))


def _by_path(routes: Iterable[Route]) -> dict[str, Mapping[str, Responder]]:
    return {
        path: cast("Mapping[str, Responder]", map_http_methods(resource, suffix=suffix))
        for path, resource, suffix in routes
    }
