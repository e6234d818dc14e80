"""What self-serve tells."""

from typing import Any

import falcon

from ciserver.dialects.selfserve import paths, show
from ciserver.dialects.selfserve.answers import Shown
from ciserver.dialects.selfserve.finder import Finder, first_digits, number_in_path
from ciserver.dialects.selfserve.forms import day, whole
from ciserver.dialects.selfserve.paths import Place
from ciserver.dialects.selfserve.words import ACTION
from ciserver.model.account import Actor, Right
from ciserver.model.build import Build
from ciserver.model.errors import NotFound
from ciserver.model.project import Jobset
from ciserver.service.services import Services

_JOBS, _MOST_JOBS = 100, 1_000
_OF_A_USER = 200  # in each of the three lists
_ON_A_PAGE = 500  # the rest of a long list is in its JSON
_STABLE_DELAY = 180


class Reads:
    """Each method is one call; its docstring is what the page of calls says of it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._finder = Finder(services)

    def branches(self, req: falcon.Request) -> Shown:
        """Every branch, with its repository."""
        found = self._services.lists.branches(req.context.actor)
        value = {show.branch_name(one): show.branch_item(one) for one in found}
        return Shown(value, title="Branches")

    def jobs(self, req: falcon.Request) -> Shown:
        """Past job requests, newest first: `num` of them after the first `offset`."""
        count = whole(req.get_param("num") or str(_JOBS))
        offset = whole(req.get_param("offset") or "0")
        if count is None or offset is None or min(count, offset) < 0:
            count, offset = _JOBS, 0
        limit = min(count, _MOST_JOBS)
        found = self._services.requests.list_newest(
            req.context.actor, limit=limit, offset=offset, actions=ACTION
        )
        branches = self._branches(req.context.actor)
        value = [show.job(one, branches) for one in found]
        rows = [(item, one, paths.job(one.id)) for item, one in zip(value, found, strict=True)]
        older = f"?num={limit}&offset={offset + limit}" if limit and len(found) == limit else ""
        more = {"rows": rows, "older": older}
        return Shown(value, "selfserve/jobs.html", "Job requests", more)

    def job(self, req: falcon.Request, job_id: str) -> Shown:
        """What became of a job request."""
        request_id = number_in_path(job_id, "job_id")
        missing = NotFound(f"Job {request_id} not found")
        try:
            found = self._services.requests.get(req.context.actor, request_id)
        except NotFound:
            raise missing from None
        if found.action not in ACTION:
            raise missing
        value = show.job(found, self._branches(req.context.actor))
        more = {"request": found, "item": value}
        return Shown(value, "selfserve/job.html", f"Job request {request_id}", more)

    def branch(self, req: falcon.Request, branch: str) -> Shown:
        """The builds of a branch that started on a day, and the requests of it that wait; `date`
        is YYYY-MM-DD in UTC, and today where it is left out.
        """
        jobset = self._jobset(req, branch)
        since, until = day(req.get_param("date") or "", req.context.now)
        found = self._services.lists.of_days(req.context.actor, jobset, since, until)
        more = {**self._more(req, jobset, found), "since": since, **show.days_around(since)}
        return Shown(
            show.flat_list(found, show.branch_name(jobset)),
            "selfserve/branch.html",
            f"Branch {show.branch_name(jobset)}",
            more,
        )

    def build(self, req: falcon.Request, branch: str, build_id: str) -> Shown:
        """A build."""
        jobset = self._jobset(req, branch)
        number = number_in_path(build_id, "build_id")
        view = self._finder.build(req.context.actor, jobset, number, branch)
        value = show.build_details(view.build, show.branch_name(jobset), view.evaluation)
        return Shown(value, title=f"Build {number}")

    def request(self, req: falcon.Request, branch: str, request_id: str) -> Shown:
        """A request, and which build was made of it."""
        jobset = self._jobset(req, branch)
        number = number_in_path(request_id, "request_id")
        view = self._finder.request(req.context.actor, jobset, number, branch)
        value = show.request_details(view.build, show.branch_name(jobset), view.evaluation)
        return Shown(value, title=f"Request {number}")

    def revision(self, req: falcon.Request, branch: str, revision: str) -> Shown:
        """The builds and waiting requests of a revision, of which four digits are enough."""
        jobset = self._jobset(req, branch)
        found = self._at(req, jobset, revision, branch)
        outcome = show.outcome(found, show.epoch(req.context.now), self._delay(req))
        more = {
            **self._more(req, jobset, found),
            "revision": revision.lower(),
            "outcome": outcome,
            "builders": self._builders(req, jobset)[:_ON_A_PAGE],
        }
        return Shown(
            show.flat_list(found, show.branch_name(jobset)),
            "selfserve/revision.html",
            f"Revision {revision.lower()[:12]} of {show.branch_name(jobset)}",
            more,
        )

    def is_done(self, req: falcon.Request, branch: str, revision: str) -> Shown:
        """Whether all of a revision has ended, `stableDelay` seconds ago, and ended well."""
        found = self._at(req, self._jobset(req, branch), revision, branch)
        value = show.outcome(found, show.epoch(req.context.now), self._delay(req))
        return Shown(value, title=f"Is {revision.lower()[:12]} done?")

    def builders(self, req: falcon.Request, branch: str) -> Shown:
        """The builders of a branch that a build can be asked of."""
        jobset = self._jobset(req, branch)
        title = f"Builders of {show.branch_name(jobset)}"
        return Shown(self._builders(req, jobset), title=title)

    def user(self, req: falcon.Request, branch: str, user: str) -> Shown:
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
        return Shown(
            {key: show.flat_list(some, name)[:_OF_A_USER] for key, some in groups.items()},
            "selfserve/user.html",
            f"What {user} asked for on {name}",
            {**self._more(req, jobset, found), "user": user},
        )

    # -- what lists and pages need ----------------------------------------------------------------

    def _jobset(self, req: falcon.Request, branch: str) -> Jobset:
        return self._finder.branch(req.context.actor, branch)

    def _builders(self, req: falcon.Request, jobset: Jobset) -> list[str]:
        names = self._services.lists.job_names(req.context.actor, jobset)
        return list(names) if jobset.source else []

    def _branches(self, actor: Actor) -> dict[str, str]:
        return {one.full_name: show.branch_name(one) for one in self._services.lists.jobsets(actor)}

    @staticmethod
    def _delay(req: falcon.Request) -> int:
        delay = whole(req.get_param("stableDelay") or "")
        return _STABLE_DELAY if delay is None else delay

    def _more(
        self, req: falcon.Request, jobset: Jobset, found: tuple[Build, ...]
    ) -> dict[str, Any]:
        """What a page of a branch has beside its list: addresses, and what the reader may do."""
        may = {
            right.value: self._services.rights.may_in(req.context.actor, right, jobset.project)
            for right in (Right.EVALUATE, Right.CANCEL, Right.BUMP)
        }
        builds = show.in_order(found)
        return {
            "jobset": jobset,
            "place": Place(jobset),
            "may": may,
            "builds": builds[:_ON_A_PAGE],
            "left_out": max(0, len(builds) - _ON_A_PAGE),
        }

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
