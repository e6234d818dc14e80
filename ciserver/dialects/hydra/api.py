"""What lies beneath /api: lists and counts of builds, jobsets, differences, and asking for
evaluations by name.
"""

from collections.abc import Iterator

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.given import Given, body_of, is_text, query_of
from ciserver.dialects.hydra.show_status import latest_jobset, queued_build
from ciserver.dialects.hydra.words import NO_PARAMETER, NO_PROJECT_PARAMETER
from ciserver.edge.bodies import number_query
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.input_text import input_text
from ciserver.model.job import Address
from ciserver.model.project import Jobset, JobsetMode
from ciserver.service.services import Services

MOST_BUILDS = 1_000
_GIT = "git"


class Api:
    def __init__(self, services: Services) -> None:
        self._services = services

    # -- builds -----------------------------------------------------------------------------------

    def on_get_latest_builds(self, req: falcon.Request, resp: falcon.Response) -> None:
        place, system = _place(req)
        wanted = min(_required(req, "nr"), MOST_BUILDS)
        found = self._services.lists.by_end(
            req.context.actor, limit=wanted, place=place, system=system
        )
        resp.media = [show.latest_build(one) for one in found]

    def on_get_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        """What runs and waits."""
        wanted = _required(req, "nr")
        found = self._services.status.unfinished(req.context.actor, limit=wanted)
        resp.media = [queued_build(one) for one in found]

    def on_get_nr_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = self._services.status.count_unfinished(req.context.actor)

    def on_get_nr_builds(self, req: falcon.Request, resp: falcon.Response) -> None:
        """How many ended in each hour or day."""
        periods, (place, system) = _required(req, "nr"), _place(req)
        period = str(query_of(req).get("period", ""))
        if not period:
            raise Invalid(NO_PARAMETER)
        counts = self._services.status.count_ended(
            req.context.actor, period, periods, place, system
        )
        resp.media = list(counts)

    # -- jobsets ----------------------------------------------------------------------------------

    def on_get_jobsets(self, req: falcon.Request, resp: falcon.Response) -> None:
        """How those of a project stand."""
        project = str(query_of(req).get("project", ""))
        if not project:
            raise Invalid(NO_PROJECT_PARAMETER)
        found = self._services.status.jobsets_of(req.context.actor, project)
        resp.media = [latest_jobset(one) for one in found]

    # -- what changed -----------------------------------------------------------------------------

    def on_get_scm_diff(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The log and the changes between two revisions, as text that a browser runs nothing of."""
        given = Given(query_of(req))
        uri, kind = given.text("uri"), given.text("type")
        for name in ("uri", "type", "rev1", "rev2"):
            if not given.has(name):
                given.fault(name, "is missing")
        if kind and kind != _GIT:
            given.fault("type", f"must be {_GIT}: this server reads nothing else")
        given.check()
        text = self._services.diffs.between(
            req.context.actor, uri, given.text("rev1"), given.text("rev2")
        )
        resp.content_type = "text/plain; charset=utf-8"
        resp.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        resp.text = text or " "

    # -- asking for evaluations -------------------------------------------------------------------

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
    return (is_on or force) and any(input_text(one) in values for one in jobset.inputs)


def _words(given: Given, name: str) -> list[str]:
    return [one.strip() for one in given.text(name).split(",") if one.strip()]


def _required(req: falcon.Request, name: str) -> int:
    found = number_query(req, name)
    if found is None:
        raise Invalid(NO_PARAMETER)
    return found


def _place(req: falcon.Request) -> tuple[Address, str]:
    """Of what builds are asked for, and for which system; empty is all."""
    query = query_of(req)
    names = ("project", "jobset", "job", "system")
    faults = [Complaint(name, "must be text") for name in names if not is_text(query.get(name, ""))]
    if faults:
        raise Invalid("the builds cannot be looked for", complaints=faults)
    project, jobset, job, system = (query.get(name, "") for name in names)
    return Address(project, jobset, job), system
