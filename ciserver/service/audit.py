"""The audit trail: every change that somebody asks for leaves a job request with its outcome."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ciserver.model.account import Actor, Visibility
from ciserver.model.errors import CiError, NotFound
from ciserver.model.ports import Clock
from ciserver.model.request import Action, RequestStatus
from ciserver.store.builds import Builds
from ciserver.store.evaluations import Evaluations
from ciserver.store.store import Store

_RECORDED_REFUSALS = {"forbidden", "conflict"}


@dataclass
class Outcome:
    """What a change wants to be remembered of it."""

    message: str = "Ok"
    created: list[int] = field(default_factory=list)


class Audit:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @contextmanager
    def record(self, actor: Actor, action: Action, **what: Any) -> Iterator[Outcome]:
        """One transaction for a change and the row that says who made it. A refusal that says
        something about the actor or the thing leaves a row, too.
        """
        outcome = Outcome()
        with self.refusals(actor, action, **what), self._store.transaction():
            yield outcome
            if actor.request_id is None:
                self._add(actor, action, what, RequestStatus.DONE, outcome)

    @contextmanager
    def refusals(self, actor: Actor, action: Action, **what: Any) -> Iterator[None]:
        """For what is checked before a change begins: a refusal leaves a row, and nothing else."""
        try:
            yield
        except CiError as error:
            if actor.name and actor.request_id is None and error.kind in _RECORDED_REFUSALS:
                with self._store.transaction():
                    refusal = Outcome(error.message)
                    self._add(actor, action, what, RequestStatus.FAILED, refusal)
            raise

    def project_of(self, what: dict[str, Any]) -> int | None:
        """The project whose members may see a request about this; None when it is about no
        project, or about a build that is nobody else's business.
        """
        if "build" in what:
            return self._project_of(self._store.builds, what["build"])
        if "evaluation" in what:
            return self._project_of(self._store.evaluations, what["evaluation"])
        if "jobset" in what:
            what = {"project": str(what["jobset"]).partition(":")[0]}
        if "project" not in what:
            return None
        name = str(what["project"])
        project = self._store.projects.find(name)
        if project is None and (now := self._store.renames.find_project(name)):
            project = self._store.projects.find(now)  # it was this change that renamed it
        return project.id if project else None

    def _project_of(self, shelf: Builds | Evaluations, number: int) -> int | None:
        try:
            found = shelf.get(number)
        except NotFound:
            return None
        if found.visibility is not Visibility.PUBLIC:
            return None
        project = self._store.projects.find_of_jobset(found.jobset_id)
        return project.id if project else None

    def _add(
        self,
        actor: Actor,
        action: Action,
        what: dict[str, Any],
        status: RequestStatus,
        outcome: Outcome,
    ) -> None:
        now = self._clock.now()
        request_id = self._store.requests.add(
            action, actor.name, what, now, project_id=self.project_of(what)
        )
        self._store.requests.complete(
            request_id, status, now, message=outcome.message, created=outcome.created
        )
