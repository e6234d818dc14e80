"""What stands beside product build lists and clients of ABF ask for: read, and nothing else.

A platform is our project once more: what has products, and whose rights they have.
"""

from typing import Any

import falcon

from ciserver.dialects.abf import show
from ciserver.dialects.abf.answers import answer, link_pages
from ciserver.dialects.abf.asked import id_in_path, slice_asked
from ciserver.model.account import Actor
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.links import Links
from ciserver.model.project import Project
from ciserver.service.search import MOST
from ciserver.service.services import Services

_MAIN = "main"  # the only type of a platform that there is


class Neighbours:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    # -- projects ---------------------------------------------------------------------------------

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        project = self._services.lists.project(req.context.actor, id_in_path(number))
        self._show_project(req, resp, project)

    def on_get_project_of_name(self, req: falcon.Request, resp: falcon.Response) -> None:
        """By the parameters `name` and `owner`, of which the second may be left out."""
        name, owner = (req.get_param(one) or "" for one in ("name", "owner"))
        project = self._services.queries.project(req.context.actor, name).project
        if owner not in {"", project.owner}:
            raise NotFound(f"{owner} has no project {name}")
        self._show_project(req, resp, project)

    def _show_project(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        actor = req.context.actor
        jobsets = self._services.queries.project(actor, project.name).jobsets
        sources = (one.jobset.source for one in jobsets)
        source = next((one for one in sources if one is not None), None)
        owner = self._services.access.profile(actor, project.owner)
        answer(req, resp, show.project(project, source, owner))

    def on_get_refs(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        project_id = id_in_path(number)
        refs = self._services.known_refs.of_project(req.context.actor, project_id)
        answer(req, resp, show.refs(project_id, refs))

    # -- platforms --------------------------------------------------------------------------------

    def on_get_platforms(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of them; with a `type`, of those that are of it."""
        asked = slice_asked(req)
        found: tuple[Project, ...] = ()
        if (req.get_param("type") or _MAIN) == _MAIN:
            found = self._services.lists.projects(req.context.actor)
        first = (asked.page - 1) * asked.size
        page = found[first : first + asked.size]
        url = f"{Links(self._base_url or req.prefix).base}{req.path}.json"
        last = max(1, -(-len(found) // asked.size))
        link_pages(resp, url, asked, more=first + len(page) < len(found), last=last)
        answer(req, resp, show.platforms(page))

    def on_get_platform(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        actor = req.context.actor
        project = self._services.lists.project(actor, id_in_path(number))
        owner = self._services.access.profile(actor, project.owner)
        answer(req, resp, show.platform(project, owner))

    # -- what else --------------------------------------------------------------------------------

    def on_get_arches(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer(req, resp, show.arches(self._services.lists.systems(active_only=True)))

    def on_get_search(self, req: falcon.Request, resp: falcon.Response) -> None:
        """By the parameters `query` and `type`, which may be `all`; a page is as in lists."""
        asked, query = slice_asked(req), req.get_param("query") or ""
        found = self._found(req.context.actor, query)
        first = (asked.page - 1) * asked.size
        page = found[first : first + asked.size]
        shown: dict[str, list[dict[str, Any]]] = {
            "projects": show.projects_found(page),
            "platforms": show.platforms_found(page),
            "users": [],
            "groups": [],
        }
        wanted = req.get_param("type") or "all"
        answer(
            req, resp, show.found({kind: shown[kind] for kind in shown if wanted in {"all", kind}})
        )

    def _found(self, actor: Actor, query: str) -> tuple[Project, ...]:
        """Nothing, where there is nothing to look for."""
        try:
            found = self._services.search.find(actor, query, limit=MOST)
        except Invalid:
            return ()
        return tuple(one.project for one in found.projects)
