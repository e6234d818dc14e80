"""Pushes come in and become requested evaluations, or are ignored for a reason."""

from collections.abc import Callable
from datetime import timedelta

from ciserver.git.address import repository_key
from ciserver.model.errors import Forbidden
from ciserver.model.evaluation import Kind
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset, Project
from ciserver.model.push import (
    Push,
    PushOutcome,
    Received,
    RefChange,
    RequestedEvaluation,
    is_proposal,
    trust_of,
)
from ciserver.store.store import Store

SAME_BODY_WINDOW = timedelta(minutes=5)


class Pushes:
    def __init__(self, store: Store, clock: Clock, ring: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._ring = ring

    def accept_push(self, received: Received, push: Push) -> PushOutcome:
        """Request an evaluation for each ref and jobset that watches it; answer at once.

        The same delivery gets the same outcome again. Once this returns the rows are durable.
        Raises NotFound for an unknown project, Forbidden when the push is of a repository that is
        not the project's.
        """
        project = self._store.projects.get(received.project)
        with self._store.transaction():
            known = self._store.pushes.find(
                project.id, received, since=self._clock.now() - SAME_BODY_WINDOW
            )
            if known is not None:
                return known
            jobsets = self._jobsets_of(project, push)
            outcome = self._request(project, received, push, jobsets)
        if outcome.evaluations:
            self._ring()
        return outcome

    def _jobsets_of(self, project: Project, push: Push) -> tuple[Jobset, ...]:
        """The project's jobsets with this repository as an input."""
        jobsets = self._store.projects.jobsets_of_project(project.id)
        if not push.repositories:
            return jobsets
        told = {repository_key(uri) for uri in push.repositories}
        keys = self._store.projects.repository_keys(project.name)
        mine = {jobset_id for key in told & keys.keys() for jobset_id in keys[key]}
        if not mine:
            raise Forbidden(
                f"the push is of a repository that project {project.name} does not watch",
                hint="compare the repository's addresses with the project's input",
            )
        return tuple(one for one in jobsets if one.id in mine)

    def _request(
        self, project: Project, received: Received, push: Push, jobsets: tuple[Jobset, ...]
    ) -> PushOutcome:
        push_id = self._store.pushes.add(project.id, received, push)
        requested: list[RequestedEvaluation] = []
        notes: list[str] = []
        for change in push.changes:
            reason = _ignore_reason(project, change, jobsets)
            if reason:
                notes.append(reason)
                continue
            requested += [
                self._request_one(push_id, jobset, change, push)
                for jobset in jobsets
                if jobset.enabled and jobset.watches(change.ref)
            ]
        ignored = "" if requested else "; ".join(notes) or "the push changes no ref"
        outcome = PushOutcome(push_id, tuple(requested), ignored, tuple(notes))
        self._store.pushes.settle(outcome)
        return outcome

    def _request_one(
        self, push_id: int, jobset: Jobset, change: RefChange, push: Push
    ) -> RequestedEvaluation:
        evaluation_id = self._store.evaluations.request(
            jobset.id,
            kind=_kind(change),
            ref=change.ref,
            revision=change.new,
            options=push.options,
            requested_by=push.pusher,
            push_id=push_id,
            now=self._clock.now(),
            trust=trust_of(change.ref),
            base_revision=change.old,
        )
        return RequestedEvaluation(evaluation_id, jobset.name, change.ref)


def _kind(change: RefChange) -> Kind:
    if is_proposal(change.ref):
        return Kind.PULL_REQUEST
    return Kind.TAG if change.is_tag else Kind.PUSH


def _ignore_reason(project: Project, change: RefChange, jobsets: tuple[Jobset, ...]) -> str:
    if change.is_deletion:
        return f"{change.ref} was deleted"
    if not project.enabled:
        return f"project {project.name} is disabled"
    watching = [one for one in jobsets if one.watches(change.ref)]
    if not watching:
        return f"no jobset watches {change.ref}"
    if not any(one.enabled for one in watching):
        return f"every jobset that watches {change.ref} is disabled"
    return ""
