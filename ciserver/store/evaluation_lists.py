"""Evaluations in lists, the builds that each of them has, and what came before one.

The builds of an evaluation are those that it made, and those of earlier that stand for its jobs.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.build import Build, Output, Product
from ciserver.model.comparison import JobResult
from ciserver.model.evaluation import Evaluation
from ciserver.model.report import Metric
from ciserver.model.status import BuildStatus
from ciserver.model.view import BuildIds
from ciserver.store import tables as t
from ciserver.store.build_rows import STATUSES, build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.evaluations import evaluation_of, pinned_inputs, select_evaluations
from ciserver.store.products import product_of
from ciserver.store.sight import listed_evaluations

_NEAR = 200  # how many evaluations back one of another ref is looked for


class EvaluationLists:
    def __init__(self, database: Database) -> None:
        self._db = database

    # -- lists, newest first, with inputs ---------------------------------------------------------

    def list_page(
        self, jobset_id: int, sight: Sight, *, page: int, size: int, built: bool
    ) -> tuple[tuple[Evaluation, ...], int]:
        """Page 1, 2 ... of a jobset's evaluations, and how many there are; only those that made
        builds where `built` says so. Found by number, so that page 1000 costs what page 1 does.
        """
        counter = t.Jobset.evaluations_built if built else t.Jobset.evaluations_made
        number = t.Evaluation.built_number if built else t.Evaluation.number
        total = int(self._db.scalar(t.Jobset.select(counter).where(t.Jobset.id == jobset_id)) or 0)
        newest = total - (page - 1) * size
        query = (
            select_evaluations()
            .where(
                t.Evaluation.jobset == jobset_id,
                number <= newest,
                number > newest - size,
                listed_evaluations(sight),
            )
            .order_by(number.desc())
        )
        return self._list(query), total

    def newest_built(
        self, sight: Sight, *, limit: int, offset: int = 0, before: int | None = None
    ) -> tuple[Evaluation, ...]:
        """The evaluations of all jobsets that made builds, from `before` on downwards."""
        query = select_evaluations().where(_built(), listed_evaluations(sight))
        if before is not None:
            query = query.where(t.Evaluation.id < before)
        return self._list(query.order_by(t.Evaluation.id.desc()).limit(limit).offset(offset))

    def previous(self, sight: Sight, evaluations: Iterable[Evaluation]) -> dict[int, Evaluation]:
        """For each evaluation the one that made builds of the same ref before it, if any."""
        mine, other = t.Evaluation.alias(), t.Evaluation.alias()
        before = (
            other.select(other.id)
            .where(
                other.jobset == mine.jobset,
                other.ref == mine.ref,
                _built(other),
                other.requested_at <= mine.requested_at,
                _came_before(other, mine.requested_at, mine.id),
                listed_evaluations(sight, other),
            )
            .order_by(other.requested_at.desc(), other.id.desc())
            .limit(1)
        )
        rows = self._db.rows(
            mine.select(mine.id, before.alias("before_id"))
            .join(t.Jobset, on=mine.jobset == t.Jobset.id)
            .join(t.Project, on=t.Jobset.project == t.Project.id)
            .where(mine.id << [one.id for one in evaluations])
        )
        wanted = {row["id"]: row["before_id"] for row in rows if row["before_id"] is not None}
        query = select_evaluations().where(t.Evaluation.id << list(set(wanted.values())))
        found = {one.id: one for one in self._list(query)}
        return {of: found[before_id] for of, before_id in wanted.items()}

    def of_build(
        self, sight: Sight, build: Build, *, limit: int, offset: int = 0
    ) -> tuple[Evaluation, ...]:
        """The evaluations that found the build there, then the one that made it."""
        found_again = (
            _visible(sight)
            .join(t.Reuse, on=t.Reuse.evaluation == t.Evaluation.id)
            .where(t.Reuse.build == build.id)
            .order_by(t.Reuse.evaluation.desc())
            .limit(offset + limit)
        )
        made = _visible(sight).where(t.Evaluation.id == build.evaluation_id)
        ids = [row["id"] for query in (found_again, made) for row in self._db.rows(query)]
        page = select_evaluations().where(t.Evaluation.id << ids[offset : offset + limit])
        return self._list(page.order_by(t.Evaluation.id.desc()))

    # -- single ones ------------------------------------------------------------------------------

    def newest_before(self, sight: Sight, evaluation: Evaluation, until: datetime) -> int | None:
        """The newest that made builds of the same ref, was asked for before this one and at this
        time at the latest.
        """
        query = self._of_jobset(sight, evaluation.jobset_id).where(
            t.Evaluation.ref == evaluation.ref,
            # Of two bounds SQLite would choose either to begin with.
            t.Evaluation.requested_at <= min(until, evaluation.requested_at),
            _came_before(t.Evaluation, evaluation.requested_at, evaluation.id),
        )
        newest = query.order_by(t.Evaluation.requested_at.desc(), t.Evaluation.id.desc())
        return self._first(newest)

    def newest_near(self, sight: Sight, evaluation: Evaluation) -> int | None:
        """The newest of any ref that made builds, among the last before this one."""
        number = t.Evaluation.number
        query = self._of_jobset(sight, evaluation.jobset_id).where(
            number < evaluation.number, number >= evaluation.number - _NEAR
        )
        return self._first(query.order_by(number.desc()))

    def newest_ended(self, sight: Sight, jobset_id: int) -> int | None:
        """The newest of a jobset that made builds and of which every build has ended."""
        query = self._of_jobset(sight, jobset_id).where(_ended())
        return self._first(query.order_by(t.Evaluation.id.desc()))

    def newest_ended_of_build(self, sight: Sight, build: Build) -> int | None:
        """The newest that has the build, and of which every build has ended."""
        found = (
            _visible(sight)
            .join(t.Reuse, on=t.Reuse.evaluation == t.Evaluation.id)
            .where(t.Reuse.build == build.id, _ended())
            .order_by(t.Reuse.evaluation.desc())
        )
        own = _visible(sight).where(t.Evaluation.id == build.evaluation_id, _ended())
        first = self._first(found)
        return first if first is not None else self._first(own)

    @staticmethod
    def _of_jobset(sight: Sight, jobset_id: int) -> Any:
        return _visible(sight).where(t.Evaluation.jobset == jobset_id, _built())

    def _first(self, query: Any) -> int | None:
        found = self._db.scalar(query.limit(1))
        return None if found is None else int(found)

    # -- the builds of evaluations ----------------------------------------------------------------

    def build_ids(self, evaluation_ids: Iterable[int]) -> dict[int, BuildIds]:
        """The builds that each of them has, in order, and whether it made one."""
        wanted = list(evaluation_ids)
        made = t.Build.select(
            t.Build.evaluation, t.Build.id, t.Build.deleted, peewee.Value(1).alias("is_new")
        ).where(t.Build.evaluation << wanted)
        reused = (
            t.Reuse.select(t.Reuse.evaluation, t.Build.id, t.Build.deleted, peewee.Value(0))
            .join(t.Build)
            .where(t.Reuse.evaluation << wanted)
        )
        found: dict[int, list[int]] = {one: [] for one in wanted}
        new = set()
        for row in self._db.rows(made.union_all(reused)):
            if row["is_new"]:
                new.add(row["evaluation"])
            if not row["deleted"]:
                found[row["evaluation"]].append(row["id"])
        return {key: BuildIds(tuple(sorted(ids)), key in new) for key, ids in found.items()}

    def list_builds(self, evaluation_id: int) -> tuple[Build, ...]:
        query = select_builds().where(_of_evaluation(evaluation_id)).order_by(t.Build.id)
        return tuple(build_of(row) for row in self._db.rows(query))

    def results(self, evaluation_id: int) -> dict[tuple[str, str], JobResult]:
        """How each job and system fares: of several builds the newest one counts."""
        return {
            (row["job"], row["system"]): JobResult(
                row["id"], row["job"], row["system"], STATUSES[row["status"]]
            )
            for row in self._db.usual(_results, evaluation_id)
        }

    def builds_of_job(self, evaluation_id: int, job: str) -> list[tuple[str, int]]:
        """The builds of one job as (system, id), by system, the newest of each first."""
        rows = self._db.rows(
            t.Build.select(t.Build.system, t.Build.id)
            .where(_of_evaluation(evaluation_id), t.Build.job == job)
            .order_by(t.Build.system, t.Build.id.desc())
        )
        return [(row["system"], row["id"]) for row in rows]

    def open_builds(self, evaluation_id: int) -> list[int]:
        """Those that it made and that have not ended, the last one first: what needs others comes
        before them.
        """
        return [row["id"] for row in self._own(evaluation_id, ended=False)][::-1]

    def ended_builds(self, evaluation_id: int, statuses: Iterable[BuildStatus]) -> list[int]:
        """Those that it made and that ended so, the first one first."""
        wanted = set(statuses)
        rows = self._own(evaluation_id, ended=True)
        return [row["id"] for row in rows if BuildStatus(row["status"]) in wanted]

    def _own(self, evaluation_id: int, *, ended: bool) -> list[dict[str, Any]]:
        query = t.Build.select(t.Build.id, t.Build.status).where(
            t.Build.evaluation == evaluation_id,
            t.Build.deleted == False,  # noqa: E712  an expression of SQL
            t.Build.finished_at.is_null(is_null=not ended),
        )
        return self._db.rows(query.order_by(t.Build.id))

    # -- what its builds made, each of the newest attempt; in one statement -----------------------

    def outputs(self, evaluation_id: int) -> dict[int, Output]:
        query = t.BuildOutput.select(t.BuildOutput).join(t.Build)
        rows = self._db.rows(_newest(query, evaluation_id, t.BuildOutput.attempt))
        return {
            row["build"]: Output(row["release_name"], row["drv_path"], json.loads(row["paths"]))
            for row in rows
        }

    def products(self, evaluation_id: int) -> dict[int, list[Product]]:
        query = t.Product.select(t.Product).join(t.Build).order_by(t.Product.id)
        found: dict[int, list[Product]] = {}
        for row in self._db.rows(_newest(query, evaluation_id, t.Product.attempt)):
            found.setdefault(row["build"], []).append(product_of(row))
        return found

    def metrics(self, evaluation_id: int) -> dict[int, list[Metric]]:
        query = (
            t.Metric.select(t.Metric.name, t.Metric.value, t.Metric.unit, t.Report.build)
            .join(t.Report)
            .join(t.Build)
            .order_by(t.Metric.name)
        )
        found: dict[int, list[Metric]] = {}
        for row in self._db.rows(_newest(query, evaluation_id, t.Report.attempt)):
            one = Metric(row["name"], row["value"], row["unit"])
            found.setdefault(row["build"], []).append(one)
        return found

    def output_paths(self, evaluation_id: int, kind: str) -> set[str]:
        """Where the outputs lie of the builds that succeeded and have a product of this kind."""
        product = t.Product.select(t.Product.id).where(
            t.Product.build == t.Build.id,
            t.Product.attempt == t.Build.attempt,
            t.Product.type == kind,
        )
        query = t.BuildOutput.select(t.BuildOutput.paths).join(t.Build)
        rows = self._db.rows(
            _newest(query, evaluation_id, t.BuildOutput.attempt).where(
                t.Build.status == BuildStatus.SUCCEEDED, peewee.fn.EXISTS(product)
            )
        )
        return {path for row in rows for path in json.loads(row["paths"]).values()}

    def _list(self, query: Any) -> tuple[Evaluation, ...]:
        rows = self._db.rows(query)
        inputs = pinned_inputs(self._db, [row["id"] for row in rows])
        return tuple(evaluation_of(row, inputs[row["id"]]) for row in rows)


def _built(evaluation: Any = t.Evaluation) -> Any:
    return evaluation.built_number.is_null(is_null=False)


def _ended() -> Any:
    """That builds were made, and every one has ended."""
    return _built() & (t.Evaluation.builds_finished == t.Evaluation.builds_total)


def _came_before(one: Any, requested_at: Any, evaluation_id: Any) -> Any:
    """Whether it was asked for before; of two at the same moment the lower number was."""
    same = (one.requested_at == requested_at) & (one.id < evaluation_id)
    return (one.requested_at < requested_at) | same


def _visible(sight: Sight) -> Any:
    return select_evaluations().select(t.Evaluation.id).where(listed_evaluations(sight))


def _of_evaluation(evaluation_id: int) -> Any:
    """Builds that it made or found there."""
    reused = t.Reuse.select(t.Reuse.build).where(t.Reuse.evaluation == evaluation_id)
    mine = t.Build.alias()
    made = mine.select(mine.id).where(mine.evaluation == evaluation_id)
    there = t.Build.deleted == False  # noqa: E712  an expression of SQL
    return there & (t.Build.id << made.union_all(reused))


def _results(evaluation_id: int) -> Any:
    mine = t.Build
    columns = mine.id, mine.job, mine.system, mine.status
    return mine.select(*columns).where(_of_evaluation(evaluation_id)).order_by(mine.id)


def _newest(query: Any, evaluation_id: int, attempt: Any) -> Any:
    return query.where(_of_evaluation(evaluation_id), attempt == t.Build.attempt)
