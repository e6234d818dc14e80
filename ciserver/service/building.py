"""From the jobs of a recipe to builds: which are wanted, in which order, which are there."""

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cache, partial
from typing import TYPE_CHECKING

from ciserver.model.build import EnvironmentValue, Identity, Job, Policy, Source
from ciserver.model.errors import Complaint
from ciserver.model.evaluation import Evaluation, Kind, PinnedInput, SkippedJob, Wish
from ciserver.model.frozen import frozen
from ciserver.model.links import Links
from ciserver.model.ports import Clock
from ciserver.model.project import InputType, Jobset
from ciserver.model.push import Trust
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.complaints import Faults
from ciserver.recipe.globs import Changes
from ciserver.recipe.graph import order
from ciserver.recipe.keys import content_key
from ciserver.recipe.sources import repository_name, with_pushed_source
from ciserver.recipe.text import job_to_json
from ciserver.service.build_secrets import SshKeys
from ciserver.service.ends import Ends
from ciserver.service.filters import Filters
from ciserver.service.pinning import Pinned, Pinning
from ciserver.service.push_labels import push_label
from ciserver.store.arrivals import Texts
from ciserver.store.gates import ARRIVING, NEEDS
from ciserver.store.store import Store

if TYPE_CHECKING:
    from ciserver.git.mirror import Mirror

_MAY_REUSE = {Kind.PUSH, Kind.PULL_REQUEST}


@frozen
class WrittenJob:
    """A job, and the recipe that it was read from."""

    job: Job
    text: str


