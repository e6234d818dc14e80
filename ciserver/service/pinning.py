"""Pin what an evaluation is made from: every input, and every source of its jobs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ciserver.git.commit import Commit
from ciserver.git.mirrors import Mirrors
from ciserver.model.build import Job, Source
from ciserver.model.errors import CiError, Complaint, Conflict, Invalid, RemoteFailure
from ciserver.model.evaluation import Evaluation, PinnedInput
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.model.project import Input, InputType, Jobset
from ciserver.model.push import Trust
from ciserver.service.build_secrets import GivenSecrets, SshKeys
from ciserver.service.choice import Choice, choose_revision
from ciserver.service.earlier import Earlier
from ciserver.store.store import Store

if TYPE_CHECKING:
    from ciserver.git.mirror import Mirror


@frozen
class Pinned:
    """The recipe's input at its revision, with the place to read it from; and the others."""

    mirror: "Mirror"
    input: PinnedInput
    commit: Commit
    others: tuple[PinnedInput, ...]
    at: datetime


class Pinning:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        mirrors: Mirrors,
        earlier: Earlier,
        given_secrets: GivenSecrets,
    ) -> None:
        self._store = store
        self._given_secrets = given_secrets
        self._earlier = earlier
        self._clock = clock
        self._mirrors = mirrors

    def pin(self, jobset: Jobset, evaluation: Evaluation) -> tuple[Pinned, str]:
        """The recipe's input at its revision; with the reason if a schedule finds nothing new."""
        source = require_source(jobset)
        self._bring(jobset, evaluation.wish.revisions)
        mirror = self.open(jobset, source)
        # A path has no refs, whatever a schedule or a request names.
        ref = evaluation.ref or source.ref if source.type is InputType.GIT else ""
        revision = mirror.pin(ref, evaluation.revision)
        choice = self._choose(evaluation, mirror, revision)
        if ref == "HEAD":
            ref = mirror.default_branch() or ref
        elif evaluation.wish.script:
            ref = mirror.full_ref(ref)
        pinned = PinnedInput(
            source.name, source.uri, ref, choice.revision or revision, type=source.type
        )
        others = tuple(
            pinned
            for one in jobset.inputs
            if one != source
            for pinned in self._pin_other(jobset, one, evaluation.wish.revisions.get(one.name, ""))
        )
        commit = mirror.commit(pinned.revision)
        return Pinned(mirror, pinned, commit, others, self._clock.now()), choice.reason

    def _bring(self, jobset: Jobset, revisions: Mapping[str, str]) -> None:
        """Fetch what inputs are asked for at, so that all that is wrong with it is said at once.
        Raises Invalid, RemoteFailure.
        """
        faults = []
        for one in jobset.inputs:
            if one.name not in revisions:
                continue
            try:
                self.open(jobset, one).pin(one.ref, revisions[one.name])
            except CiError as error:
                if isinstance(error, RemoteFailure) and error.temporary:
                    raise
                faults.append(Complaint(f"inputs.{one.name}", error.message))
        if faults:
            raise Invalid("the inputs cannot be pinned", complaints=faults)

    def _pin_other(self, jobset: Jobset, one: Input, revision: str) -> list[PinnedInput]:
        match one.type:
            case InputType.GIT | InputType.PATH:
                revision = self.open(jobset, one).pin(one.ref, revision)
                return [PinnedInput(one.name, one.uri, one.ref, revision, type=one.type)]
            case InputType.STRING | InputType.BOOLEAN | InputType.NIX:
                return [PinnedInput(one.name, type=one.type, value=one.value)]
        return self._earlier.pin(jobset, one)

    def newest(self, jobset: Jobset, one: Input) -> str:
        """The revision that an input with files has now. Raises NotFound, RemoteFailure and what
        else a look at it may come to.
        """
        return self.open(jobset, one).pin(one.ref)

    def open(self, jobset: Jobset, one: Input | Source, ssh_key: str = "") -> "Mirror":
        """The mirror of a repository or path, read as the jobset reads it; a source by ssh for
        which it has no credential, with the key.
        """
        credential, local = self._store.jobsets.credential(jobset.id, one.uri)
        if isinstance(one, Source):
            credential = credential or self._mirrors.key_for(one, ssh_key, local=local)
            return self._mirrors.open_source(one, credential, local=local)
        return self._mirrors.open_input(one, credential, local=local)

    def _choose(self, evaluation: Evaluation, mirror: "Mirror", head: str) -> Choice:
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

    def ssh_keys(self, jobset: Jobset, trust: Trust) -> SshKeys:
        """The keys that jobs of the jobset have among their secrets."""
        return SshKeys(self._given_secrets, jobset, trust)

    def pin_sources(
        self, jobset: Jobset, job: Job, ssh_key: str = ""
    ) -> tuple[tuple[Source, ...], list[Complaint]]:
        """Every source of a job at an exact revision, or what is wrong with each. The key is that
        of its secrets.
        """
        pinned, complaints = [], []
        for index, source in enumerate(job.sources):
            try:
                pinned.append(self._pin_source(jobset, source, ssh_key))
            except RemoteFailure as failure:
                if failure.temporary:
                    raise
                complaints.append(Complaint(f"sources[{index}]", failure.message, job.file))
            except CiError as error:
                complaints.append(Complaint(f"sources[{index}]", error.message, job.file))
        return tuple(pinned), complaints

    def _pin_source(self, jobset: Jobset, source: Source, ssh_key: str) -> Source:
        if source.revision:
            return source
        mirror = self.open(jobset, source, ssh_key)
        return replace(source, revision=mirror.pin(source.ref or "HEAD"))


def require_source(jobset: Jobset) -> Input:
    """The input with the recipe. Raises Conflict for a jobset that has none."""
    if jobset.source is None:
        raise Conflict(
            f"the jobset {jobset.full_name} has no repository to evaluate",
            hint="what it builds is submitted",
        )
    return jobset.source
