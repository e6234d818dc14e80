"""How builds end: counted, and told to whoever the recipe says, in the same transaction."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial

from ciserver.model.build import NO_LABEL, Build, BuildResult, Job, Label, Step, TriggerSpec
from ciserver.model.evaluation import Evaluation
from ciserver.model.event import BuildFinished, StepSummary, stamp
from ciserver.model.frozen import frozen
from ciserver.model.links import Links
from ciserver.model.mail import entries_of
from ciserver.model.ports import Clock
from ciserver.model.project import SUBMITTED, JobsetSettings
from ciserver.model.push import Trust
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.text import job_from_json
from ciserver.service.group_ends import GroupEnds
from ciserver.service.mails import Mail, Mails
from ciserver.service.telling import MAIL, Telling
from ciserver.store.database import in_pieces
from ciserver.store.store import Store

_UNTRUSTED = "it was proposed by somebody who may not push, whose triggers are not run"
_FIRST_LOOK = timedelta(days=1)  # whether its products still stand
_ENDS = [one for one in BuildStatus if one.is_final and one is not BuildStatus.CANCELED]
# Those that say something of the job, and not of the server or of what people wanted.
_VERDICTS = [one for one in _ENDS if one is not BuildStatus.ERRORED]


@frozen
class _Told:
    """A build whose end somebody may want to hear of. It ended now; or it is one of earlier, which
    stands for a job again: `before` is None.
    """

    build: Build
    before: int | None
    job: Job
    maintainers: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    label: Label = NO_LABEL


class _Cause:
    """What the builds share that ended of one cause: it is read once, and mailed together."""

    def __init__(self, store: Store) -> None:
        self.mails = Mails()
        self.settings = cache(store.jobsets.find_settings)  # none of a jobset that was removed
        self.evaluation = cache(store.evaluations.get_without_inputs)


class Ends:
    """`ring_engine` wakes whoever runs builds: an end may set others free. `count` is told of each
    build that ended, `declare` of each that is good, within the transaction of its end.
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

    def end(self, build_id: int, attempt: int, result: BuildResult) -> str:
        """An attempt ended, and its build with it; answers its worker if that has faults."""
        faulty = self._store.attempts.end(
            build_id, attempt, result.status, result.reason, result.detail, self._clock.now()
        )
        self.follow([build_id])
        return faulty

    def follow(self, build_ids: Iterable[int]) -> None:
        """What follows from the end of builds, which have one cause: they are counted and told, and
        those that waited for them may start, or end too.
        """
        ended, cause = list(build_ids), _Cause(self._store)
        while ended:
            ended = [one for some in in_pieces(ended) for one in self._follow(some, cause)]
        self._send(cause.mails)
        self._store.after_commit(self._ring_engine)

    def _follow(self, build_ids: list[int], cause: "_Cause") -> list[int]:
        """Answers those that end because of these."""
        found = self._store.builds.with_jobs(build_ids)
        builds = [one for one, _ in found]
        self._count_in_evaluations(builds)
        jobs = ((one, job_from_json(text)) for one, text in found)
        for told in self._told(jobs, cause):
            self._tell(told, cause, cause.mails)
        self._groups.follow(builds)
        ended = self._settle_dependents(builds)
        for group in sorted({one.concurrency for one in builds}):
            self._store.gates.admit_next(group)
        self._store.keeping.look_at(build_ids, self._clock.now() + _FIRST_LOOK)
        for build in builds:
            if build.status.is_good:
                self._declare(build)
            self._store.after_commit(partial(self._count, build))
        return ended

    def _count_in_evaluations(self, builds: Iterable[Build]) -> None:
        finished, good = Counter[int](), Counter[int]()
        for one in builds:
            finished[one.evaluation_id] += 1
            good[one.evaluation_id] += int(one.status.is_good)
        for evaluation_id, many in finished.items():
            self._store.evaluations.count_builds(
                evaluation_id, finished=many, good=good[evaluation_id]
            )

    def _settle_dependents(self, builds: Iterable[Build]) -> list[int]:
        """Let start what needs builds that succeeded; answers those that end because one did
        not.
        """
        ended, by_id = list[int](), {one.id: one for one in builds}
        for build_id, dependents in self._store.gates.all_dependents(by_id).items():
            build = by_id[build_id]
            if build.status.is_good:
                for one in dependents:
                    self._store.gates.admit(one)
                continue
            detail = f"it needs {build.job}, and build {build.id} of it ended as {build.status}"
            ended += self._store.queue.end_waiting(
                dependents, BuildStatus.DEPENDENCY_FAILED, Reason.NONE, detail, self._clock.now()
            )
        return ended

    def tell_reused(self, reused: Iterable[tuple[int, Job]], evaluation: Evaluation) -> None:
        """Earlier builds, which succeeded, stand for these jobs of an evaluation: whoever a job now
        wants to tell of that revision is told, once.
        """
        cause = _Cause(self._store)
        settings = cause.settings(evaluation.jobset_id)
        wanted = [one for one in reused if one[1].triggers or _maintainers(one[1], settings)]
        for some in in_pieces(wanted):
            builds = {one.id: one for one in self._store.listings.of_ids(one for one, _ in some)}
            there = [(builds[one], job) for one, job in some if one in builds]
            for told in self._told(there, cause):
                build = replace(
                    told.build,
                    ref=evaluation.ref,
                    revision=evaluation.revision,
                    evaluation_id=evaluation.id,
                )
                mails = Mails()
                again = replace(told, build=build, before=None)
                self._tell(again, cause, mails, f":{evaluation.id}")
                self._send(mails)

    def _told(self, ended: Iterable[tuple[Build, Job]], cause: _Cause) -> Iterator[_Told]:
        """Those that somebody may want to hear of, as builds that ended now."""
        found = [_Told(one, one.id, job, self._readers(one, job, cause)) for one, job in ended]
        found = [one for one in found if one.job.triggers or one.maintainers]
        if found:
            steps = self._store.builds.steps_of(one.build for one in found)
            labels = self._store.labels.of(one.build.id for one in found)
            for one in found:
                label = labels.get(one.build.id, NO_LABEL)
                yield replace(one, steps=steps[one.build.id], label=label)

    @staticmethod
    def _readers(build: Build, job: Job, cause: _Cause) -> tuple[str, ...]:
        """Who is mailed when the state of a job changes, if this end says something of it."""
        is_verdict = build.status in _VERDICTS
        return _maintainers(job, cause.settings(build.jobset_id)) if is_verdict else ()

    def _tell(self, told: _Told, cause: _Cause, mails: Mails, occasion: str = "") -> None:
        """Put what the triggers of a build want into the outbox, and the mails of it to the others
        that are sent together.
        """
        triggers, event = told.job.triggers, self._event(told, cause.evaluation)
        wanted = [
            Mail(event, f"{index}{occasion}", spec)
            for index, spec in enumerate(triggers)
            if event.meets(spec.condition)
        ]
        if told.build.trust is not Trust.TRUSTED:
            for one in wanted:
                self._add_delivery(one, skipped=_UNTRUSTED)
            wanted = []
        if told.maintainers:
            judged = replace(event, previous_status=self._previous(told, _VERDICTS))
            spec = TriggerSpec(MAIL, "change", {"to": list(told.maintainers)})
            if judged.meets(spec.condition):
                wanted.append(Mail(judged, f"{len(triggers)}{occasion}", spec))
        for one in wanted:
            if one.spec.action != MAIL:
                self._add_delivery(one)
            elif (settings := cause.settings(told.build.jobset_id)) and settings.tell_by_mail:
                mails.add(one)

    def _send(self, mails: Mails) -> None:
        for one in mails.list_all():
            self._add_delivery(one)

    def _add_delivery(self, told: Mail, *, skipped: str = "") -> None:
        event = told.event
        occasion = f"{event.build_id}:{event.attempt}:{event.type}:{told.index}"
        self._telling.tell(event, told.spec, occasion, skipped=skipped)

    def _previous(self, told: _Told, saying: Iterable[BuildStatus]) -> str:
        """Submissions are made of anything, so none is the one before another."""
        if _is_submission(told.build):
            return ""
        return self._store.builds.previous_status(told.build, before=told.before, saying=saying)

    def _event(self, told: _Told, evaluation_of: Callable[[int], Evaluation]) -> BuildFinished:
        build, evaluation = told.build, evaluation_of(told.build.evaluation_id)
        steps = tuple(
            StepSummary(
                one.name, one.status.value, self._links.log(build.id, one.attempt, one.name)
            )
            for one in told.steps
        )
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
            previous_status=self._previous(told, _ENDS),
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
            cached=told.before is None,
            worker=build.worker,
            note=told.label.note,
            tags=told.label.tags,
            unstarted=() if steps else tuple(one.name for one in told.job.tasks),
            is_submission=_is_submission(build),
        )


def _maintainers(job: Job, settings: JobsetSettings | None) -> tuple[str, ...]:
    """Those of the recipe, unless the jobset names others; none where it was removed."""
    return tuple(entries_of(settings.mail_to)) or job.maintainers if settings else ()


def _is_submission(build: Build) -> bool:
    return build.project.startswith("~") and build.jobset == SUBMITTED


def _seconds(start: datetime | None, end: datetime | None) -> float:
    return round((end - start).total_seconds(), 3) if start and end else 0.0
