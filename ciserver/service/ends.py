"""How builds end: counted, and told to whoever the recipe says, in the same transaction."""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ciserver.model.build import Build, BuildResult, Job, TriggerSpec
from ciserver.model.evaluation import Evaluation
from ciserver.model.event import BuildFinished, StepSummary, stamp
from ciserver.model.links import Links
from ciserver.model.ports import Clock
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.text import job_from_json
from ciserver.store.store import Store


class Ends:
    """`ring_deliveries` wakes whoever sends what is in the outbox, `ring_engine` whoever runs
    builds: an end may set others free.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        links: Links,
        *,
        ring_deliveries: Callable[[], None],
        ring_engine: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._links = links
        self._ring_deliveries = ring_deliveries
        self._ring_engine = ring_engine

    def end(self, build_id: int, attempt: int, result: BuildResult) -> None:
        """An attempt ended, and its build with it."""
        self._store.attempts.end(
            build_id, attempt, result.status, result.reason, result.detail, self._clock.now()
        )
        self.follow(build_id)

    def follow(self, build_id: int) -> None:
        """What follows from the end of a build: it is counted and told, and those that waited for
        it may start, or end too.
        """
        ended = [build_id]
        while ended:
            build = self._store.builds.get(ended.pop())
            self._store.evaluations.count_builds(
                build.evaluation_id, finished=1, good=int(build.status.is_good)
            )
            self._tell(build)
            ended += self._settle_dependents(build)
            self._store.gates.admit_next(build.concurrency)
        self._store.after_commit(self._ring_engine)

    def _settle_dependents(self, build: Build) -> list[int]:
        """Let start what needs a build that succeeded; answers those that end because it did
        not.
        """
        dependents = self._store.gates.dependents(build.id)
        if build.status.is_good:
            for one in dependents:
                self._store.gates.admit(one)
            return []
        detail = f"it needs {build.job}, and build {build.id} of it ended as {build.status}"
        return [
            one
            for one in dependents
            if self._store.queue.end_waiting(
                one, BuildStatus.DEPENDENCY_FAILED, Reason.NONE, detail, self._clock.now()
            )
        ]

    def tell_reused(self, build: Build, evaluation: Evaluation) -> None:
        """An earlier build stands for a job of an evaluation: whoever wants to know of that
        revision is told, once.
        """
        again = replace(build, ref=evaluation.ref, revision=evaluation.revision)
        self._tell(replace(again, evaluation_id=evaluation.id), f":{evaluation.id}")

    def _tell(self, build: Build, occasion: str = "") -> None:
        """Put what the triggers of a build want into the outbox."""
        job = job_from_json(self._store.builds.job_text(build.id))
        triggers = _triggers(job)
        if not triggers:
            return
        event = self._event(build)
        for index, spec in enumerate(triggers):
            if event.meets(spec.condition):
                self._add_delivery(build, event, f"{index}{occasion}", spec)
        self._store.after_commit(self._ring_deliveries)

    def _add_delivery(
        self, build: Build, event: BuildFinished, index: str, spec: TriggerSpec
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


def _triggers(job: Job) -> tuple[TriggerSpec, ...]:
    """Those of the recipe; maintainers are mailed when the state changes."""
    if not job.maintainers:
        return job.triggers
    return (*job.triggers, TriggerSpec("email", "change", {"to": list(job.maintainers)}))


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