@frozen
class Planned:
    """What an evaluation makes: jobs in the order of their needs, each with the key of its content
    (empty where nothing may stand for it) and the build that stands for it already; or complaints.
    `images` says what those of its jobs stand for. It is moving if a job has a source that had to
    be looked up, as it is none of the evaluation's inputs.
    """

    jobs: tuple[WrittenJob, ...] = ()
    needs: Mapping[Identity, tuple[Identity, ...]] = field(default_factory=dict)
    keys: Mapping[Identity, str] = field(default_factory=dict)
    reused: Mapping[Identity, int] = field(default_factory=dict)
    skipped: tuple[SkippedJob, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    is_moving: bool = False


def may_reuse(jobset: Jobset, evaluation: Evaluation) -> bool:
    """Whether earlier results may stand for jobs of an evaluation: not where they are asked for."""
    is_asked = evaluation.kind not in _MAY_REUSE or evaluation.wish.jobs
    return not is_asked and jobset.settings.reuse_results


class Building:
    """`stop` tells whoever runs a build that it is no longer wanted. `image_id` answers another
    text for each making of an image, or nothing where the machine's own files stand for it.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        pinning: Pinning,
        ends: Ends,
        links: Links,
        *,
        stop: Callable[[int], None],
        image_id: Callable[[str], str],
        untrusted_network: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pinning = pinning
        self._ends = ends
        self._links = links
        self._stop = stop
        self._image_id = image_id
        self._untrusted_network = untrusted_network

    def plan(
        self, jobset: Jobset, evaluation: Evaluation, pinned: Pinned, jobs: list[WrittenJob]
    ) -> Planned:
        """Decide what is to be made of these jobs; nothing is written."""
        texts = {one.job.identity: one.text for one in jobs}
        placed, faults = order([one.job for one in jobs])
        complaints = Faults([*faults, *_unknown_jobs(jobs, evaluation.wish)])
        filters = Filters(
            evaluation.kind,
            evaluation.ref,
            jobset.pgo_strategy,
            self._changes(evaluation, pinned, jobs),
            evaluation.wish.jobs,
        )
        wanted, skipped = filters.select(placed)
        ssh_keys = self._pinning.ssh_keys(jobset, evaluation.trust)
        whole, needs = list[WrittenJob](), dict[Identity, tuple[Identity, ...]]()
        pins = _Pins(self._pinning, jobset, pinned.input, ssh_keys)
        for one in wanted:
            made, wrong = self._whole(pins, evaluation, pinned, one.job)
            complaints.extend(wrong)
            identity = made.identity
            whole.append(WrittenJob(made, texts[identity]))
            needs[identity] = one.needs
        if complaints:
            return Planned(complaints=tuple(complaints))
        trees = _Trees(self._pinning, jobset, pinned, ssh_keys)
        images = {name: self._image_id(name) for name in {one.job.image for one in whole}}
        keys = self._keys(evaluation, pinned, whole, needs, trees, images)
        return Planned(
            jobs=tuple(whole),
            needs=needs,
            keys=keys,
            reused=self._reused(jobset, evaluation, whole, keys),
            skipped=skipped,
            images=images,
            is_moving=pins.is_moving,
        )

    def _changes(
        self, evaluation: Evaluation, pinned: Pinned, jobs: list[WrittenJob]
    ) -> Changes | None:
        """The files that the push changed, where some job wants to know and it can be told."""
        base = evaluation.base_revision
        if not base.strip("0") or not any(one.job.changed_paths for one in jobs):
            return None
        paths = pinned.mirror.changed_paths(base, evaluation.revision)
        return None if paths is None else Changes(paths)

    def _whole(
        self, pins: "_Pins", evaluation: Evaluation, pinned: Pinned, job: Job
    ) -> tuple[Job, list[Complaint]]:
        """The job as it is asked for, with every source at an exact revision."""
        job = with_inputs(self._as_asked(job, evaluation), pinned.others)
        sources, faults = pins.of(job)
        return job.having(sources=sources), faults

    def _as_asked(self, job: Job, evaluation: Evaluation) -> Job:
        """The job with what the request wants of it, and without what untrusted people may not
        have: their triggers are seen in the end, and not told.
        """
        job = _with_wish(job, evaluation.wish)
        if evaluation.trust is Trust.TRUSTED:
            return job
        return job.having(network=job.network and self._untrusted_network, maintainers=())

    # -- reuse ------------------------------------------------------------------------------------

    def _keys(
        self,
        evaluation: Evaluation,
        pinned: Pinned,
        jobs: list[WrittenJob],
        needs: Mapping[Identity, tuple[Identity, ...]],
        trees: "_Trees",
        images: Mapping[str, str],
    ) -> dict[Identity, str]:
        """The key of each job's content, those it needs before it."""
        inputs = {
            f"{one.name}:{one.ref}": one.value for one in pinned.others if not one.type.has_files
        }
        keys: dict[Identity, str] = {}
        for written in jobs:
            job, identity = written.job, written.job.identity
            keys[identity] = content_key(
                job,
                image=f"{job.image} {images[job.image]}".rstrip(),
                trust=evaluation.trust,
                inputs=inputs,
                needed_keys=[keys[one] for one in needs[identity] if one in keys],
                trees=trees.of(job),
            )
        return keys

    def _reused(
        self,
        jobset: Jobset,
        evaluation: Evaluation,
        jobs: list[WrittenJob],
        keys: Mapping[Identity, str],
    ) -> dict[Identity, int]:
        if not may_reuse(jobset, evaluation):
            return {}
        wanted = [one.job.identity for one in jobs if not one.job.always]
        found = self._store.listings.reusable(
            jobset.id, (keys[one] for one in wanted), evaluation.trust
        )
        return {one: found[keys[one]] for one in wanted if keys[one] in found}

    # -- written ----------------------------------------------------------------------------------

    def make(self, jobset: Jobset, evaluation: Evaluation, plan: Planned) -> list[int]:
        """Write the builds of a plan, within the caller's transaction; answers the new ones."""
        evaluations, made = self._store.evaluations, dict[Identity, int]()
        new = [one for one in plan.jobs if one.job.identity not in plan.reused]
        evaluations.count_builds(evaluation.id, total=len(plan.jobs))
        needs: list[tuple[int, int]] = []
        groups: dict[str, int] = {}
        queue, recipe = self._store.queue, cache(self._store.queue.add_text)
        texts = queue.add_texts(job_to_json(one.job) for one in new)
        with queue.arrivals(evaluation, self._clock.now(), len(new)) as arrivals:
            for written, text in zip(new, texts, strict=True):
                job, identity = written.job, written.job.identity
                needed = [made[one] for one in plan.needs[identity] if one in made]
                group = _group(jobset, job)
                build_id = arrivals.add(
                    job,
                    Texts(text, recipe(written.text) if written.text else None),
                    group_id=groups.get(job.name),
                    key=plan.keys[identity],
                    concurrency=group,
                    waiting=NEEDS if needed else ARRIVING if group else "",
                )
                groups.setdefault(job.name, build_id)
                made[identity] = build_id
                needs += ((build_id, one) for one in needed)
        self._store.gates.add_needs(needs)
        self._label(jobset, evaluation, new, made)
        self._enter_groups(jobset, new, made)
        self._reuse(evaluation, plan)
        return list(made.values())

    def _label(
        self,
        jobset: Jobset,
        evaluation: Evaluation,
        new: list[WrittenJob],
        made: Mapping[Identity, int],
    ) -> None:
        """The builds of one recipe file have one label."""
        repository = repository_name(jobset.source.uri) if jobset.source else jobset.name
        by_file: dict[str, list[int]] = {}
        for written in new:
            by_file.setdefault(written.job.file, []).append(made[written.job.identity])
        for file, ids in by_file.items():
            if label := push_label(evaluation, repository, file, self._links):
                self._store.labels.add(ids, evaluation.requested_by, label)

    def _enter_groups(
        self, jobset: Jobset, new: list[WrittenJob], made: Mapping[Identity, int]
    ) -> None:
        """The first of them in a group takes the place of those of earlier evaluations."""
        ours, entered = set(made.values()), set[tuple[str, Policy]]()
        for written in new:
            job = written.job
            if job.concurrency is None:
                continue
            mine = made[job.identity]
            group, policy = _group(jobset, job), job.concurrency.policy
            if policy != Policy.QUEUE and (group, policy) not in entered:
                entered.add((group, policy))
                others = [one for one in self._store.gates.list_open(group) if one[0] not in ours]
                self._replace(others, mine, stops=policy == Policy.CANCEL)
            self._store.gates.admit(mine)

    def _replace(self, others: list[tuple[int, bool]], new: int, *, stops: bool) -> None:
        """The others are builds, each with whether it waits."""
        now, detail = self._clock.now(), f"build {new} of the same group took its place"
        waiting = [old for old, waits in others if waits]
        self._ends.follow(
            self._store.queue.end_waiting(
                waiting, BuildStatus.CANCELED, Reason.SUPERSEDED, detail, now
            )
        )
        for old, waits in others:
            if stops and not waits and self._store.attempts.supersede(old, f"build {new}", now):
                self._store.after_commit(partial(self._stop, old))

    def _reuse(self, evaluation: Evaluation, plan: Planned) -> None:
        reused = tuple(plan.reused.values())
        if not reused:
            return
        self._store.evaluations.add_reuses(evaluation.id, reused)
        self._store.evaluations.count_builds(evaluation.id, finished=len(reused), good=len(reused))
        jobs = (written.job for written in plan.jobs if written.job.identity in plan.reused)
        self._ends.tell_reused(((plan.reused[job.identity], job) for job in jobs), evaluation)


class _Pins:
    """The sources of jobs at exact revisions, the pushed one among them. The same sources are
    looked up once an evaluation: its jobs see the same revisions, and what is wrong with them is
    said once a file. Whether any had to be looked up is told by `is_moving`.
    """

    def __init__(
        self, pinning: Pinning, jobset: Jobset, pushed: PinnedInput, ssh_keys: SshKeys
    ) -> None:
        self._pinning = pinning
        self._jobset = jobset
        self._pushed = pushed
        self._ssh_keys = ssh_keys
        self._known: dict[tuple[object, ...], tuple[Source, ...]] = {}
        self.is_moving = False

    def of(self, job: Job) -> tuple[tuple[Source, ...], list[Complaint]]:
        key, faults = (job.file, job.sources, job.secrets), list[Complaint]()
        if key not in self._known:
            one = self._pushed
            job = with_pushed_source(job, one.uri, one.ref, one.revision, type=one.type)
            self.is_moving |= not all(source.revision for source in job.sources)
            ssh_key = self._ssh_keys.of(job)
            self._known[key], faults = self._pinning.pin_sources(self._jobset, job, ssh_key)
        return self._known[key], faults


class _Trees:
    """What stands for the content of sources; each is looked up once an evaluation."""

    def __init__(self, pinning: Pinning, jobset: Jobset, pinned: Pinned, ssh_keys: SshKeys) -> None:
        self._pinning = pinning
        self._jobset = jobset
        self._pinned = pinned
        self._ssh_keys = ssh_keys
        self._known: dict[tuple[str, str, tuple[str, ...]], tuple[str, ...]] = {}

    def of(self, job: Job) -> list[str]:
        """Of every source, in order; of the pushed one only what the job's `paths` name."""
        pushed = self._pinned.input.revision
        return [
            f"{source.directory} {one}"
            for source in job.sources
            for one in self._ids(job, source, job.paths if source.revision == pushed else ())
        ]

    def _ids(self, job: Job, source: Source, paths: tuple[str, ...]) -> tuple[str, ...]:
        key = (source.uri, source.revision, paths)
        if key not in self._known:
            self._known[key] = self._mirror(job, source).content_ids(source.revision, paths)
        return self._known[key]

    def _mirror(self, job: Job, source: Source) -> "Mirror":
        pushed = self._pinned.input
        if (source.type, source.uri) == (pushed.type, pushed.uri):
            return self._pinned.mirror
        return self._pinning.open(self._jobset, source, self._ssh_keys.of(job))


def _group(jobset: Jobset, job: Job) -> str:
    """A concurrency group is the project's: its jobsets share it."""
    return f"{jobset.project}:{job.concurrency.group}" if job.concurrency else ""


def _with_wish(job: Job, wish: Wish) -> Job:
    if not wish.environment and wish.priority is None:
        return job
    return job.having(
        environment={**job.environment, **wish.environment},
        priority=job.priority if wish.priority is None else wish.priority,
    )


def with_inputs(job: Job, inputs: tuple[PinnedInput, ...]) -> Job:
    """The job with the other inputs of its jobset: repositories and paths lie in its home under
    their names, values are in its environment, and so are numbers and addresses of earlier results.
    """
    if not inputs:
        return job
    taken = {one.directory for one in job.sources}
    sources = tuple(
        Source(one.uri, one.name, one.ref, one.revision, type=one.type)
        for one in inputs
        if one.type.has_files and one.name not in taken
    )
    variables: dict[str, EnvironmentValue] = {}
    for one in inputs:
        is_mine = one.type is not InputType.SYSBUILD or one.ref == job.system
        if is_mine and one.type is not InputType.NIX and not one.type.has_files:
            variables |= _variables(one)
    return job.having(
        sources=(*job.sources, *sources), environment={**variables, **job.environment}
    )


def _variables(one: PinnedInput) -> dict[str, str]:
    name = f"INPUT_{one.name.upper().replace('-', '_')}"
    return {name: one.value, **({f"{name}_URL": one.uri} if one.uri else {})}


def _unknown_jobs(jobs: list[WrittenJob], wish: Wish) -> list[Complaint]:
    known = {one.job.name for one in jobs}
    return [
        Complaint("", f"the recipe makes no job {name}") for name in wish.jobs if name not in known
    ]
