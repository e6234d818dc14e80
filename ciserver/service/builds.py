"""What becomes of builds: finished, canceled, run again, rescued from lost workers."""

import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import datetime

import structlog

from ciserver.model.account import Actor
from ciserver.model.build import Build, BuildResult, Lease, Loss, StepResult, TriggerSpec
from ciserver.model.errors import BuildAlreadyFinished, BuildNotFinished, Conflict
from ciserver.model.event import BuildFinished, StepSummary, stamp
from ciserver.model.links import Links
from ciserver.model.ports import Clock, Engine
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.text import job_from_json
from ciserver.service.access import Access
from ciserver.store.store import Store

log = structlog.get_logger()


class Builds:
    """`engine` runs builds; `ring_deliveries` wakes whoever sends what is in the outbox."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        links: Links,
        *,
        retries: int,
        ring_deliveries: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._links = links
        self._retries = retries
        self._ring_deliveries = ring_deliveries
        self._engine: Engine | None = None

    def run_on(self, engine: Engine) -> None:
        """Name the engine that is rung when a build is queued again and told of cancellations."""
        self._engine = engine

    # -- ends -------------------------------------------------------------------------------------

    def finish(self, lease: Lease, result: BuildResult, steps: tuple[StepResult, ...]) -> None:
        """End an attempt: result, steps, counters and deliveries in one transaction.
        Raises LeaseLost, Conflict for a move that is not allowed.
        """
        with self._store.transaction():
            status = self._store.queue.check(lease)
            if not (result.status.is_final and status.may_become(result.status)):
                raise Conflict(f"build {lease.build_id} is {status}, not {result.status}")
            self._store.queue.end_steps(lease, steps, self._clock.now())
            self._end(lease.build_id, lease.attempt, result)

    def _end(self, build_id: int, attempt: int, result: BuildResult) -> None:
        self._store.queue.end(
            build_id, attempt, result.status, result.reason, result.detail, self._clock.now()
        )
        self._tell(build_id)

    def _tell(self, build_id: int) -> None:
        """Count a build that has just ended, and put what its triggers want into the outbox."""
        build = self._store.builds.get(build_id)
        self._store.evaluations.count_builds(
            build.evaluation_id, finished=1, good=int(build.status.is_good)
        )
        job = job_from_json(self._store.builds.job_text(build_id))
        if not job.triggers:
            return
        event = self._event(build)
        for index, spec in enumerate(job.triggers):
            if event.meets(spec.condition):
                self._add_delivery(build, event, index, spec)
        self._store.after_commit(self._ring_deliveries)

    def _add_delivery(
        self, build: Build, event: BuildFinished, index: int, spec: TriggerSpec
    ) -> None:
        self._store.outbox.add_once(
            f"msg_{secrets.token_hex(16)}",
            dedupe_key=f"{build.id}:{build.attempt}:{event.type}:{index}:{_digest(spec)}",
            action=spec.action,
            target=_target(spec),
            options=spec.options,
            event=event,
            now=self._clock.now(),
        )

    def _event(self, build: Build) -> BuildFinished:
        evaluation = self._store.evaluations.get(build.evaluation_id)
        steps = self._store.builds.list_steps(build.id)
        return BuildFinished(
            build_id=build.id,
            attempt=build.attempt,
            number=build.number,
            project=build.project,
            jobset=build.jobset,
            job=build.job,
            system=build.system,
            image=build.image,
            status=build.status.value,
            reason=build.reason.value,
            detail=build.detail,
            previous_status=self._store.builds.previous_status(build),
            kind=build.kind.value,
            ref=build.ref,
            revision=build.revision,
            subject=evaluation.subject,
            author=evaluation.author,
            requested_by=build.requested_by,
            canceled_by=build.canceled_by,
            queued_at=stamp(build.queued_at),
            started_at=stamp(build.started_at),
            finished_at=stamp(build.finished_at),
            duration_seconds=_seconds(build.started_at, build.finished_at),
            url=self._links.build(build.id),
            evaluation_url=self._links.evaluation(build.evaluation_id),
            steps=tuple(
                StepSummary(
                    step.name, step.status.value, self._links.log(build.id, step.attempt, step.name)
                )
                for step in steps
                if step.attempt == build.attempt
            ),
        )

    # -- asked for by people ----------------------------------------------------------------------

    def cancel(self, actor: Actor, build_id: int) -> Build:
        """Stop a build. Safe to repeat while it stops. Raises BuildAlreadyFinished, NotFound."""
        Access.require(actor, "builds:write")
        with self._store.transaction():
            build = self._store.builds.get(build_id)
            if build.status.is_final:
                raise BuildAlreadyFinished(f"build {build_id} is {build.status}")
            if self._store.queue.cancel_waiting(build_id, actor.name, self._clock.now()):
                self._tell(build_id)
            else:
                self._store.queue.ask_to_cancel(build_id, actor.name)
        if self._engine is not None:
            self._engine.stop(build_id)
        log.info("build-canceled", build=build_id, by=actor.name)
        return self._store.builds.get(build_id)

    def rerun(self, actor: Actor, build_id: int) -> Build:
        """Run a finished build again: the same build, the same pinned inputs, one more attempt.
        Raises BuildNotFinished, NotFound.
        """
        Access.require(actor, "builds:write")
        with self._store.transaction():
            build = self._store.builds.get(build_id)
            if not build.status.is_final:
                raise BuildNotFinished(
                    f"build {build_id} is {build.status}", hint="cancel it first, or wait"
                )
            self._store.queue.rerun(build_id, actor.name, self._clock.now())
            self._store.evaluations.count_builds(
                build.evaluation_id, finished=-1, good=-int(build.status.is_good)
            )
        self._ring()
        log.info("build-rerun", build=build_id, by=actor.name)
        return self._store.builds.get(build_id)

    # -- rescued ----------------------------------------------------------------------------------

    def rescue_lost(self) -> int:
        """Queue the builds whose lease ran out again, or end those that were lost too often."""
        lost = self._store.queue.list_lost(self._clock.now())
        loss = Loss("the worker stopped answering")
        return sum(self._rescue(*one, loss) for one in lost)

    def recover(self, worker_prefix: str) -> int:
        """At start: what this server's own workers held when it was killed is lost at once."""
        lost = self._store.queue.list_lost(self._clock.now(), worker_prefix)
        loss = Loss("the server was stopped while it ran")
        return sum(self._rescue(*one, loss) for one in lost)

    def give_back(self, lease: Lease, loss: Loss) -> None:
        """An attempt ended before its job could be judged. Raises LeaseLost."""
        with self._store.transaction():
            self._store.queue.check(lease)
            self._lose(self._store.builds.get(lease.build_id), loss)
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
        elif loss.counts and self._store.builds.lost_attempts(build.id) >= self._retries:
            result = BuildResult(
                BuildStatus.ERRORED,
                loss.reason,
                f"{loss.detail}; this was attempt {build.attempt}, and it is not tried again",
            )
        else:
            self._store.queue.requeue(build.id, build.attempt, loss, self._clock.now())
            return
        self._end(build.id, build.attempt, result)

    def _ring(self) -> None:
        if self._engine is not None:
            self._engine.ring()


def _seconds(start: datetime | None, end: datetime | None) -> float:
    return round((end - start).total_seconds(), 3) if start and end else 0.0


def _digest(spec: TriggerSpec) -> str:
    text = json.dumps([spec.action, spec.condition, spec.options], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _target(spec: TriggerSpec) -> str:
    if "url" in spec.options:
        return str(spec.options["url"])
    people = [*spec.options.get("to", ()), *spec.options.get("cc", ())]
    return ", ".join(people)
