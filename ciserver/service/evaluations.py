"""Evaluate: pin every input, read the recipe, create the builds, or write down why not."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from ciserver.git.address import check_revision
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Busy, CiError, Complaint, Invalid, NoCommit, RemoteFailure
from ciserver.model.evaluation import NO_WISH, Evaluation, Kind, SkippedJob, Wish
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset
from ciserver.model.push import trust_of
from ciserver.model.request import Action, RequestStatus
from ciserver.model.schedule import ScheduleSpec
from ciserver.model.status import EvaluationStatus
from ciserver.recipe.complaints import at_most
from ciserver.recipe.selection import recipe_globs, skip_reason
from ciserver.service.audit import Audit
from ciserver.service.building import Building
from ciserver.service.declarations import declare_schedules
from ciserver.service.declared_jobsets import DeclaredJobsets
from ciserver.service.fault_mails import FaultMails
from ciserver.service.filters import off_reason
from ciserver.service.pinning import Pinned, Pinning, require_source
from ciserver.service.push_labels import BY_PUSH
from ciserver.service.push_options import note_of
from ciserver.service.recipe_reading import Read, RecipeReading
from ciserver.service.repeats import Repeats
from ciserver.service.rights import Rights
from ciserver.service.variables import check_variables
from ciserver.store.store import Store

if TYPE_CHECKING:
    from ciserver.git.mirror import Mirror

log = structlog.get_logger()

_MAINTAIN_EVERY = 25
_LEASE = timedelta(minutes=15)
_RETRY_AFTER = (timedelta(seconds=2), timedelta(seconds=10), timedelta(seconds=60))


class Evaluations:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        pinning: Pinning,
        reading: RecipeReading,
        building: Building,
        repeats: Repeats,
        declared: DeclaredJobsets,
        fault_mails: FaultMails,
        rights: Rights,
        audit: Audit,
        *,
        ring: Callable[[], None],
        ring_engine: Callable[[], None],
        wake_schedules: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._pinning = pinning
        self._reading = reading
        self._building = building
        self._repeats = repeats
        self._declared = declared
        self._fault_mails = fault_mails
        self._rights = rights
        self._audit = audit
        self._ring = ring
        self._ring_engine = ring_engine
        self._wake_schedules = wake_schedules
        self._stranded: set[int] = set()

    def request(
        self,
        actor: Actor,
        jobset: Jobset,
        *,
        kind: Kind = Kind.API,
        revision: str = "",
        wish: Wish = NO_WISH,
    ) -> int:
        """Ask for an evaluation of a jobset, of its source's newest revision unless one is named;
        answers its id. Raises Invalid, Conflict for a jobset without a source, Forbidden, NotFound.
        """
        given = {"inputs": wish.revisions} if wish.revisions else {}
        with self._audit.record(
            actor, Action.EVALUATE, jobset=jobset.full_name, kind=kind, revision=revision, **given
        ):
            self._rights.project(actor, jobset.project, Right.EVALUATE)
            check_variables(wish.environment)
            source = require_source(jobset)
            evaluation_id = self._store.evaluations.request(
                jobset.id,
                kind=kind,
                ref=source.ref,
                revision=check_revision(revision) if revision else "",
                options=(),
                requested_by=actor.name,
                push_id=None,
                now=self._clock.now(),
                trust=trust_of(source.ref),
                wish=wish,
            )
        self._store.after_commit(self._ring)
        return evaluation_id

    def evaluate_next(self) -> bool:
        """Take one requested evaluation to its end. False when none waits."""
        now = self._clock.now()
        stranded = tuple(self._stranded)
        with self._store.transaction(durable=False):  # after a power cut they wait as before
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
            if isinstance(error, NoCommit) and error.revision == evaluation.revision:
                self._end(evaluation, EvaluationStatus.SKIPPED, note=error.message)
            else:
                self._fail(evaluation, _complaints(error))
        except Exception:  # noqa: BLE001  one of the four loops: nothing may stop the others
            incident = secrets.token_hex(4)
            bound.exception("evaluation-crashed", incident=incident)
            fault = f"the evaluation crashed inside the server (incident {incident})"
            self._fail(evaluation, (Complaint("", fault),))
        return True

    def drop(self, evaluation: Evaluation, note: str) -> None:
        """End an evaluation that nobody wants any more; one that was evaluated stays as it is."""
        self._end(evaluation, EvaluationStatus.SKIPPED, note=note)

    def next_due(self) -> datetime | None:
        """When a postponed evaluation may be tried again."""
        return self._store.evaluations.next_due()

    def recover(self, *, alive: Iterable[str] = ()) -> int:
        """At start: evaluations that a killed server had taken wait again, but for those of other
        nodes that are alive.
        """
        self._reading.forget()
        with self._store.transaction():
            return self._store.claims.release_evaluations(alive=alive)

    def _evaluate(self, evaluation: Evaluation) -> None:
        jobset = self._store.jobsets.get(evaluation.jobset_id)
        reason = off_reason(jobset, evaluation)
        if reason:
            self._end(evaluation, EvaluationStatus.SKIPPED, note=reason)
            return
        if jobset.declares:
            looked = self._declared.look(jobset, evaluation)
            if looked.goes_on is None:
                self._finish(
                    replace(evaluation, revision=looked.pinned.input.revision),
                    looked.pinned,
                    looked.status,
                    note=looked.note,
                    complaints=looked.complaints,
                )
                return
            jobset, evaluation = looked.goes_on
        pinned, reason = self._pinning.pin(jobset, evaluation)
        # From here on it is of what was pinned: a tag's commit, the default branch by its name.
        evaluation = replace(
            evaluation,
            ref=pinned.input.ref,
            revision=pinned.input.revision,
            subject=pinned.commit.subject,
            author=pinned.commit.author,
        )
        if evaluation.kind in BY_PUSH:
            reason = skip_reason(pinned.commit.message)
        if reason:
            self._finish(evaluation, pinned, EvaluationStatus.SKIPPED, note=reason)
            return
        key = self._repeats.key(jobset, evaluation, pinned)
        if self._repeat(jobset, evaluation, pinned, key):
            self._maintain(evaluation, pinned.mirror)
            return
        read = self._reading.read(jobset, evaluation, pinned)
        complaints = at_most((*read.complaints, *read.broken))
        if read.complaints or (read.broken and not read.jobs):
            self._finish(
                evaluation,
                pinned,
                EvaluationStatus.FAILED,
                complaints=complaints,
                skipped=read.left_out,
            )
            return
        if not read.jobs:
            globs = recipe_globs(evaluation.options, jobset.recipe_path)
            places = ", ".join(globs) or "nothing"
            note = f"there is no recipe at this revision (looked for {places})"
            with self._store.transaction():
                self._declare(jobset, evaluation, pinned, read.schedules)
                self._finish(evaluation, pinned, EvaluationStatus.SKIPPED, note=note)
            return
        self._create_builds(jobset, evaluation, pinned, read, key)
        self._maintain(evaluation, pinned.mirror)

    @staticmethod
    def _maintain(evaluation: Evaluation, mirror: "Mirror") -> None:
        """Keep a mirror quick. The evaluation is done: a failure here is not its failure."""
        if evaluation.number % _MAINTAIN_EVERY:
            return
        try:
            mirror.maintain()
        except CiError as error:
            log.warning("mirror-not-maintained", mirror=mirror.address, why=error.message)

    def _declare(
        self,
        jobset: Jobset,
        evaluation: Evaluation,
        pinned: Pinned,
        schedules: Sequence[ScheduleSpec],
    ) -> None:
        """What the default branch declares is in force from its push on. Within the transaction
        that ends the evaluation, so that of two pushes the later one has the last word.
        """
        is_default = evaluation.ref == pinned.mirror.default_branch()
        is_whole = recipe_globs(evaluation.options, jobset.recipe_path) == jobset.recipe_path
        if evaluation.kind is not Kind.PUSH or not is_default or not is_whole:
            return
        if not schedules and not self._store.schedules.list_of_jobset(jobset.id):
            return
        if self._store.history.was_overtaken(evaluation):
            return
        if declare_schedules(self._store, jobset, tuple(schedules), self._clock.now()):
            self._store.after_commit(self._wake_schedules)

    def _repeat(self, jobset: Jobset, evaluation: Evaluation, pinned: Pinned, key: str) -> bool:
        """Whether an earlier evaluation stands for this one, which is at its end then. Recipes
        that declare schedules are always read, so these declare none.
        """
        earlier = self._repeats.find(jobset, key)
        if earlier is None:
            return False
        with self._store.transaction():
            if not self._store.evaluations.is_open(evaluation.id):
                return True  # nobody wants it any more
            if not self._repeats.write(evaluation, earlier):
                return False
            self._declare(jobset, evaluation, pinned, ())
            self._finish(evaluation, pinned, EvaluationStatus.SUCCEEDED, skipped=earlier.skipped)
        return True

    def _create_builds(
        self, jobset: Jobset, evaluation: Evaluation, pinned: Pinned, read: Read, key: str
    ) -> None:
        """Build what can be built; the evaluation says of other jobs why not."""
        plan = self._building.plan(jobset, evaluation, pinned, read.jobs)
        broken = tuple(read.broken)
        status = EvaluationStatus.SUCCEEDED if plan.jobs else EvaluationStatus.SKIPPED
        note = "" if plan.jobs else "every job of the recipe was left out by its filters"
        with self._store.transaction():
            if not self._store.evaluations.is_open(evaluation.id):
                return  # nobody wants it any more
            self._declare(jobset, evaluation, pinned, read.schedules)
            if plan.complaints:
                self._finish(
                    evaluation,
                    pinned,
                    EvaluationStatus.FAILED,
                    complaints=at_most((*plan.complaints, *broken)),
                    skipped=read.left_out,
                )
                return
            made = self._building.make(jobset, evaluation, plan)
            if plan.jobs:
                self._repeats.remember(evaluation, key, read, plan)
            self._finish(
                evaluation,
                pinned,
                status,
                note=note,
                complaints=at_most(broken),
                skipped=(*read.left_out, *plan.skipped),
                created=made,
            )
        self._ring_engine()

    def _finish(
        self,
        evaluation: Evaluation,
        pinned: Pinned,
        status: EvaluationStatus,
        *,
        note: str = "",
        complaints: tuple[Complaint, ...] = (),
        skipped: tuple[SkippedJob, ...] = (),
        created: Sequence[int] = (),
    ) -> None:
        with self._store.transaction():
            if not self._store.evaluations.is_open(evaluation.id):
                return  # nobody wants it any more
            self._answer(evaluation.id, status, note, complaints, created)
            self._store.jobsets.end_one_shot(evaluation.jobset_id)
            self._store.evaluations.finish(
                evaluation.id,
                status,
                self._clock.now(),
                note=note_of(evaluation.options, note),
                complaints=complaints,
                skipped=skipped,
                inputs=(pinned.input, *pinned.others),
                pinned_at=pinned.at,
                ref=pinned.input.ref,
                revision=pinned.input.revision,
                subject=pinned.commit.subject[:500],
                author=pinned.commit.author[:200],
                committed_at=pinned.commit.committed_at,
            )
            if status is not EvaluationStatus.SKIPPED:
                ended = self._store.evaluations.get_without_inputs(evaluation.id)
                self._fault_mails.tell(ended, complaints)

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
            if not self._store.claims.holds_evaluation(evaluation.id):
                return
            self._end(evaluation, EvaluationStatus.FAILED, complaints=complaints)
            self._store.jobsets.end_one_shot(evaluation.jobset_id)

    def _end(
        self,
        evaluation: Evaluation,
        status: EvaluationStatus,
        *,
        note: str = "",
        complaints: tuple[Complaint, ...] = (),
    ) -> None:
        """Without anything that was pinned."""
        with self._store.transaction():
            if not self._store.evaluations.is_open(evaluation.id):
                return
            self._answer(evaluation.id, status, note, complaints, ())
            self._store.evaluations.finish(
                evaluation.id,
                status,
                self._clock.now(),
                note=note_of(evaluation.options, note),
                complaints=complaints,
            )
            if status is not EvaluationStatus.SKIPPED:
                self._fault_mails.tell(evaluation, complaints)

    def _answer(
        self,
        evaluation_id: int,
        outcome: EvaluationStatus,
        note: str,
        complaints: tuple[Complaint, ...],
        created: Sequence[int],
    ) -> None:
        """Complete the job requests that wait for this evaluation."""
        is_failed = outcome is EvaluationStatus.FAILED
        status = RequestStatus.FAILED if is_failed else RequestStatus.DONE
        message = "; ".join(map(str, complaints)) or note or "Ok"
        for request in self._store.requests.list_waiting_for(evaluation_id):
            self._store.requests.complete(
                request.id, status, self._clock.now(), message=message, created=created
            )


def _complaints(error: CiError) -> tuple[Complaint, ...]:
    if isinstance(error, Invalid) and error.complaints:
        return error.complaints
    return (Complaint("", error.message + (f" ({error.hint})" if error.hint else "")),)
