"""The addresses of what was renamed lead on to what it is called now."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

import falcon

from ciserver.edge.further import IN_A_QUERY
from ciserver.model.errors import NotFound
from ciserver.service.renames import Renames

Refuse: TypeAlias = Callable[[falcon.Request, falcon.Response, Exception, Any], None]

# What the parts of an address are called that name a project and a jobset.
_PROJECT, _JOBSET = "{project}", "{jobset}"
_OF_API = "/ci/v1/projects/{name}"


class Renamed:
    """Registers itself for what is not there: a GET of an old name is answered by 301, to those
    who may see the thing, and all else is refused as it is.
    """

    def __init__(self, renames: Renames, refuse: Refuse) -> None:
        self._renames = renames
        self._refuse = refuse

    def register(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        app.add_error_handler(NotFound, self.not_found)

    def not_found(
        self, req: falcon.Request, resp: falcon.Response, error: Exception, params: Any
    ) -> None:
        place = self._place(req) if req.method == "GET" and req.uri_template else None
        if place is None:
            self._refuse(req, resp, error, params)
        else:
            raise falcon.HTTPMovedPermanently(place)

    def _place(self, req: falcon.Request) -> str | None:
        parts = _named(req.uri_template or "")
        if _PROJECT not in parts:
            return None
        # Where an address may hold more than one segment, that is at its end.
        path = req.path.split("/")
        project, at = path[parts[_PROJECT]], parts.get(_JOBSET)
        now = self._renames.find(req.context.actor, project, path[at] if at else "")
        if now is None:
            return None
        path[parts[_PROJECT]] = now[0]
        if at:
            path[at] = now[1]
        place = quote("/".join(path)).replace("%252F", "%2F")
        query = quote(req.query_string, safe=IN_A_QUERY)
        return f"{place}?{query}" if query else place


def _named(template: str) -> Mapping[str, int]:
    if template.startswith(_OF_API):
        template = template.replace("{name}", _PROJECT, 1)
    return {part: index for index, part in enumerate(template.split("/"))}
