"""Jobs over time: the newest good build of a place, all builds of one, numbers build after build.

A job is built for a few systems, and the indexes have the builds of each in order. What is newest
is therefore asked for each jobset and system, and the best of the answers taken: that costs the
same however much was built.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

import peewee

from ciserver.model.account import Sight, Visibility
from ciserver.model.build import Build
from ciserver.model.job import GoodBuild, Place, Point
from ciserver.model.status import EvaluationStatus
from ciserver.model.view import BuildPage
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.sight import listed_builds, listed_evaluations

_AT_ONCE = 500


class Jobs:
    def __init__(self, database: Database) -> None:
        self._db = database

    # -- the newest -------------------------------------------------------------------------------

    def newest_good(
        self, sight: Sight, place: Place, *, system: str = "", finished: bool = False
    ) -> int | None:
        """The newest build that succeeded, of what people wrote who may push; for this system, and
        with `finished` of an evaluation of which every build has ended. What is passed over then
        are the good builds of evaluations that are under way.
        """

        def is_wanted(build: Any, evaluation: Any) -> Any:
            return _is_good(build) & _has_ended(build, evaluation) if finished else _is_good(build)

        if place != Place():
            return max(self._heads(sight, place, system, is_wanted), default=None)
        query = select_builds().select(t.Build.id)
        query = query.where(is_wanted(t.Build, t.Evaluation), listed_builds(sight))
        if system:
            query = query.where(t.Build.system == system)
        found = self._db.scalar(query.order_by(t.Build.id.desc()).limit(1))
        return None if found is None else int(found)

    def newest_ended(self, sight: Sight, jobset_id: int, job: str) -> Build | None:
        """The newest build of a job that has ended, of what people wrote who may push."""

        def has_ended(build: Any, _: Any) -> Any:
            return build.finished_at.is_null(is_null=False) & (build.trust == "trusted")

        found = max(self._heads(sight, Place(None, jobset_id, job), "", has_ended), default=None)
        return None if found is None else self._builds([found])[0]

    def newest_by_system(self, sight: Sight, jobset_id: int, job: str) -> tuple[Build, ...]:
        """The newest build of a job for each of its systems."""
        return self._builds(self._heads(sight, Place(None, jobset_id, job), "", lambda *_: None))

    def newest_good_by_system(self, sight: Sight, jobset_id: int, job: str) -> dict[str, int]:
        """The newest good build of a job for each of its systems that has one."""
        place = Place(None, jobset_id, job)
        found = self._heads(sight, place, "", lambda one, _: _is_good(one))
        return {one.system: one.id for one in self._builds(found)}

    def list_results(self, sight: Sight, jobset_id: int) -> tuple[Build, ...]:
        """The newest build of each job and system of a jobset, by their names."""
        lanes, counter = _lanes(Place(None, jobset_id), ""), t.JobCounter
        head = _head(sight, lanes.c.jobset_id, lanes.c.system, counter.job, lambda *_: None)
        rows = self._db.rows(
            t.Jobset.select(head.alias("build_id"))
            .join(t.Project)
            .join(lanes, on=lanes.c.jobset_id == t.Jobset.id)
            .join(counter, on=counter.jobset == t.Jobset.id)
        )
        found = self._builds(row["build_id"] for row in rows if row["build_id"] is not None)
        return tuple(sorted(found, key=lambda one: (one.job, one.system)))

    def _heads(self, sight: Sight, place: Place, system: str, condition: Any) -> list[int]:
        """For each jobset and system of a place, the newest build that may be listed and of which
        the condition is true; it gets the tables of builds and evaluations.
        """
        lanes = _lanes(place, system)
        head = _head(sight, lanes.c.jobset_id, lanes.c.system, place.job, condition)
        query = (
            t.Jobset.select(head.alias("build_id"))
            .join(t.Project)
            .join(lanes, on=lanes.c.jobset_id == t.Jobset.id)
        )
        rows = self._db.rows(query)
        return [row["build_id"] for row in rows if row["build_id"] is not None]

    # -- lists ------------------------------------------------------------------------------------

    def list_builds(
        self, sight: Sight, place: Place, *, before: int | None, limit: int
    ) -> BuildPage:
        """Every build of a place, newest first, from the build `before` on downwards."""
        query = select_builds().select(t.Build.id).where(listed_builds(sight))
        query = query.order_by(t.Build.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(t.Build.id < before)
        if place.job:
            mine = query.where(t.Build.jobset == place.jobset_id, t.Build.job == place.job)
            parts = [mine.where(t.Build.system == one) for one in self._systems(place)]
        elif place.jobset_id is not None:
            parts = [query.where(t.Build.jobset == place.jobset_id)]
        elif place.project_id is not None:
            newest = self._newest_jobsets(sight, place.project_id, before, limit + 1)
            parts = [query.where(t.Build.jobset == one) for one in newest]
        else:
            parts = [query]
        ids = heapq.nlargest(limit + 1, (row["id"] for one in parts for row in self._db.rows(one)))
        found = sorted(self._builds(ids[:limit]), key=lambda one: one.id, reverse=True)
        return BuildPage(tuple(found), ids[limit - 1] if len(ids) > limit else None)

    def _newest_jobsets(
        self, sight: Sight, project_id: int, before: int | None, limit: int
    ) -> list[int]:
        """Those jobsets of a project that have its newest builds: no other has one among them."""
        one, evaluation = t.Build.alias(), t.Evaluation.alias()
        head = one.select(one.id).join(evaluation, on=one.evaluation == evaluation.id)
        head = head.where(one.jobset == t.Jobset.id, *_listed(sight, one, evaluation))
        if before is not None:
            head = head.where(one.id < before)
        rows = self._db.rows(
            t.Jobset.select(t.Jobset.id, head.order_by(one.id.desc()).limit(1).alias("build_id"))
            .join(t.Project)
            .where(t.Jobset.project == project_id)
        )
        heads = [(row["build_id"], row["id"]) for row in rows if row["build_id"] is not None]
        return [jobset_id for _, jobset_id in heapq.nlargest(limit, heads)]

    def _systems(self, place: Place) -> list[str]:
        lanes = _lanes(place, "")
        return [row["system"] for row in self._db.rows(lanes)]

    def newest_evaluation(self, sight: Sight, jobset_id: int) -> tuple[int, int] | None:
        """How many builds the newest evaluation made of which every build has ended, and how many
        of them were good; of what people wrote who may push. One that only found earlier results
        made none, and they are good.
        """
        mine = t.Evaluation
        reused = t.Reuse.select(t.Reuse.build).where(t.Reuse.evaluation == mine.id)
        row = self._db.row(
            mine.select(mine.builds_total, mine.builds_good)
            .join(t.Jobset)
            .join(t.Project)
            .where(
                mine.jobset == jobset_id,
                mine.status == EvaluationStatus.SUCCEEDED,
                mine.trust == "trusted",
                mine.builds_finished == mine.builds_total,
                (mine.builds_total > 0) | peewee.fn.EXISTS(reused),
                listed_evaluations(sight),
            )
            .order_by(mine.number.desc())
        )
        return None if row is None else (row["builds_total"], row["builds_good"])

    # -- series -----------------------------------------------------------------------------------

    def good_builds(
        self, sight: Sight, jobset_id: int, job: str, *, limit: int
    ) -> tuple[GoodBuild, ...]:
        """The newest good builds of a job, oldest first."""
        mine = t.Build
        query = (
            select_builds()
            .select(mine.id, mine.attempt, mine.queued_at, mine.started_at, mine.finished_at)
            .where(mine.jobset == jobset_id, mine.job == job, _is_good(mine), listed_builds(sight))
            .order_by(mine.id.desc())
            .limit(limit)
        )
        systems = self._systems(Place(None, jobset_id, job))
        rows = [row for one in systems for row in self._db.rows(query.where(mine.system == one))]
        newest = heapq.nlargest(limit, rows, key=lambda row: int(row["id"]))
        return tuple(map(_good_build, reversed(newest)))

    def sizes(self, attempts: Mapping[int, int]) -> dict[int, int]:
        """How many bytes the products of a build's attempt have together, by the build."""
        mine, wanted = t.Product, list(attempts)
        found: dict[int, int] = {}
        for at in range(0, len(wanted), _AT_ONCE):
            rows = self._db.rows(
                mine.select(mine.build, mine.attempt, peewee.fn.SUM(mine.size).alias("size"))
                .where(mine.build << wanted[at : at + _AT_ONCE])
                .group_by(mine.build, mine.attempt)
            )
            for row in rows:
                if row["attempt"] == attempts[row["build"]]:
                    found[row["build"]] = int(row["size"])
        return found

    def metric(self, builds: Iterable[GoodBuild], name: str) -> dict[int, Point]:
        """What each build's newest attempt measured under a name; the first where two files did."""
        found: dict[int, Point] = {}
        for some in _portions(builds):
            rows = self._db.rows(
                t.Report.select(t.Report.build, t.Report.attempt, t.Metric.value, t.Metric.unit)
                .join(t.Metric, on=t.Metric.report == t.Report.id)
                .where(t.Report.build << list(some), t.Metric.name == name)
                .order_by(t.Report.id)
            )
            for row in rows:
                build = some[row["build"]]
                if row["attempt"] == build.attempt:
                    point = Point(build.id, build.queued_at, row["value"], row["unit"])
                    found.setdefault(build.id, point)
        return found

    def metric_names(self, builds: Iterable[GoodBuild]) -> tuple[str, ...]:
        """Under which names any of these builds measured something."""
        found: set[str] = set()
        for some in _portions(builds):
            rows = self._db.rows(
                t.Report.select(t.Metric.name)
                .join(t.Metric, on=t.Metric.report == t.Report.id)
                .where(t.Report.build << list(some))
                .distinct()
            )
            found.update(row["name"] for row in rows)
        return tuple(sorted(found))

    # -- stars ------------------------------------------------------------------------------------

    def star(self, user: str, jobset_id: int, job: str, *, starred: bool) -> None:
        """Put a job among those that somebody wants to see first, or take it out of them."""
        mine = t.Star
        if starred:
            row = {mine.user: user, mine.jobset: jobset_id, mine.job: job}
            self._db.insert(mine.insert(row).on_conflict_ignore().as_rowcount())
        else:
            self._db.change(mine.delete().where(_star(user, jobset_id, job)))

    def is_starred(self, user: str, jobset_id: int, job: str) -> bool:
        query = t.Star.select(t.Star.job).where(_star(user, jobset_id, job))
        return self._db.scalar(query) is not None

    def unlisted_of(self, user: str) -> tuple[int, ...]:
        """The unlisted projects in which somebody put a star, so whose address they know."""
        rows = self._db.rows(
            t.Star.select(t.Jobset.project)
            .join(t.Jobset)
            .join(t.Project)
            .where(t.Star.user == user, t.Project.visibility == Visibility.UNLISTED)
            .distinct()
        )
        return tuple(row["project"] for row in rows)

    def starred(self, sight: Sight, user: str, *, limit: int) -> tuple[Build, ...]:
        """The newest build of each job that somebody put a star at, as far as it may be listed, by
        name.
        """
        stars = (
            t.Star.select(t.Star.jobset, t.Star.job)
            .where(t.Star.user == user)
            .order_by(t.Star.jobset, t.Star.job)
            .limit(limit)
            .alias("stars")
        )
        mine = t.Star.select(t.Star.jobset).where(t.Star.user == user)
        lanes = t.Lane.select(t.Lane.jobset, t.Lane.system).distinct()
        lanes = lanes.where(t.Lane.jobset << mine).alias("systems_of")
        head = _head(sight, lanes.c.jobset_id, lanes.c.system, stars.c.job, lambda *_: None)
        rows = self._db.rows(
            t.Jobset.select(peewee.fn.MAX(head).alias("build_id"))
            .join(t.Project)
            .join(stars, on=stars.c.jobset_id == t.Jobset.id)
            .join(lanes, on=lanes.c.jobset_id == t.Jobset.id)
            .group_by(stars.c.jobset_id, stars.c.job)
        )
        found = self._builds(row["build_id"] for row in rows if row["build_id"] is not None)
        return tuple(sorted(found, key=lambda one: one.full_name))

    def _builds(self, build_ids: Iterable[int]) -> tuple[Build, ...]:
        wanted = list(build_ids)
        found: list[Build] = []
        for at in range(0, len(wanted), _AT_ONCE):
            query = select_builds().where(t.Build.id << wanted[at : at + _AT_ONCE])
            found += map(build_of, self._db.rows(query))
        return tuple(sorted(found, key=lambda one: one.system))


