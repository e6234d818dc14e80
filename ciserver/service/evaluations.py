"""Evaluate: pin every input, read the recipe, create the builds, or write down why not."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from ciserver.git.mirror import Commit, Mirror, Mirrors
from ciserver.model.build import Job, Source
from ciserver.model.errors import Busy, CiError, Complaint, Invalid, RemoteFailure
from ciserver.model.evaluation import Evaluation, Kind, PinnedInput, SkippedJob
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset
from ciserver.model.schedule import PgoStrategy, ScheduleSpec
from ciserver.model.status import EvaluationStatus
from ciserver.recipe.manifest import read_manifest
from ciserver.recipe.selection import left_out, recipe_globs, skip_reason
from ciserver.recipe.sources import with_pushed_source
from ciserver.recipe.text import job_to_json
from ciserver.service.choice import Choice, choose_revision
from ciserver.service.declarations import declare_schedules
from ciserver.store.store import Store

log = structlog.get_logger()

RECIPE_LIMIT = 256 * 1024
_BY_PUSH = {Kind.PUSH, Kind.TAG, Kind.PULL_REQUEST}
_MAINTAIN_EVERY = 25
_LEASE = timedelta(minutes=15)
_RETRY_AFTER = (timedelta(seconds=2), timedelta(seconds=10), timedelta(seconds=60))


@dataclass(frozen=True)
class _Pinned:
    """The recipe's input at its revision, with the place to read it from."""

    mirror: Mirror
    input: PinnedInput
    commit: Commit


