"""Which products may go: what is due for a look, what still holds them, what was removed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.build import Build, Product
from ciserver.model.errors import NotFound
from ciserver.model.frozen import frozen
from ciserver.model.status import BuildStatus
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database, in_pieces, marks
from ciserver.store.fields import to_microseconds
from ciserver.store.products import product_of
from ciserver.store.storage import charge

# As the indexes have it, so that SQLite sees that they may be used.
_OPEN = peewee.SQL("status IN ('requested', 'running')")
_FILE_LEFT = peewee.SQL("file_left = 1")
_REMEMBERED = 50  # of the evaluations that an earlier result stands for


@frozen
class Candidate:
    """A build whose products may be due; `keep` is how many evaluations its jobset keeps, none
    once that was removed.
    """

    build: Build
    keep: int
    is_current: bool  # neither the build nor its jobset was removed
    is_deleted: bool
    is_autostarted: bool


# What is known of a candidate beside the build itself; `asked_by` and `schedule` say who asked.
_KNOWN = (t.Build.deleted, t.Jobset.removed, t.Jobset.keep_evaluations)


class Keeping:
    def __init__(self, database: Database) -> None:
        self._db = database

    def look_at(self, build_ids: Iterable[int], at: datetime) -> None:
        """Look then whether the products of builds still stand, of those that have any."""
        for some in in_pieces(build_ids):
            update = f"UPDATE builds SET look_at = ? WHERE id IN ({marks(some)})"  # noqa: S608  our own words
            standing = "SELECT 1 FROM products WHERE build_id = builds.id AND removed_at IS NULL"
            self._db.sql(f"{update} AND EXISTS ({standing})", [to_microseconds(at), *some])

    def has_standing(self, build_id: int) -> bool:
        """Whether any product of the build is still there."""
        standing = "SELECT 1 FROM products WHERE build_id = ? AND removed_at IS NULL LIMIT 1"
        return self._db.sql(standing, (build_id,)).fetchone() is not None

    def postpone(self, build_id: int, at: datetime) -> None:
        """Look again then."""
        self._set(build_id, look_at=at)

    def list_due(self, now: datetime, limit: int) -> tuple[int, ...]:
        """Builds to look at, those that are due longest first."""
        mine = t.Build
        query = mine.select(mine.id).where(mine.look_at <= now, mine.look_at.is_null(is_null=False))
        rows = self._db.rows(query.order_by(mine.look_at).limit(limit))
        return tuple(row["id"] for row in rows)

    def candidate(self, build_id: int, autostart: str) -> Candidate:
        """A build, also a deleted one; `autostart` is who asks for evaluations by a look."""
        row = self._db.usual_row(_candidate, build_id)
        if row is None:
            raise NotFound(f"there is no build {build_id}", hint="see: ciserver list")
        is_deleted, is_removed, keep = (row.pop(one.name) for one in _KNOWN)
        by_look = row.pop("asked_by") == autostart
        return Candidate(
            is_autostarted=row.pop("schedule") is not None or by_look,
            build=build_of(row),
            keep=0 if is_removed else keep,
            is_current=not (is_removed or is_deleted),
            is_deleted=is_deleted,
        )

    def is_evaluated(self, jobset_id: int) -> bool:
        """Whether an evaluation of the jobset is under way, which may find earlier results."""
        # By jobset it would look at every evaluation that the jobset ever had.
        under_way = self._db.rows(t.Evaluation.select(t.Evaluation.jobset).where(_OPEN))
        return any(row["jobset"] == jobset_id for row in under_way)

    def is_of_kept_evaluation(self, build: Build, keep: int) -> bool:
        """Whether the build belongs to an unfinished evaluation or one of the newest `keep`
        finished ones, or stands for a job of such a one.
        """
        having = self._db.usual(_own, build.evaluation_id) + self._db.usual(_standing, build.id)
        if any(row["builds_finished"] < row["builds_total"] for row in having):
            return True
        newest = max(row["id"] for row in having)
        return keep > 0 and newest >= self._oldest_kept(build.jobset_id, keep)

    def _oldest_kept(self, jobset_id: int, keep: int) -> int:
        rows = self._db.usual(_finished, jobset_id, keep - 1)
        return int(rows[0]["id"]) if rows else 0

    def is_newest_success(self, build: Build) -> bool:
        """Whether it is the newest success of its job, and the job one of the newest evaluation of
        its ref.
        """
        same = build.jobset_id, build.job, build.system
        if [row["id"] for row in self._db.usual(_newest_success, *same)] != [build.id]:
            return False
        evaluations = self._db.usual(_newest_evaluation, build.jobset_id, build.ref)
        current = [row["id"] for row in evaluations]
        if [row["evaluation"] for row in self._db.usual(_last, *same, build.ref)] == current:
            return True
        return bool(current and self._db.usual(_again, *current, build.id))

    def remove(self, build_id: int, now: datetime, why: str) -> int:
        """Mark the products of a build as removed; answers how many. Without them it no longer
        stands for later builds.
        """
        self._set(build_id, look_at=None, key="")
        standing = (t.Product.build == build_id) & t.Product.removed_at.is_null()
        sizes = t.Product.select(peewee.fn.SUM(t.Product.size)).where(standing)
        charge(self._db, build_id, products=-int(self._db.scalar(sizes) or 0))
        return self._db.change(
            t.Product.update(removed_at=now, removed_why=why, file_left=True).where(standing)
        )

    def _set(self, build_id: int, **changes: Any) -> None:
        self._db.change(t.Build.update(**changes).where(t.Build.id == build_id))

    def list_left(self, limit: int) -> tuple[str, ...]:
        """Contents of removed products whose files were not seen to yet."""
        mine = t.Product
        query = mine.select(mine.sha256).where(_FILE_LEFT)
        rows = self._db.rows(query.order_by(mine.id).limit(limit))
        return tuple(dict.fromkeys(row["sha256"] for row in rows))

    def is_standing(self, sha256: str) -> bool:
        """Whether a product has this content."""
        query = t.Product.select(t.Product.id).where(
            t.Product.sha256 == sha256, t.Product.removed_at.is_null()
        )
        return self._db.scalar(query.limit(1)) is not None

    def is_known(self, sha256: str) -> bool:
        """Whether a product has this content, or had it and its file is not seen to yet."""
        query = t.Product.select(t.Product.id).where(
            t.Product.sha256 == sha256, t.Product.removed_at.is_null() | _FILE_LEFT
        )
        return self._db.scalar(query.limit(1)) is not None

    def list_standing(self, after: int, limit: int) -> tuple[Product, ...]:
        """Products that were not removed, in the order in which they were made."""
        mine = t.Product
        query = mine.select().where(mine.id > after, mine.removed_at.is_null())
        return tuple(product_of(row) for row in self._db.rows(query.order_by(mine.id).limit(limit)))

    def settle(self, sha256s: Iterable[str]) -> None:
        """The files of these contents were seen to."""
        self._db.change(
            t.Product.update(file_left=False).where(t.Product.sha256 << list(sha256s), _FILE_LEFT)
        )


def _candidate(build_id: int) -> Any:
    asked = t.Evaluation.requested_by.alias("asked_by"), t.Evaluation.schedule
    return select_builds().select_extend(*_KNOWN, *asked).where(t.Build.id == build_id)


def _own(evaluation_id: int) -> Any:
    return _counts().where(t.Evaluation.id == evaluation_id)


def _standing(build_id: int) -> Any:
    """The newest evaluations that found a build there."""
    found = _counts().join(t.Reuse, on=t.Reuse.evaluation == t.Evaluation.id)
    newest = found.where(t.Reuse.build == build_id).order_by(t.Reuse.evaluation.desc())
    return newest.limit(_REMEMBERED)


def _counts() -> Any:
    mine = t.Evaluation
    return mine.select(mine.id, mine.builds_finished, mine.builds_total)


def _finished(jobset_id: int, but: int) -> Any:
    """The newest evaluation of a jobset that has finished, but for so many."""
    mine = t.Evaluation
    has_ended = _built() & (mine.builds_finished == mine.builds_total)
    newest = mine.select(mine.id).where(mine.jobset == jobset_id, has_ended)
    return newest.order_by(mine.id.desc()).offset(but).limit(1)


def _newest_evaluation(jobset_id: int, ref: str) -> Any:
    mine = t.Evaluation
    query = mine.select(mine.id).where(mine.jobset == jobset_id, mine.ref == ref, _built())
    return query.order_by(mine.requested_at.desc(), mine.id.desc()).limit(1)


def _built() -> Any:
    return t.Evaluation.built_number.is_null(is_null=False)


def _newest_success(jobset_id: int, job: str, system: str) -> Any:
    mine = t.Build
    good = _same(jobset_id, job, system) & (mine.status == BuildStatus.SUCCEEDED)
    return mine.select(mine.id).where(good).order_by(mine.id.desc()).limit(1)


def _last(jobset_id: int, job: str, system: str, ref: str) -> Any:
    mine = t.Build
    there = _same(jobset_id, job, system) & (mine.ref == ref)
    return mine.select(mine.evaluation).where(there).order_by(mine.id.desc()).limit(1)


def _same(jobset_id: int, job: str, system: str) -> Any:
    mine = t.Build
    return (mine.jobset == jobset_id) & (mine.job == job) & (mine.system == system)


def _again(evaluation_id: int, build_id: int) -> Any:
    mine = t.Reuse
    return mine.select(mine.build).where(mine.evaluation == evaluation_id, mine.build == build_id)
