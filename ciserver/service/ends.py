"""How builds end: counted, and told to whoever the recipe says, in the same transaction."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from ciserver.model.build import NO_LABEL, Build, BuildResult, Job, TriggerSpec
from ciserver.model.evaluation import Evaluation
from ciserver.model.event import BuildFinished, StepSummary, stamp
from ciserver.model.links import Links
from ciserver.model.mail import entries_of
from ciserver.model.ports import Clock
from ciserver.model.project import SUBMITTED, Jobset, JobsetSettings
from ciserver.model.push import Trust
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.text import job_from_json
from ciserver.service.group_ends import GroupEnds
from ciserver.service.mails import Mail, Mails
from ciserver.service.telling import MAIL, Telling
from ciserver.store.store import Store

_UNTRUSTED = "it was proposed by somebody who may not push, whose triggers are not run"
_FIRST_LOOK = timedelta(days=1)  # whether its products still stand
_ENDS = [one for one in BuildStatus if one.is_final and one is not BuildStatus.CANCELED]
# Those that say something of the job, and not of the server or of what people wanted.
_VERDICTS = [one for one in _ENDS if one is not BuildStatus.ERRORED]


@dataclass(frozen=True)
class _Ended:
    """A build that ended now; or one of earlier, which stands for a job again: `before` is None."""

    build: Build
    before: int | None


class Ends:
    """`ring_engine` wakes whoever runs builds: an end may set others free. `count` is told of each
    build that ended, `declare` within the transaction of each whose attempt did.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        links: Links,
        telling: Telling,
        *,
        ring_engine: Callable[[], None],
        count: Callable[[Build], None],
        declare: Callable[[Build], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._links = links
        self._telling = telling
        self._groups = GroupEnds(store, clock, links, telling)
        self._count = count
        self._declare = declare
        self._ring_engine = ring_engine

    def end(self, build_id: int, attempt: int, result: BuildResult) -> None:
        """An attempt ended, and its build with it."""
        self._store.attempts.end(
            build_id, attempt, result.status, result.reason, result.detail, self._clock.now()
        )
        self.follow(build_id)
        self._declare(self._store.builds.get(build_id))

    def follow(self, build_id: int) -> None:
        """What follows from the end of a build: it is counted and told, and those that waited for
        it may start, or end too.
        """
        ended, mails = [build_id], Mails()
        while ended:
            build = self._store.builds.get(ended.pop())
            self._store.evaluations.count_builds(
                build.evaluation_id, finished=1, good=int(build.status.is_good)
            )
            self._tell_ended(build, mails)
            self._groups.follow(build)
            ended += self._settle_dependents(build)
            self._store.gates.admit_next(build.concurrency)
            if build.attempt:
                self._store.keeping.look_at(build.id, self._clock.now() + _FIRST_LOOK)
            self._store.after_commit(partial(self._count, build))
        self._send(mails)
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

    def tell_reused(self, reused: Iterable[tuple[Build, Job]], evaluation: Evaluation) -> None:
        """Earlier builds stand for these jobs of an evaluation: whoever a job now wants to tell of
        that revision is told, once.
        """
        jobset = self._store.jobsets.find(evaluation.jobset_id)
        for build, job in reused:
            again = replace(build, ref=evaluation.ref, revision=evaluation.revision)
            again = replace(again, evaluation_id=evaluation.id)
            mails = Mails()
            self._tell(_Ended(again, before=None), job, jobset, mails, f":{evaluation.id}")
            self._send(mails)

    def _tell_ended(self, build: Build, mails: Mails) -> None:
        job = job_from_json(self._store.builds.job_text(build.id))
        jobset = self._store.jobsets.find(build.jobset_id)
        self._tell(_Ended(build, before=build.id), job, jobset, mails)

    def _tell(
        self, ended: _Ended, job: Job, jobset: Jobset | None, mails: Mails, occasion: str = ""
    ) -> None:
        """Put what the triggers of a build want into the outbox, and the mails of it to the others
        that are sent together. There is no jobset where it was removed.
        """
        is_verdict = ended.build.status in _VERDICTS
        maintainers = _maintainers(job, jobset.settings) if jobset and is_verdict else ()
        if not (job.triggers or maintainers):
            return
        event = self._event(ended, job)
        wanted = [
            Mail(event, f"{index}{occasion}", spec)
            for index, spec in enumerate(job.triggers)
            if event.meets(spec.condition)
        ]
        if ended.build.trust is not Trust.TRUSTED:
            for one in wanted:
                self._add_delivery(one, skipped=_UNTRUSTED)
            wanted = []
        if maintainers:
            judged = replace(event, previous_status=self._previous(ended, _VERDICTS))
            spec = TriggerSpec(MAIL, "change", {"to": list(maintainers)})
            if judged.meets(spec.condition):
                wanted.append(Mail(judged, f"{len(job.triggers)}{occasion}", spec))
        for one in wanted:
            if one.spec.action != MAIL:
                self._add_delivery(one)
            elif jobset is not None and jobset.settings.tell_by_mail:
                mails.add(one)

    def _send(self, mails: Mails) -> None:
        for one in mails.list_all():
            self._add_delivery(one)

    def _add_delivery(self, told: Mail, *, skipped: str = "") -> None:
        event = told.event
        occasion = f"{event.build_id}:{event.attempt}:{event.type}:{told.index}"
        self._telling.tell(event, told.spec, occasion, skipped=skipped)

    def _previous(self, ended: _Ended, saying: Iterable[BuildStatus]) -> str:
        """Submissions are made of anything, so none is the one before another."""
        if _is_submission(ended.build):
            return ""
        return self._store.builds.previous_status(ended.build, before=ended.before, saying=saying)

    def _event(self, ended: _Ended, job: Job) -> BuildFinished:
        build = ended.build
        evaluation = self._store.evaluations.get(build.evaluation_id)
        steps = tuple(
            StepSummary(
                one.name, one.status.value, self._links.log(build.id, one.attempt, one.name)
            )
            for one in self._store.builds.list_steps(build.id)
            if one.attempt == build.attempt
        )
        label = self._store.labels.of([build.id]).get(build.id, NO_LABEL)
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
            previous_status=self._previous(ended, _ENDS),
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
            steps=steps,
            cached=ended.before is None,
            worker=build.worker,
            note=label.note,
            tags=label.tags,
            unstarted=() if steps else tuple(one.name for one in job.tasks),
            is_submission=_is_submission(build),
        )


def _maintainers(job: Job, settings: JobsetSettings) -> tuple[str, ...]:
    """Who is mailed when the state of a job changes: those of the recipe, unless the jobset names
    others.
    """
    return tuple(entries_of(settings.mail_to)) or job.maintainers


def _is_submission(build: Build) -> bool:
    return build.project.startswith("~") and build.jobset == SUBMITTED


def _seconds(start: datetime | None, end: datetime | None) -> float:
    return round((end - start).total_seconds(), 3) if start and end else 0.0
