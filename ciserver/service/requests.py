"""Job requests that are performed later: rows first, then each in its turn, exactly once."""

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog

from ciserver.git.address import is_revision
from ciserver.model.account import Actor, Right
from ciserver.model.build import Build
from ciserver.model.errors import Busy, CiError, Complaint, Conflict, Invalid, NotFound
from ciserver.model.evaluation import NO_WISH, Kind, Wish
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset
from ciserver.model.request import Action, JobRequest, RequestStatus
from ciserver.service.audit import Audit, Outcome
from ciserver.service.builds import Builds
from ciserver.service.evaluations import Evaluations
from ciserver.service.pinning import require_source
from ciserver.service.rights import Rights
from ciserver.service.variables import check_variables
from ciserver.store.store import Store

log = structlog.get_logger()

_MANY = 10_000
_DIGITS = re.compile(r"[0-9a-f]{4,64}")


def nothing_to_do(build_id: int) -> str:
    """What the outcome of a request says about a build that had ended meanwhile."""
    return f"build {build_id} is complete, nothing to do"


class Requests:
    """Each `ask_...` checks what can be checked now, writes the row and answers its id; `ring`
    wakes whoever performs. `asked_as` is the caller's own name for the action.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        builds: Builds,
        evaluations: Evaluations,
        *,
        ring: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._builds = builds
        self._evaluations = evaluations
        self._ring = ring

    # -- asked ------------------------------------------------------------------------------------

    def ask_cancel(self, actor: Actor, build_id: int, *, asked_as: str = "") -> int:
        """Stop a build. Raises NotFound, Forbidden."""
        what = {"build": build_id}
        with self._audit.refusals(actor, Action.CANCEL_BUILD, **what):
            self._rights.build(actor, build_id, Right.CANCEL)
        return self._add(actor, Action.CANCEL_BUILD, what, asked_as)

    def ask_cancel_revision(
        self, actor: Actor, jobset: Jobset, revision: str, *, asked_as: str = ""
    ) -> int:
        """Stop whatever of a revision (or of its first digits) has not ended."""
        what = {"jobset": jobset.full_name, "revision": revision}
        with self._audit.refusals(actor, Action.CANCEL_REVISION, **what):
            self._rights.project(actor, jobset.project, Right.CANCEL)
        return self._add(actor, Action.CANCEL_REVISION, what, asked_as)

    def ask_rebuild(
        self, actor: Actor, build_id: int, *, priority: int, count: int, asked_as: str = ""
    ) -> int:
        """New builds of what a build was made of. Raises Invalid, NotFound, Forbidden."""
        self._builds.check_count(count)
        what = {"build": build_id, "priority": priority, "count": count}
        with self._audit.refusals(actor, Action.REBUILD, **what):
            self._rights.build(actor, build_id, Right.EVALUATE)
        self._builds.check_priority(actor, priority)
        return self._add(actor, Action.REBUILD, what, asked_as)

    def ask_reprioritize(
        self, actor: Actor, build_id: int, priority: int, *, asked_as: str = ""
    ) -> int:
        """Give a waiting build another priority. Raises BuildAlreadyStarted,
        BuildAlreadyFinished, Invalid, NotFound, Forbidden.
        """
        what = {"build": build_id, "priority": priority}
        with self._audit.refusals(actor, Action.REPRIORITIZE, **what):
            build = self._rights.build(actor, build_id, Right.BUMP)
            self._builds.check_priority(actor, priority)
            self._builds.require_waiting(build)
        return self._add(actor, Action.REPRIORITIZE, what, asked_as)

    def ask_evaluation(
        self,
        actor: Actor,
        jobset: Jobset,
        revision: str,
        *,
        kind: Kind = Kind.API,
        wish: Wish = NO_WISH,
        asked_as: str = "",
    ) -> int:
        """Evaluate a jobset at a revision, whose first digits are enough where it is known.
        Raises Invalid, NotFound, Conflict, Forbidden.
        """
        with self._audit.refusals(actor, Action.EVALUATE, jobset=jobset.full_name):
            self._rights.project(actor, jobset.project, Right.EVALUATE)
        self._builds.check_priority(actor, wish.priority or 0)
        check_variables(wish.environment)
        require_source(jobset)
        what: dict[str, Any] = {
            "jobset": jobset.full_name,
            "revision": self._whole(jobset, revision),
            "kind": kind.value,
            "priority": wish.priority,
            "jobs": list(wish.jobs),
            "environment": wish.environment,
        }
        return self._add(actor, Action.EVALUATE, what, asked_as)

    def _whole(self, jobset: Jobset, revision: str) -> str:
        """The one revision that begins so, of those the jobset was evaluated at; a whole one need
        not be known.
        """
        if not _DIGITS.fullmatch(revision):
            fault = Complaint("revision", "must be 4 to 64 hexadecimal digits in lower case")
            raise Invalid("the revision cannot be used", complaints=[fault])
        found = self._store.history.revisions(jobset.id, revision, limit=2)
        if len(found) > 1 and revision not in found:
            raise Invalid(
                "the revision is not clear",
                complaints=[Complaint("revision", f"several begin with {revision}")],
            )
        if not found and not is_revision(revision):
            raise NotFound(f"there is no revision {revision} in {jobset.full_name}")
        return found[0] if len(found) == 1 else revision

    def _add(self, actor: Actor, action: Action, what: dict[str, Any], asked_as: str) -> int:
        with self._store.transaction():
            request_id = self._store.requests.add(
                action,
                actor.name,
                what,
                self._clock.now(),
                project_id=self._audit.project_of(what),
                asked_as=asked_as,
            )
        self._ring()
        return request_id

    # -- performed --------------------------------------------------------------------------------

    def perform_next(self) -> bool:
        """Perform the oldest request that waits. False when none does.

        It is found, performed and completed in one transaction. A database has one writer at a
        time, so requests are performed one by one and in their order, whichever process does it;
        what is killed, or slow, or cannot be written, leaves a request that waits, and no change.
        """
        with self._store.transaction():
            request = self._store.requests.oldest()
            if request is None:
                return False
            status, outcome = self._attempt(request)
            if outcome is not None:
                self._store.requests.complete(
                    request.id,
                    status,
                    self._clock.now(),
                    message=outcome.message,
                    created=outcome.created,
                )
        return True

    def _attempt(self, request: JobRequest) -> tuple[RequestStatus, Outcome | None]:
        """Perform all of it or nothing. Raises Busy where nothing can be written now."""
        # Whether they may was checked when they asked.
        actor = Actor(request.who, is_admin=True, scopes=("*",), request_id=request.id)
        try:
            with self._store.transaction():
                return RequestStatus.DONE, self._perform(actor, request)
        except Busy:
            raise
        except CiError as error:
            return RequestStatus.FAILED, Outcome(error.message)
        except Exception:  # one of the loops: nothing may stop the others
            incident = secrets.token_hex(4)
            log.exception("job-request-crashed", request=request.id, incident=incident)
            crash = Outcome(f"the request crashed inside the server (incident {incident})")
            return RequestStatus.FAILED, crash

    def _perform(self, actor: Actor, request: JobRequest) -> Outcome | None:
        """What came of it; None when that is known only after an evaluation."""
        what = request.what
        match request.action:
            case Action.CANCEL_BUILD:
                return Outcome(self._cancel(actor, [self._store.builds.get(what["build"])]))
            case Action.CANCEL_REVISION:
                open_builds = self._open_at(actor, self._jobset(what["jobset"]), what["revision"])
                return Outcome(self._cancel(actor, open_builds))
            case Action.REBUILD:
                made = self._builds.rebuild(
                    actor, what["build"], priority=what["priority"], count=what["count"]
                )
                return Outcome(created=list(made))
            case Action.REPRIORITIZE:
                build_id = what["build"]
                if self._store.builds.get(build_id).status.is_final:
                    return Outcome(nothing_to_do(build_id))
                self._builds.reprioritize(actor, build_id, what["priority"])
                return Outcome()
            case Action.EVALUATE:
                self._evaluate(actor, request)
                return None
        raise Conflict(f"{request.action} is not performed later")

    def _cancel(self, actor: Actor, builds: Sequence[Build]) -> str:
        self._builds.stop((one.id for one in builds if not one.status.is_final), actor.name)
        return "\n".join(
            nothing_to_do(one.id) if one.status.is_final else f"{one.id}: Ok" for one in builds
        )

    def _open_at(self, actor: Actor, jobset: Jobset, revision: str) -> Sequence[Build]:
        sight = self._rights.sight(actor)
        return self._store.listings.of_revision(
            sight, jobset.id, revision, limit=_MANY, unfinished=True
        )

    def _evaluate(self, actor: Actor, request: JobRequest) -> None:
        what = request.what
        wish = Wish(tuple(what["jobs"]), what["environment"], what["priority"])
        evaluation_id = self._evaluations.request(
            actor,
            self._jobset(what["jobset"]),
            kind=Kind(what["kind"]),
            revision=what["revision"],
            wish=wish,
        )
        self._store.requests.wait_for(request.id, evaluation_id)

    def _jobset(self, full_name: str) -> Jobset:
        project, _, name = full_name.partition(":")
        return self._store.jobsets.get_by_name(project, name)

    # -- shown ------------------------------------------------------------------------------------

    def list_newest(
        self,
        actor: Actor,
        *,
        limit: int,
        offset: int = 0,
        actions: Iterable[Action] = (),
    ) -> tuple[JobRequest, ...]:
        """What was asked for, newest first: about what the actor sees, and their own."""
        sight = self._rights.sight(actor)
        return self._store.requests.list_newest(sight, limit=limit, offset=offset, actions=actions)

    def get(self, actor: Actor, request_id: int) -> JobRequest:
        """Raises NotFound."""
        return self._store.requests.get(self._rights.sight(actor), request_id)
