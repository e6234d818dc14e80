"""Pin what an evaluation is made from: every input, and every source of its jobs."""

from dataclasses import dataclass, replace
from datetime import datetime

from ciserver.git.mirror import Commit, Mirror, Mirrors
from ciserver.model.build import Job, Source
from ciserver.model.errors import CiError, Complaint, Conflict, RemoteFailure
from ciserver.model.evaluation import Evaluation, PinnedInput
from ciserver.model.ports import Clock
from ciserver.model.project import Input, InputType, Jobset
from ciserver.service.choice import Choice, choose_revision
from ciserver.service.earlier import Earlier
from ciserver.store.store import Store


@dataclass(frozen=True)
class Pinned:
    """The recipe's input at its revision, with the place to read it from; and the others."""

    mirror: Mirror
    input: PinnedInput
    commit: Commit
    others: tuple[PinnedInput, ...]
    at: datetime


class Pinning:
    def __init__(self, store: Store, clock: Clock, mirrors: Mirrors, earlier: Earlier) -> None:
        self._store = store
        self._earlier = earlier
        self._clock = clock
        self._mirrors = mirrors

    def pin(self, jobset: Jobset, evaluation: Evaluation) -> tuple[Pinned, str]:
        """The recipe's input at its revision; with the reason if a schedule finds nothing new."""
        source = require_source(jobset)
        mirror = self.open(jobset, source.uri)
        ref = evaluation.ref or source.ref
        revision = mirror.pin(ref, evaluation.revision)
        choice = self._choose(evaluation, mirror, revision)
        if ref == "HEAD":
            ref = mirror.default_branch() or ref
        pinned = PinnedInput(source.name, source.uri, ref, choice.revision or revision)
        others = tuple(
            pinned
            for one in jobset.inputs
            if one != source
            for pinned in self._pin_other(jobset, one)
        )
        commit = mirror.commit(pinned.revision)
        return Pinned(mirror, pinned, commit, others, self._clock.now()), choice.reason

    def _pin_other(self, jobset: Jobset, one: Input) -> list[PinnedInput]:
        match one.type:
            case InputType.GIT:
                revision = self.open(jobset, one.uri).pin(one.ref)
                return [PinnedInput(one.name, one.uri, one.ref, revision)]
            case InputType.STRING | InputType.BOOLEAN:
                return [PinnedInput(one.name, type=one.type, value=one.value)]
        return self._earlier.pin(jobset, one)

    def open(self, jobset: Jobset, uri: str) -> Mirror:
        """The mirror of a repository, read as the jobset reads it."""
        credential, local = self._store.projects.credential(jobset.id, uri)
        return self._mirrors.open(uri, credential, local=local)

    def _choose(self, evaluation: Evaluation, mirror: Mirror, head: str) -> Choice:
        schedule = (
            self._store.schedules.find(evaluation.schedule_id) if evaluation.schedule_id else None
        )
        if schedule is None or evaluation.revision:
            return Choice(head)
        history, jobset_id = self._store.history, evaluation.jobset_id
        return choose_revision(
            mirror,
            head,
            schedule,
            self._clock.now(),
            was_built=lambda revision: history.was_built(jobset_id, evaluation.kind, revision),
            was_good=lambda revision: history.was_good(jobset_id, revision),
        )

    def pin_sources(self, jobset: Jobset, job: Job) -> tuple[tuple[Source, ...], list[Complaint]]:
        """Every source of a job at an exact revision, or what is wrong with each."""
        pinned, complaints = [], []
        for index, source in enumerate(job.sources):
            try:
                pinned.append(self._pin_source(jobset, source))
            except RemoteFailure as failure:
                if failure.temporary:
                    raise
                complaints.append(Complaint(f"sources[{index}]", failure.message, job.file))
            except CiError as error:
                complaints.append(Complaint(f"sources[{index}]", error.message, job.file))
        return tuple(pinned), complaints

    def _pin_source(self, jobset: Jobset, source: Source) -> Source:
        if source.revision:
            return source
        mirror = self.open(jobset, source.uri)
        return replace(source, revision=mirror.pin(source.ref or "HEAD"))


def require_source(jobset: Jobset) -> Input:
    """The input with the recipe. Raises Conflict for a jobset that has none."""
    if jobset.source is None:
        raise Conflict(
            f"the jobset {jobset.full_name} has no repository to evaluate",
            hint="what it builds is submitted",
        )
    return jobset.source