def _lanes(place: Place, system: str) -> Any:
    """The systems for which anything was ever built in each jobset of a place."""
    query = t.Lane.select(t.Lane.jobset, t.Lane.system).distinct()
    if place.jobset_id is not None:
        query = query.where(t.Lane.jobset == place.jobset_id)
    else:
        mine = t.Jobset.select(t.Jobset.id).where(t.Jobset.project == place.project_id)
        query = query.where(t.Lane.jobset << mine)
    if system:
        query = query.where(t.Lane.system == system)
    return query.alias("systems_of")


def _head(sight: Sight, jobset_id: Any, system: Any, job: Any, condition: Any) -> Any:
    """The newest build of a jobset and system, and of a job where one is named."""
    one, evaluation = t.Build.alias(), t.Evaluation.alias()
    query = one.select(one.id).join(evaluation, on=one.evaluation == evaluation.id)
    query = query.where(one.jobset == jobset_id, one.system == system)
    if not isinstance(job, str) or job:
        query = query.where(one.job == job)
    more = condition(one, evaluation)
    if more is not None:
        query = query.where(more)
    return query.where(*_listed(sight, one, evaluation)).order_by(one.id.desc()).limit(1)


def _listed(sight: Sight, build: Any, evaluation: Any) -> tuple[Any, ...]:
    return build.deleted == False, listed_evaluations(sight, evaluation)  # noqa: E712