class Evaluations:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        mirrors: Mirrors,
        *,
        system: str,
        ring_engine: Callable[[], None],
        wake_schedules: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._mirrors = mirrors
        self._system = system
        self._ring_engine = ring_engine
        self._wake_schedules = wake_schedules
        self._stranded: set[int] = set()

    def evaluate_next(self) -> bool:
        """Take one requested evaluation to its end. False when none waits."""
        now = self._clock.now()
        stranded = tuple(self._stranded)
        with self._store.transaction():
            for one in stranded:
                self._store.evaluations.try_again(one, now)
            claimed = self._store.evaluations.claim(now, now + _LEASE)
        self._stranded.difference_update(stranded)
        if claimed is None:
            return False
        evaluation, tries = claimed
        bound = log.bind(evaluation=evaluation.id, jobset=evaluation.jobset)
        try:
            self._evaluate(evaluation)
        except Busy:
            # Nothing can be written, not even that; it goes on when something can.
            self._stranded.add(evaluation.id)
            raise
        except RemoteFailure as failure:
            self._postpone_or_fail(evaluation, tries, failure)
        except CiError as error:
            self._fail(evaluation, _complaints(error))
        except Exception:  # noqa: BLE001  one of the four loops: nothing may stop the others
            incident = secrets.token_hex(4)
            bound.exception("evaluation-crashed", incident=incident)
            fault = f"the evaluation crashed inside the server (incident {incident})"
            self._fail(evaluation, (Complaint("", fault),))
        return True

    def next_due(self) -> datetime | None:
        """When a postponed evaluation may be tried again."""
        return self._store.evaluations.next_due()

    def recover(self) -> int:
        """At start: evaluations that a killed server had taken wait again."""
        with self._store.transaction():
            return self._store.evaluations.release_all()

    def _evaluate(self, evaluation: Evaluation) -> None:
        jobset = self._store.projects.get_jobset(evaluation.jobset_id)
        pinned, reason = self._pin(jobset, evaluation)
        # From here on it is of what was pinned: a tag's commit, the default branch by its name.
        evaluation = replace(evaluation, ref=pinned.input.ref, revision=pinned.input.revision)
        if evaluation.kind in _BY_PUSH:
            reason = skip_reason(pinned.commit.message, evaluation.options)
        if reason:
            self._finish(evaluation, pinned, EvaluationStatus.SKIPPED, note=reason)
            return
        jobs, schedules, complaints = self._read_recipe(jobset, evaluation, pinned)
        if complaints:
            self._finish(evaluation, pinned, EvaluationStatus.FAILED, complaints=tuple(complaints))
            return
        self._declare(jobset, evaluation, pinned, schedules)
        if not jobs:
            globs = recipe_globs(evaluation.options, jobset.recipe_path)
            note = f"there is no recipe at this revision (looked for {', '.join(globs)})"
            self._finish(evaluation, pinned, EvaluationStatus.SKIPPED, note=note)
            return
        self._create_builds(jobset, evaluation, pinned, jobs)
        if evaluation.number % _MAINTAIN_EVERY == 0:
            self._maintain(pinned.mirror)

    @staticmethod
    def _maintain(mirror: Mirror) -> None:
        """Keep a mirror quick. The evaluation is done: a failure here is not its failure."""
        try:
            mirror.maintain()
        except CiError as error:
            log.warning("mirror-not-maintained", mirror=mirror.address, why=error.message)

    def _pin(self, jobset: Jobset, evaluation: Evaluation) -> tuple[_Pinned, str]:
        """The recipe's input at its revision; with the reason if a schedule finds nothing new."""
        source = jobset.source
        credential, local = self._store.projects.credential(jobset.id, source.uri)
        mirror = self._mirrors.open(source.uri, credential, local=local)
        ref = evaluation.ref or source.ref
        revision = mirror.pin(ref, evaluation.revision)
        choice = self._choose(evaluation, mirror, revision)
        if ref == "HEAD":
            ref = mirror.default_branch() or ref
        pinned = PinnedInput(source.name, source.uri, ref, choice.revision or revision)
        return _Pinned(mirror, pinned, mirror.commit(pinned.revision)), choice.reason

    def _choose(self, evaluation: Evaluation, mirror: Mirror, head: str) -> Choice:
        schedule = (
            self._store.schedules.find(evaluation.schedule_id) if evaluation.schedule_id else None
        )
        if schedule is None or evaluation.revision:
            return Choice(head)
        store, jobset_id = self._store.evaluations, evaluation.jobset_id
        return choose_revision(
            mirror,
            head,
            schedule,
            self._clock.now(),
            was_built=lambda revision: store.was_built(jobset_id, evaluation.kind, revision),
            was_good=lambda revision: store.was_good(jobset_id, revision),
        )

    def _read_recipe(
        self, jobset: Jobset, evaluation: Evaluation, pinned: _Pinned
    ) -> tuple[list[Job], tuple[ScheduleSpec, ...], list[Complaint]]:
        globs = recipe_globs(evaluation.options, jobset.recipe_path)
        jobs: dict[str, Job] = {}
        schedules: list[ScheduleSpec] = []
        complaints: list[Complaint] = []
        for file in pinned.mirror.list_files(pinned.input.revision, globs):
            text = pinned.mirror.read(pinned.input.revision, file, limit=RECIPE_LIMIT)
            reading = read_manifest(file, text, default_system=self._system)
            complaints += reading.complaints
            schedules += reading.schedules
            if reading.job is None:
                continue
            twin = jobs.setdefault(reading.job.name, reading.job)
            if twin is not reading.job:
                fault = f"the job {twin.name} is already made by {twin.file}"
                complaints.append(Complaint("", fault, file))
        return list(jobs.values()), tuple(schedules), complaints

    def _declare(
        self,
        jobset: Jobset,
        evaluation: Evaluation,
        pinned: _Pinned,
        schedules: tuple[ScheduleSpec, ...],
    ) -> None:
        """What the default branch declares is in force from its push on."""
        is_default = evaluation.ref == pinned.mirror.default_branch()
        is_whole = recipe_globs(evaluation.options, jobset.recipe_path) == jobset.recipe_path
        if evaluation.kind is not Kind.PUSH or not is_default or not is_whole:
            return
        with self._store.transaction():
            if self._store.evaluations.was_overtaken(evaluation):
                return
            changed = declare_schedules(self._store, jobset, schedules, self._clock.now())
        if changed:
            self._wake_schedules()

    def _create_builds(
        self, jobset: Jobset, evaluation: Evaluation, pinned: _Pinned, jobs: list[Job]
    ) -> None:
        wanted, skipped = _select(jobs, evaluation, jobset.pgo_strategy)
        ready, complaints = [], []
        for job in wanted:
            whole = with_pushed_source(
                job, pinned.input.uri, pinned.input.ref, pinned.input.revision
            )
            sources, faults = self._pin_sources(jobset, whole)
            complaints += faults
            ready.append(replace(whole, sources=sources))
        if complaints:
            self._finish(evaluation, pinned, EvaluationStatus.FAILED, complaints=tuple(complaints))
            return
        status = EvaluationStatus.SUCCEEDED if ready else EvaluationStatus.SKIPPED
        note = "" if ready else "every job of the recipe was left out by its filters"
        texts = [(job, job_to_json(job)) for job in ready]
        now = self._clock.now()
        with self._store.transaction():
            self._finish(evaluation, pinned, status, note=note, skipped=tuple(skipped))
            self._store.evaluations.count_builds(evaluation.id, total=len(texts))
            for job, text in texts:
                digest = hashlib.sha256(text.encode()).hexdigest()
                self._store.queue.add_job_text(digest, text)
                self._store.queue.add(evaluation, job, digest, now)
        self._ring_engine()

    def _pin_sources(self, jobset: Jobset, job: Job) -> tuple[tuple[Source, ...], list[Complaint]]:
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
        credential, local = self._store.projects.credential(jobset.id, source.uri)
        mirror = self._mirrors.open(source.uri, credential, local=local)
        return replace(source, revision=mirror.pin(source.ref or "HEAD"))

    def _finish(
        self,
        evaluation: Evaluation,
        pinned: _Pinned,
        status: EvaluationStatus,
        *,
        note: str = "",
        complaints: tuple[Complaint, ...] = (),
        skipped: tuple[SkippedJob, ...] = (),
    ) -> None:
        with self._store.transaction():
            self._store.evaluations.finish(
                evaluation.id,
                status,
                self._clock.now(),
                note=note,
                complaints=complaints,
                skipped=skipped,
                inputs=(pinned.input,),
                ref=pinned.input.ref,
                revision=pinned.input.revision,
                subject=pinned.commit.subject[:500],
                author=pinned.commit.author[:200],
                committed_at=pinned.commit.committed_at,
            )

    def _postpone_or_fail(self, evaluation: Evaluation, tries: int, failure: RemoteFailure) -> None:
        if failure.temporary and tries <= len(_RETRY_AFTER):
            at = self._clock.now() + _RETRY_AFTER[tries - 1]
            with self._store.transaction():
                self._store.evaluations.try_again(evaluation.id, at)
            log.info("evaluation-postponed", evaluation=evaluation.id, why=failure.message)
        else:
            self._fail(evaluation, _complaints(failure))

    def _fail(self, evaluation: Evaluation, complaints: tuple[Complaint, ...]) -> None:
        with self._store.transaction():
            self._store.evaluations.finish(
                evaluation.id, EvaluationStatus.FAILED, self._clock.now(), complaints=complaints
            )


def _select(
    jobs: list[Job], evaluation: Evaluation, strategy: PgoStrategy
) -> tuple[list[Job], list[SkippedJob]]:
    """The jobs to build. Where every push is a PGO build, PGO jobs are jobs of a push."""
    kinds = [evaluation.kind]
    if strategy is PgoStrategy.PER_PUSH and evaluation.kind is Kind.PUSH:
        kinds.append(Kind.PGO)
    wanted, skipped = [], []
    for job in jobs:
        reason = left_out(job, kinds[0], evaluation.ref)
        if reason and all(left_out(job, kind, evaluation.ref) for kind in kinds):
            skipped.append(SkippedJob(job.name, reason))
        else:
            wanted.append(job)
    return wanted, skipped


def _complaints(error: CiError) -> tuple[Complaint, ...]:
    if isinstance(error, Invalid) and error.complaints:
        return error.complaints
    return (Complaint("", error.message + (f" ({error.hint})" if error.hint else "")),)
