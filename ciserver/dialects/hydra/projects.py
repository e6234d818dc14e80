"""Projects, as Hydra lists, saves and removes them."""

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.answers import saved
from ciserver.dialects.hydra.given import parameters_of, project_settings
from ciserver.model.account import Actor
from ciserver.model.errors import NotFound
from ciserver.model.links import Links
from ciserver.model.project import ProjectSettings
from ciserver.service.services import Services


class Projects:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    def on_get_home(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._services.queries.list_projects(req.context.actor)
        ordered = sorted(found, key=lambda one: (not one.project.enabled, one.project.name))
        resp.media = [show.project(one) for one in ordered]

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        resp.media = show.project(self._services.queries.project(req.context.actor, project))

    def on_put_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        """Make it, or replace it. Only administrators say whose it is; from others it is unread."""
        actor, given = req.context.actor, parameters_of(req)
        settings = project_settings(given, self._project_settings(actor, project))
        made, is_new = self._services.projects.put_project(
            actor,
            project,
            settings,
            new_name=given.text("name"),
            owner=given.text("owner") if actor.is_admin else "",
            faults=given.faults,
        )
        uri = self._links(req).project(made.name)
        saved(resp, uri, {"name": made.name, "type": "project"}, is_new=is_new)

    def _project_settings(self, actor: Actor, name: str) -> ProjectSettings:
        try:
            return self._services.rights.project(actor, name).settings
        except NotFound:
            return ProjectSettings()

    def on_delete_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        self._services.projects.remove_project(req.context.actor, project)
        resp.media = {"redirect": self._links(req).home()}