def _is_good(build: Any) -> Any:
    # In the text, so that SQLite sees that the partial indexes answer it.
    return (build.status == peewee.SQL("'succeeded'")) & (build.trust == peewee.SQL("'trusted'"))


def _has_ended(build: Any, evaluation: Any) -> Any:
    """Whether every build ended of the evaluation that made it, or of one that found it again."""
    later = t.Evaluation.alias()
    reused = (
        t.Reuse.select(t.Reuse.build)
        .join(later, on=t.Reuse.evaluation == later.id)
        .where(t.Reuse.build == build.id, later.builds_finished == later.builds_total)
    )
    return (evaluation.builds_finished == evaluation.builds_total) | peewee.fn.EXISTS(reused)


def _good_build(row: Mapping[str, Any]) -> GoodBuild:
    seconds = (row["finished_at"] - row["started_at"]).total_seconds()
    return GoodBuild(row["id"], row["attempt"], row["queued_at"], seconds)


def _star(user: str, jobset_id: int, job: str) -> Any:
    return (t.Star.user == user) & (t.Star.jobset == jobset_id) & (t.Star.job == job)


def _portions(builds: Iterable[GoodBuild]) -> Iterable[dict[int, GoodBuild]]:
    """So many at once as a statement takes, by id."""
    every = list(builds)
    for at in range(0, len(every), _AT_ONCE):
        yield {one.id: one for one in every[at : at + _AT_ONCE]}
