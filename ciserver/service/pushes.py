"""Pushes come in and become requested evaluations, or are ignored for a reason."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from ciserver.git.address import repository_key
from ciserver.model.errors import Forbidden
from ciserver.model.evaluation import NO_WISH, Kind, Wish
from ciserver.model.ports import Clock
from ciserver.model.project import JobsetMode
from ciserver.model.push import (
    Push,
    PushOutcome,
    Received,
    RefChange,
    RequestedEvaluation,
    is_proposal,
    trust_of,
)
from ciserver.model.view import PushedEvaluation
from ciserver.model.watching import WatchedInput, WatchingJobset, WatchingProject
from ciserver.service.push_options import PushOptions, read_options, without_recipes
from ciserver.store.store import Store

SAME_BODY_WINDOW = timedelta(minutes=5)
_MOST_TOLD = 10


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
        outcome = self._store.together(lambda: self._accept(received, push))
        if outcome.evaluations and not outcome.is_known:
            self._ring()
        return outcome

    def _accept(self, received: Received, push: Push) -> PushOutcome:
        project = self._store.watching.get(received.project)
        since = self._clock.now() - SAME_BODY_WINDOW
        known = self._store.pushes.find(project.id, received, since=since)
        if known is not None:
            return known
        return self._request(project, received, push)

    def told(self, outcome: PushOutcome) -> tuple[PushedEvaluation, ...]:
        """What the first evaluations of a push have come to so far, for whoever pushed."""
        ids = [one.id for one in outcome.evaluations[:_MOST_TOLD]]
        return self._store.pushes.told(ids, most_builds=_MOST_TOLD) if ids else ()

    def projects_of(self, repositories: Iterable[str]) -> tuple[str, ...]:
        """The projects that are fed with a repository, by any of its addresses."""
        return self._store.repositories.projects_of(map(repository_key, repositories))

    def look_again(self, project: str, repositories: tuple[str, ...], pusher: str) -> PushOutcome:
        """Somebody says that a repository changed, and not how: each jobset of the project that is
        plainly on is evaluated at the newest revision of what it follows. Raises as `accept_push`.
        """
        requested: list[RequestedEvaluation] = []
        with self._store.transaction():
            found = self._store.watching.get(project)
            for jobset in _jobsets_of(found, _keys(repositories)):
                source = jobset.source
                if source is None or not found.enabled or jobset.mode is not JobsetMode.ON:
                    continue
                evaluation_id = self._store.evaluations.request(
                    jobset.id,
                    kind=Kind.API,
                    ref=source.ref,
                    revision="",
                    options=(),
                    requested_by=pusher,
                    push_id=None,
                    now=self._clock.now(),
                    trust=trust_of(source.ref),
                )
                requested.append(RequestedEvaluation(evaluation_id, jobset.name, source.ref))
        if requested:
            self._ring()
        return PushOutcome(0, tuple(requested))

    def _request(self, project: WatchingProject, received: Received, push: Push) -> PushOutcome:
        told = _keys(push.repositories)
        jobsets = _jobsets_of(project, told)
        push_id = self._store.pushes.add(project.id, received, push)
        requested: list[RequestedEvaluation] = []
        notes: list[str] = []
        options = read_options(push.options)
        for change in push.changes:
            watching = [
                (jobset, one)
                for jobset in jobsets
                if (one := jobset.pushed(told)) is not None and one.watches(change.ref)
            ]
            reason = _ignore_reason(project, change, [jobset for jobset, _ in watching])
            if not reason and options.skip:
                reason = f"the push option {options.skip} asks for no builds"
            if reason:
                notes.append(reason)
                continue
            requested += [
                self._request_one(push_id, jobset, one, change, push, options)
                for jobset, one in watching
                if jobset.enabled
            ]
        notes = list(dict.fromkeys(notes))
        ignored = "" if requested else "; ".join(notes) or "the push changes no ref"
        outcome = PushOutcome(push_id, tuple(requested), ignored, (*notes, *options.notes))
        self._store.pushes.settle(outcome)
        return outcome

    def _request_one(
        self,
        push_id: int,
        jobset: WatchingJobset,
        one: WatchedInput,
        change: RefChange,
        push: Push,
        options: PushOptions,
    ) -> RequestedEvaluation:
        """What is pushed elsewhere than to the recipe is evaluated with the recipe as it is now."""
        is_recipe = one == jobset.source
        wish = Wish(revisions={one.name: change.new})
        evaluation_id = self._store.evaluations.request(
            jobset.id,
            kind=_kind(change),
            ref=change.ref if is_recipe or jobset.source is None else jobset.source.ref,
            revision=change.new if is_recipe else "",
            options=push.options if is_recipe else without_recipes(push.options),
            requested_by=push.pusher,
            push_id=push_id,
            now=self._clock.now(),
            trust=trust_of(change.ref),
            # What declares jobsets is read as it is now in any case.
            wish=NO_WISH if is_recipe or jobset.declares else wish,
            base_revision=change.old if is_recipe else "",
            visibility=options.visibility,
        )
        return RequestedEvaluation(evaluation_id, jobset.name, change.ref)


def _keys(repositories: Iterable[str]) -> frozenset[str]:
    return frozenset(map(repository_key, repositories))


def _jobsets_of(project: WatchingProject, told: frozenset[str]) -> tuple[WatchingJobset, ...]:
    """The project's jobsets with a repository as an input; without any told, all."""
    if not told:
        return project.jobsets
    mine = tuple(
        one for one in project.jobsets if any(each.repository_key in told for each in one.inputs)
    )
    if not mine:
        raise Forbidden(
            f"the push is of a repository that project {project.name} does not watch",
            hint="compare the repository's addresses with the project's input",
        )
    return mine


def _kind(change: RefChange) -> Kind:
    if is_proposal(change.ref):
        return Kind.PULL_REQUEST
    return Kind.TAG if change.is_tag else Kind.PUSH


def _ignore_reason(
    project: WatchingProject, change: RefChange, watching: list[WatchingJobset]
) -> str:
    if change.is_deletion:
        return f"{change.ref} was deleted"
    if not project.enabled:
        return f"project {project.name} is disabled"
    if not watching:
        return f"no jobset watches {change.ref}"
    if not any(one.enabled for one in watching):
        return f"every jobset that watches {change.ref} is disabled"
    return ""
