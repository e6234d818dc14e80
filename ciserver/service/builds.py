"""What becomes of builds: finished, canceled, run again, rescued from lost workers."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog

from ciserver.model.account import Actor, Right
from ciserver.model.build import Build, BuildResult, Lease, Loss, StepResult
from ciserver.model.errors import (
    BuildAlreadyFinished,
    BuildAlreadyStarted,
    BuildNotFinished,
    Complaint,
    Conflict,
    Invalid,
)
from ciserver.model.ports import Clock, Engine
from ciserver.model.request import Action
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.text import job_from_json
from ciserver.service.audit import Audit
from ciserver.service.backoff import Backoff
from ciserver.service.ends import Ends
from ciserver.service.rights import Rights
from ciserver.service.waiting import could_take, why_idle
from ciserver.store.store import Store

log = structlog.get_logger()

HIGHEST_PRIORITY = 10  # but for administrators
_PRIORITY_BOUND = 1_000_000
MOST_REBUILDS = 100
_LOGGED = 20
_WAITS_FOR_OTHERS = timedelta(seconds=60)


class Builds:
    """`engine` runs builds; the number of `retries` is for attempts that were lost."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        ends: Ends,
        backoff: Backoff,
        *,
        retries: int,
        most_rebuilds: int = MOST_REBUILDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._ends = ends
        self._backoff = backoff
        self._retries = retries
        self._most_rebuilds = most_rebuilds
        self._engine: Engine | None = None

    def run_on(self, engine: Engine) -> None:
        """Name the engine that is rung when a build is queued again and told of cancellations."""
        self._engine = engine

    def finish(self, lease: Lease, result: BuildResult, steps: tuple[StepResult, ...]) -> None:
        """End an attempt: result, steps, counters and deliveries in one transaction.
        Raises LeaseLost, Conflict for a move that is not allowed.
        """
        with self._store.transaction():
            status = self._store.attempts.check(lease)
            if not (result.status.is_final and status.may_become(result.status)):
                raise Conflict(f"build {lease.build_id} is {status}, not {result.status}")
            if result.status is BuildStatus.CANCELED and self._store.attempts.was_superseded(lease):
                result = replace(result, reason=Reason.SUPERSEDED)
            self._store.attempts.end_steps(lease, steps, self._clock.now())
            if self._is_tried_again(lease, result):
                return
            was_judged = status is not BuildStatus.STARTING and not result.status.is_aborted
            if not was_judged:
                self._backoff.ended(lease.build_id, result.reason, result.detail)
            faulty = self._ends.end(lease.build_id, lease.attempt, result)
            if faulty and was_judged:
                self._backoff.went_well(faulty)

    def _is_tried_again(self, lease: Lease, result: BuildResult) -> bool:
        """Queue a build again whose command failed, where its recipe asks for that."""
        if result.status is not BuildStatus.FAILED or result.reason is not Reason.EXIT_CODE:
            return False
        wanted = job_from_json(self._store.builds.job_text(lease.build_id)).retry_on_failure
        failed = self._store.attempts.count_failed(lease.build_id)
        if failed >= wanted:
            return False
        again = Loss(f"{result.detail}; it is tried again", result.reason, counts=False)
        self._store.queue.requeue(
            lease.build_id, lease.attempt, again, self._clock.now(), status=result.status
        )
        self._ring()
        return True

    # -- asked for by people ----------------------------------------------------------------------
    # Each answers the build as it left it: an engine may have gone on with it since.

    def cancel(self, actor: Actor, build_id: int) -> Build:
        """Stop a build. Safe to repeat while it stops. Raises BuildAlreadyFinished, NotFound."""
        with self._audit.record(actor, Action.CANCEL_BUILD, build=build_id):
            build = self._rights.build(actor, build_id, Right.CANCEL)
            if build.status.is_final:
                raise BuildAlreadyFinished(f"build {build_id} is {build.status}")
            self.stop([build_id], actor.name)
            return self._store.builds.get(build_id)

    def cancel_all(self, actor: Actor, build_ids: Iterable[int]) -> None:
        """Stop builds that have not ended, all or none, as if each was canceled by itself. Raises
        NotFound, NotSignedIn, Forbidden.
        """
        wanted = list(build_ids)
        with self._store.transaction():
            for one in wanted:
                with self._audit.record(actor, Action.CANCEL_BUILD, build=one):
                    self._rights.build(actor, one, Right.CANCEL)
            self.stop(wanted, actor.name)

    def stop(self, build_ids: Iterable[int], by: str) -> None:
        """Cancel builds that have not ended, whoever says so. What ends at once has one cause."""
        now, wanted = self._clock.now(), list(build_ids)
        if not wanted:
            return
        with self._store.transaction():
            ended = self._store.queue.cancel_waiting(wanted, by, now)
            self._ends.follow(ended)
            running = sorted(set(wanted).difference(ended))
            self._store.attempts.ask_to_cancel(running, by, now)
        for one in running:  # only what is durable is told: the worker asks the store why
            self._store.after_commit(partial(self.stop_running, one))
        log.info("builds-canceled", builds=wanted[:_LOGGED], total=len(wanted), by=by)

    def stop_running(self, build_id: int) -> None:
        """Tell whoever runs the build at once what the store says already."""
        if self._engine is not None:
            self._engine.stop(build_id)

    def rerun(self, actor: Actor, build_id: int) -> Build:
        """Run a finished build again: the same build, the same pinned inputs, one more attempt.
        Raises BuildNotFinished, NotFound.
        """
        with self._audit.record(actor, Action.RERUN_BUILD, build=build_id):
            build = self._rights.build(actor, build_id, Right.RESTART)
            if not build.status.is_final:
                raise BuildNotFinished(
                    f"build {build_id} is {build.status}", hint="cancel it first, or wait"
                )
            self._run_again(build)
            waiting = self._store.builds.get(build_id)
        self._ring()
        log.info("build-rerun", build=build_id, by=actor.name)
        return waiting

    def run_again(self, build_id: int) -> bool:
        """Let a finished build wait for another attempt, whoever says so. False for one that has
        not ended.
        """
        with self._store.transaction():
            build = self._store.builds.get(build_id)
            if not build.status.is_final:
                return False
            self._run_again(build)
        return True

    def _run_again(self, build: Build) -> None:
        """The build, and whatever ended because of it, waits again."""
        self._store.queue.rerun(build.id, self._clock.now())
        self._store.evaluations.count_builds(
            build.evaluation_id, finished=-1, good=-int(build.status.is_good)
        )
        for one in self._store.gates.dependents(build.id):
            dependent = self._store.builds.get(one)
            if dependent.status is BuildStatus.DEPENDENCY_FAILED:
                self._run_again(dependent)

    def bump(self, actor: Actor, build_id: int) -> Build:
        """Put a waiting build before all others. Raises BuildAlreadyStarted,
        BuildAlreadyFinished, NotFound.
        """
        with self._audit.record(actor, Action.BUMP_BUILD, build=build_id):
            build = self._rights.build(actor, build_id, Right.BUMP)
            self.require_waiting(build)
            self._store.queue.bump(build_id, self._clock.now())
            bumped = self._store.builds.get(build_id)
        self._ring()
        return bumped

    def rebuild(
        self, actor: Actor, build_id: int, *, priority: int = 0, count: int = 1
    ) -> tuple[int, ...]:
        """New builds of what a build was made of, whatever became of it; answers their ids.
        Raises Invalid, NotFound.
        """
        self.check_count(count)
        with self._audit.record(
            actor, Action.REBUILD, build=build_id, priority=priority, count=count
        ) as outcome:
            build = self._rights.build(actor, build_id, Right.EVALUATE)
            self.check_priority(actor, priority)
            outcome.created += [self._copy(actor, build, priority) for _ in range(count)]
        self._ring()
        return tuple(outcome.created)

    def _copy(self, actor: Actor, build: Build, priority: int) -> int:
        evaluation = self._store.evaluations.get(build.evaluation_id)
        job = job_from_json(self._store.builds.job_text(build.id))
        texts = self._store.builds.texts(build.id)
        made = self._store.queue.add(
            replace(evaluation, requested_by=actor.name),
            replace(job, priority=priority),
            texts,
            self._clock.now(),
            rebuild_of=build.id,
        )
        self._store.evaluations.count_builds(evaluation.id, total=1)
        if label := self._store.labels.of([build.id]).get(build.id):
            self._store.labels.add([made], actor.name, label)
        return made

    def reprioritize(self, actor: Actor, build_id: int, priority: int) -> Build:
        """Give a waiting build another priority. Raises BuildAlreadyStarted,
        BuildAlreadyFinished, Invalid, NotFound.
        """
        with self._audit.record(actor, Action.REPRIORITIZE, build=build_id, priority=priority):
            build = self._rights.build(actor, build_id, Right.BUMP)
            self.check_priority(actor, priority)
            self.require_waiting(build)
            self._store.queue.reprioritize(build_id, priority, self._clock.now())
        return self._store.builds.get(build_id)

    @staticmethod
    def require_waiting(build: Build) -> None:
        """Raises BuildAlreadyFinished or BuildAlreadyStarted."""
        if build.status.is_final:
            raise BuildAlreadyFinished(f"build {build.id} is {build.status}", status=build.status)
        if not build.status.is_waiting:
            raise BuildAlreadyStarted(f"build {build.id} is {build.status}", status=build.status)

    @staticmethod
    def check_priority(actor: Actor, priority: int) -> None:
        """Raises Invalid for one that the actor may not give."""
        highest = _PRIORITY_BOUND if actor.is_admin else HIGHEST_PRIORITY
        if not -_PRIORITY_BOUND <= priority <= highest:
            fault = Complaint("priority", f"must be {-_PRIORITY_BOUND} to {highest}")
            raise Invalid("the priority cannot be given", complaints=[fault])

    def check_count(self, count: int) -> None:
        """Raises Invalid for a number of rebuilds that nobody may ask for at once."""
        if not 1 <= count <= self._most_rebuilds:
            fault = Complaint("count", f"must be 1 to {self._most_rebuilds}")
            raise Invalid("the build cannot be made again", complaints=[fault])

    def start(self, actor: Actor, build_id: int) -> Build:
        """Let a held build wait for a worker. Raises BuildAlreadyStarted, BuildAlreadyFinished,
        NotFound.
        """
        with self._audit.record(actor, Action.START_BUILD, build=build_id):
            build = self._rights.build(actor, build_id, Right.EVALUATE)
            if not self._store.queue.release(build_id, self._clock.now()):
                self.require_waiting(build)
                raise BuildAlreadyStarted(
                    f"build {build_id} is {build.status}", status=build.status
                )
            waiting = self._store.builds.get(build_id)
        self._ring()
        return waiting

    def keep(self, actor: Actor, build_id: int, *, kept: bool) -> Build:
        """Protect a build's products from being cleaned away, or no more. Raises
        BuildNotFinished for one that did not succeed, NotFound.
        """
        with self._audit.record(actor, Action.KEEP_BUILD, build=build_id, kept=kept):
            build = self._rights.build(actor, build_id, Right.EDIT)
            if not build.status.is_good:
                raise BuildNotFinished(
                    f"build {build_id} is {build.status}, and only what succeeded is kept"
                )
            self._store.builds.keep(build_id, self._clock.now(), kept=kept)
        return self._store.builds.get(build_id)

    def delete(self, actor: Actor, build_id: int) -> None:
        """Take a finished build out of every list; nobody finds it any more. Raises
        BuildNotFinished, NotFound.
        """
        with self._audit.record(actor, Action.DELETE_BUILD, build=build_id):
            build = self._rights.build(actor, build_id, Right.EDIT)
            if not build.status.is_final:
                raise BuildNotFinished(f"build {build_id} is {build.status}")
            self._store.builds.delete(build_id, build.requested_by)
            self._store.keeping.look_at([build_id], self._clock.now())
            self._store.log_keeping.look_at(build_id, self._clock.now())

    # -- rescued ----------------------------------------------------------------------------------

    def rescue_lost(self) -> int:
        """Queue the builds whose lease ran out again, or end those that were lost too often. What
        waited long enough for another worker than its last one may be had by any.
        """
        now = self._clock.now()
        with self._store.transaction():
            if self._store.queue.avoid_no_more(now - _WAITS_FOR_OTHERS, now):
                self._ring()
        lost = self._store.attempts.list_lost(self._clock.now())
        loss = Loss("the worker stopped answering")
        return sum(self._rescue(*one, loss) for one in lost)

    def recover(self, worker: str) -> int:
        """At start: what this server's own worker held when it was killed is lost at once."""
        lost = self._store.attempts.list_lost(self._clock.now(), worker)
        loss = Loss("the server was stopped while it ran")
        return sum(self._rescue(*one, loss) for one in lost)

    def give_back(self, lease: Lease, loss: Loss) -> None:
        """An attempt ended before its job could be judged. Raises LeaseLost."""
        with self._store.transaction():
            self._store.attempts.check(lease)
            build = self._store.builds.get(lease.build_id)
            if loss.counts:
                self._backoff.ended(build.id, loss.reason, loss.detail)
            self._lose(build, loss)
        self._ring()

    def _rescue(self, build_id: int, attempt: int, loss: Loss) -> int:
        with self._store.transaction():
            build = self._store.builds.get(build_id)
            if build.status.is_final or build.status.is_waiting or build.attempt != attempt:
                return 0
            self._lose(build, loss)
        log.warning("attempt-lost", build=build_id, attempt=attempt, why=loss.detail)
        self._ring()
        return 1

    def _lose(self, build: Build, loss: Loss) -> None:
        if build.status is BuildStatus.CANCELING:
            result = BuildResult(BuildStatus.CANCELED, Reason.CANCELED_BY, loss.detail)
        elif loss.counts and self._store.builds.lost_attempts(build.id) >= self._retries_of(build):
            result = BuildResult(
                BuildStatus.ERRORED,
                loss.reason,
                f"{loss.detail}; this was attempt {build.attempt}, and it is not tried again",
            )
        else:
            avoided = build.worker if loss.counts and self._others_can(build) else ""
            self._store.queue.requeue(
                build.id, build.attempt, loss, self._clock.now(), avoided=avoided
            )
            return
        self._ends.end(build.id, build.attempt, result)

    def _others_can(self, build: Build) -> bool:
        """Whether there is another worker for the build right now."""
        workers = self._engine.state().workers if self._engine is not None else ()
        able = [one for one in workers if one.name != build.worker and could_take(one, build)]
        pauses = {one.worker: one for one in self._store.pauses.list_all(self._clock.now())}
        return any(not why_idle(one, pauses) for one in able)

    def _retries_of(self, build: Build) -> int:
        own = job_from_json(self._store.builds.job_text(build.id)).retries
        return self._retries if own is None else own

    def _ring(self) -> None:
        if self._engine is not None:
            self._store.after_commit(self._engine.ring)
