"""What a single build is told of beyond itself: its parts, what it needs, since when it is bad."""

from collections.abc import Callable, Iterable

from ciserver.model.account import Actor
from ciserver.model.breakage import Breakage
from ciserver.model.build import Build, Output, Step
from ciserver.model.comparison import changed_inputs
from ciserver.model.status import BuildStatus
from ciserver.model.view import BuildFacts, Needed, Told
from ciserver.recipe.text import job_from_json
from ciserver.service.comparisons import Comparisons
from ciserver.service.rights import Rights
from ciserver.store.store import Store

MOST = 1_000  # builds that one consists of, or needs
EVALUATIONS = 100
_LOOKED_AT = 500  # builds of the same job that came before


class BuildDetails:
    """All raise NotFound for builds that are not there, or not there for the actor. `reasons` says
    why builds wait.
    """

    def __init__(
        self,
        store: Store,
        rights: Rights,
        comparisons: Comparisons,
        reasons: Callable[[Actor, Iterable[Build]], dict[int, str]],
    ) -> None:
        self._store = store
        self._rights = rights
        self._comparisons = comparisons
        self._reasons = reasons

    def evaluations(self, actor: Actor, build: Build) -> tuple[int, ...]:
        """The evaluation that made a build the actor sees, and others that have it."""
        if not self._store.build_history.was_reused(build.id):
            return (build.evaluation_id,)
        jobset = self._store.jobsets.get(build.jobset_id)
        sight = self._rights.sight_of(actor, jobset)
        return self._store.build_history.evaluations_of(sight, build, limit=EVALUATIONS)

    def step(self, actor: Actor, build_id: int, number: int) -> tuple[BuildFacts, Step]:
        """A step of the newest attempt."""
        build = self._rights.build(actor, build_id)
        step = self._store.builds.get_step(build_id, build.attempt, number)
        return self._facts(actor, [build])[0], step

    # -- what it needs ----------------------------------------------------------------------------

    def constituents(self, actor: Actor, build_id: int) -> tuple[BuildFacts, ...]:
        """The builds that it needs itself, at most MOST: those made with it, and earlier ones that
        stand for a job that it needs.
        """
        return self._facts(actor, self.needs(self._rights.build(actor, build_id)))

    def needs(self, build: Build) -> tuple[Build, ...]:
        """The same of a build that the actor sees, as lists have builds."""
        made = self._store.gates.needed(build.id)[:MOST]
        found = {one.id: one for one in self._store.listings.of_ids(made)} if made else {}
        words = set(job_from_json(self._store.builds.job_text(build.id)).needs)
        missing = words - self._words(found.values())
        if missing:
            found |= {one.id: one for one in self._reused(build, missing)}
        return tuple(sorted(found.values(), key=lambda one: one.id))[:MOST]

    def _words(self, builds: Iterable[Build]) -> set[str]:
        """The words by which recipes mean these builds."""
        texts = self._store.builds.job_texts(one.id for one in builds)
        jobs = map(job_from_json, texts.values())
        return {word for job in jobs for word in (job.name, job.base)}

    def _reused(self, build: Build, words: set[str]) -> list[Build]:
        """Of what the build's evaluation found there: what these words mean, for the same system or
        where there is none, for every one.
        """
        ids = self._store.evaluations.reused_ids(build.evaluation_id)
        builds = {one.id: one for one in self._store.listings.of_ids(ids)} if ids else {}
        found: dict[str, list[Build]] = {}
        for one, text in self._store.builds.job_texts(builds).items():
            job = job_from_json(text)
            for word in words & {job.name, job.base}:
                found.setdefault(word, []).append(builds[one])
        chosen = []
        for each in found.values():
            here = [one for one in each if one.system == build.system]
            chosen += here or each
        return chosen

    def needed(self, actor: Actor, build_id: int) -> Needed:
        """Everything that it needs, and what that needs in turn, each build once and the nearest
        first; at most MOST builds.
        """
        build = self._rights.build(actor, build_id)
        nearest = self.needs(build)
        pairs = self._store.gates.needs_of_evaluation(build.evaluation_id)
        depths = {build_id: 0}
        level, depth = [one.id for one in nearest], 1
        while level and len(depths) <= MOST:
            depths |= dict.fromkeys(level, depth)
            below = {one for each in level for one in pairs.get(each, ())}
            level, depth = sorted(below - depths.keys()), depth + 1
        del depths[build_id]
        shown = list(depths)[:MOST]
        builds = {one.id: one for one in self._store.listings.of_ids(shown)} if shown else {}
        return Needed(
            build,
            tuple((depths[one], builds[one]) for one in shown if one in builds),
            is_cut=bool(level) or len(depths) > MOST,
        )

    # -- since when it is bad ---------------------------------------------------------------------

    def breakage(self, actor: Actor, build: Build) -> Breakage | None:
        """For a build that the actor sees and that ended badly through its own fault: the first bad
        one of its job, system and ref, and what changed since the last good one before that.
        """
        if not _is_bad(build.status):
            return None
        jobset = self._store.jobsets.get(build.jobset_id)
        sight = self._rights.sight_of(actor, jobset)
        past = self._store.build_history.list_before(sight, build, limit=_LOOKED_AT)
        first_bad, last_good = build.id, None
        for one in past:
            if one.status.is_good:
                last_good = one.id
                break
            if _is_bad(one.status):
                first_bad = one.id
        is_cut = last_good is None and len(past) == _LOOKED_AT
        bad = self._store.builds.get(first_bad)
        if last_good is None:
            return Breakage(bad, None, is_cut=is_cut)
        good = self._store.builds.get(last_good)
        before, after = (self._store.evaluations.get(one.evaluation_id) for one in (good, bad))
        changed = changed_inputs(before.inputs, after.inputs)
        return Breakage(bad, good, tuple(self._comparisons.with_logs(after, changed)))

    # -- in full ----------------------------------------------------------------------------------

    def _facts(self, actor: Actor, builds: Iterable[Build]) -> tuple[BuildFacts, ...]:
        """In a bounded number of statements."""
        wanted = tuple(builds)
        products = self._store.products.of_builds(wanted)
        outputs = self._store.products.outputs_of(wanted)
        metrics = self._store.reports.metrics_of(wanted)
        reasons = self._reasons(actor, wanted)
        return tuple(
            BuildFacts(
                one,
                products[one.id],
                outputs.get(one.id, Output()),
                Told(metrics=metrics.get(one.id, ())),
                reasons.get(one.id, ""),
            )
            for one in wanted
        )


def _is_bad(status: BuildStatus) -> bool:
    return status.is_final and not status.is_good and not status.is_aborted
