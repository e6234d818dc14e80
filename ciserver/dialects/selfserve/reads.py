"""What self-serve tells."""

from typing import Any

import falcon

from ciserver.dialects.selfserve import show
from ciserver.dialects.selfserve.finder import Finder, first_digits, number_in_path
from ciserver.dialects.selfserve.forms import day, whole
from ciserver.dialects.selfserve.words import ACTION
from ciserver.model.account import Actor
from ciserver.model.build import Build
from ciserver.model.errors import NotFound
from ciserver.model.project import Jobset
from ciserver.service.services import Services

_JOBS, _MOST_JOBS = 100, 1_000
_OF_A_USER = 200  # in each of the three lists
_STABLE_DELAY = 180


class Reads:
    """Each method is one call; its docstring is what the page of calls says of it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._finder = Finder(services)

    def branches(self, req: falcon.Request) -> Any:
        """Every branch, with its repository."""
        found = self._services.lists.branches(req.context.actor)
        return {show.branch_name(one): show.branch_item(one) for one in found}

    def jobs(self, req: falcon.Request) -> Any:
        """Past job requests, newest first: `num` of them after the first `offset`."""
        count = whole(req.get_param("num") or str(_JOBS))
        offset = whole(req.get_param("offset") or "0")
        if count is None or offset is None or min(count, offset) < 0:
            count, offset = _JOBS, 0
        found = self._services.requests.list_newest(
            req.context.actor, limit=min(count, _MOST_JOBS), offset=offset, actions=ACTION
        )
        branches = self._branches(req.context.actor)
        return [show.job(one, branches) for one in found]

    def job(self, req: falcon.Request, job_id: str) -> Any:
        """What became of a job request."""
        request_id = number_in_path(job_id, "job_id")
        missing = NotFound(f"Job {request_id} not found")
        try:
            found = self._services.requests.get(req.context.actor, request_id)
        except NotFound:
            raise missing from None
        if found.action not in ACTION:
            raise missing
        return show.job(found, self._branches(req.context.actor))

    def branch(self, req: falcon.Request, branch: str) -> Any:
        """The builds of a branch that started on a day, and the requests of it that wait; `date`
        is YYYY-MM-DD in UTC, and today where it is left out.
        """
        jobset = self._jobset(req, branch)
        since, until = day(req.get_param("date") or "", req.context.now)
        found = self._services.lists.of_days(req.context.actor, jobset, since, until)
        return show.flat_list(found, show.branch_name(jobset))

    def build(self, req: falcon.Request, branch: str, build_id: str) -> Any:
        """A build."""
        jobset = self._jobset(req, branch)
        number = number_in_path(build_id, "build_id")
        view = self._finder.build(req.context.actor, jobset, number, branch)
        return show.build_details(view.build, show.branch_name(jobset), view.evaluation)

    def request(self, req: falcon.Request, branch: str, request_id: str) -> Any:
        """A request, and which build was made of it."""
        jobset = self._jobset(req, branch)
        number = number_in_path(request_id, "request_id")
        view = self._finder.request(req.context.actor, jobset, number, branch)
        return show.request_details(view.build, show.branch_name(jobset), view.evaluation)

    def revision(self, req: falcon.Request, branch: str, revision: str) -> Any:
        """The builds and waiting requests of a revision, of which four digits are enough."""
        jobset = self._jobset(req, branch)
        return show.flat_list(self._at(req, jobset, revision, branch), show.branch_name(jobset))

    def is_done(self, req: falcon.Request, branch: str, revision: str) -> Any:
        """Whether all of a revision has ended, `stableDelay` seconds ago, and ended well."""
        found = self._at(req, self._jobset(req, branch), revision, branch)
        delay = whole(req.get_param("stableDelay") or "")
        return show.outcome(
            found, show.epoch(req.context.now), _STABLE_DELAY if delay is None else delay
        )

    def builders(self, req: falcon.Request, branch: str) -> Any:
        """The builders of a branch that a build can be asked of."""
        jobset = self._jobset(req, branch)
        names = self._services.lists.job_names(req.context.actor, jobset)
        return list(names) if jobset.source else []

    def user(self, req: falcon.Request, branch: str, user: str) -> Any:
        """What somebody asked for: ended, running and waiting."""
        jobset = self._jobset(req, branch)
        found = self._services.lists.of_requester(
            req.context.actor, jobset, user, limit=3 * _OF_A_USER
        )
        name = show.branch_name(jobset)
        groups = {
            "builds": [one for one in found if one.status.is_final],
            "running": [one for one in found if not (one.status.is_final or one.status.is_waiting)],
            "pending": [one for one in found if one.status.is_waiting],
        }
        return {key: show.flat_list(some, name)[:_OF_A_USER] for key, some in groups.items()}

    def _jobset(self, req: falcon.Request, branch: str) -> Jobset:
        return self._finder.branch(req.context.actor, branch)

    def _branches(self, actor: Actor) -> dict[str, str]:
        return {one.full_name: show.branch_name(one) for one in self._services.lists.jobsets(actor)}

    def _at(
        self, req: falcon.Request, jobset: Jobset, revision: str, branch: str
    ) -> tuple[Build, ...]:
        """The builds of a revision. Raises NotFound where nothing of it would be shown."""
        digits = first_digits(revision)
        found: tuple[Build, ...] = ()
        if digits:
            found = self._services.lists.of_revision(req.context.actor, jobset, digits)
        if not any(show.is_built(one) or one.status.is_waiting for one in found):
            raise NotFound(f"Revision {revision} not found on branch {branch}")
        return found
