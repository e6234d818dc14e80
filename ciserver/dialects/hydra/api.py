"""What lies beneath /api."""

from collections.abc import Iterator

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.given import Given, body_of, query_of
from ciserver.dialects.hydra.words import NO_PARAMETER
from ciserver.edge.bodies import number_query
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.project import Jobset, JobsetMode
from ciserver.service.services import Services

MOST_BUILDS = 1_000


class Api:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_latest_builds(self, req: falcon.Request, resp: falcon.Response) -> None:
        wanted = number_query(req, "nr")
        if wanted is None:
            raise Invalid(NO_PARAMETER, complaints=[Complaint("nr", "how many builds")])
        query = query_of(req)
        found = self._services.lists.by_end(
            req.context.actor,
            limit=min(wanted, MOST_BUILDS),
            **{name: query.get(name, "") for name in ("project", "jobset", "job", "system")},
        )
        resp.media = [show.latest_build(one) for one in found]

    def on_post_push(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Evaluate jobsets by name, and those that have a repository as an input. What was done
        before a refusal is told with it.
        """
        actor, triggered = req.context.actor, list[str]()
        req.context.partial = {"jobsetsTriggered": triggered}
        given = Given({**query_of(req), **body_of(req)})
        names, values = _words(given, "jobsets"), _words(given, "repos")
        given.check()
        self._services.rights.require_scope(actor, Right.EVALUATE.scope)
        for one in self._pushed(actor, names, values, force=given.has("force")):
            if one.full_name not in triggered:
                self._services.evaluations.request(actor, one)
                triggered.append(one.full_name)
        resp.content_type = "application/json; charset=utf-8"
        resp.media = req.context.partial

    on_put_push = on_post_push

    def _pushed(
        self, actor: Actor, names: list[str], values: list[str], *, force: bool
    ) -> Iterator[Jobset]:
        for name in names:
            project, _, jobset = name.partition(":")
            named = self._services.rights.jobset(actor, project, jobset, Right.EVALUATE)
            if force or (named.enabled and named.project_enabled):
                yield named
        if values:
            newest = sorted(self._services.lists.jobsets(actor), key=lambda one: -one.id)
            yield from (one for one in newest if _is_fed_by(one, values, force=force))


def _is_fed_by(jobset: Jobset, values: list[str], *, force: bool) -> bool:
    is_on = jobset.project_enabled and jobset.settings.mode is JobsetMode.ON
    return (is_on or force) and any(show.input_value(one) in values for one in jobset.inputs)


def _words(given: Given, name: str) -> list[str]:
    return [one.strip() for one in given.text(name).split(",") if one.strip()]
