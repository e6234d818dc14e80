"""Jobsets, as Hydra shows, saves and removes them."""

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.answers import saved
from ciserver.dialects.hydra.given import inputs, jobset_settings, parameters_of
from ciserver.model.account import Actor, Right
from ciserver.model.errors import NotFound
from ciserver.model.links import Links
from ciserver.model.project import Jobset, JobsetSettings
from ciserver.service.services import Services


class Jobsets:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    def on_get_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        actor = req.context.actor
        view = self._services.queries.jobset(actor, project, jobset)
        may_edit = self._services.rights.may_in(actor, Right.EDIT, project)
        resp.media = show.jobset(view.jobset, view.evaluations.evaluations, may_edit=may_edit)

    on_get_errors = on_get_jobset

    def on_put_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Make it, or replace it. One that is to be looked at by the clock is looked at now."""
        actor, given = req.context.actor, parameters_of(req)
        known = self._jobset(actor, project, jobset)
        settings = jobset_settings(given, known.settings if known else JobsetSettings())
        wanted = inputs(given, known.inputs if known else ())
        made, is_new = self._services.jobsets.put(
            actor,
            project,
            jobset,
            settings,
            wanted,
            new_name=given.text("name"),
            faults=given.faults,
            evaluate=True,
        )
        uri = self._links(req).jobset(project, made.name)
        saved(resp, uri, {"name": made.name, "type": "jobset"}, is_new=is_new)

    def _jobset(self, actor: Actor, project: str, name: str) -> Jobset | None:
        try:
            return self._services.rights.jobset(actor, project, name)
        except NotFound:
            return None

    def on_delete_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._services.jobsets.remove(req.context.actor, project, jobset)
        resp.media = {"redirect": self._links(req).project(project)}
