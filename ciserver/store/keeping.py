"""Which products may go: what is due for a look, what still holds them, what was removed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.build import Build, Product
from ciserver.model.errors import NotFound
from ciserver.model.status import BuildStatus
from ciserver.store import tables as t
from ciserver.store.builds import build_of, select_builds
from ciserver.store.database import Database, in_pieces, marks
from ciserver.store.fields import to_microseconds
from ciserver.store.products import product_of
from ciserver.store.storage import charge

# As the indexes have it, so that SQLite sees that they may be used.
_OPEN = peewee.SQL("status IN ('requested', 'running')")
_FILE_LEFT = peewee.SQL("file_left = 1")
_REMEMBERED = 50  # of the evaluations that an earlier result stands for


@dataclass(frozen=True)
class Candidate:
    """A build whose products may be due; `keep` is how many evaluations its jobset keeps, none
    once that was removed.
    """

    build: Build
    keep: int
    is_current: bool  # neither the build nor its jobset was removed
    is_deleted: bool
    is_autostarted: bool


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
        row = self._db.row(select_builds().where(t.Build.id == build_id))
        if row is None:
            raise NotFound(f"there is no build {build_id}", hint="see: ciserver list")
        build = build_of(row)
        more = (
            t.Build.select(
                t.Build.deleted,
                t.Evaluation.schedule,
                t.Evaluation.requested_by,
                t.Jobset.removed,
                t.Jobset.keep_evaluations,
            )
            .join(t.Evaluation)
            .switch(t.Build)
            .join(t.Jobset, on=t.Build.jobset == t.Jobset.id)
            .where(t.Build.id == build_id)
        )
        known: Mapping[str, Any] = self._db.row(more) or {}
        by_look = known["requested_by"] == autostart
        return Candidate(
            build,
            keep=0 if known["removed"] else known["keep_evaluations"],
            is_current=not (known["removed"] or known["deleted"]),
            is_deleted=bool(known["deleted"]),
            is_autostarted=by_look or known["schedule"] is not None,
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
        mine = t.Evaluation
        reuses = t.Reuse.select(t.Reuse.evaluation).where(t.Reuse.build == build.id)
        newest = reuses.order_by(t.Reuse.evaluation.desc()).limit(_REMEMBERED)
        having = [build.evaluation_id, *(row["evaluation"] for row in self._db.rows(newest))]
        unfinished = mine.select(mine.id).where(
            mine.id << having, mine.builds_finished < mine.builds_total
        )
        if self._db.scalar(unfinished.limit(1)) is not None:
            return True
        return keep > 0 and max(having) >= self._oldest_kept(build.jobset_id, keep)

    def _oldest_kept(self, jobset_id: int, keep: int) -> int:
        mine = t.Evaluation
        query = (
            mine.select(mine.id)
            .where(
                mine.jobset == jobset_id,
                mine.built_number.is_null(is_null=False),
                mine.builds_finished == mine.builds_total,
            )
            .order_by(mine.id.desc())
        )
        found = self._db.scalar(query.offset(keep - 1).limit(1))
        return 0 if found is None else int(found)

    def is_newest_success(self, build: Build) -> bool:
        """Whether it is the newest success of its job, and the job one of the newest evaluation of
        its ref.
        """
        same = (
            (t.Build.jobset == build.jobset_id)
            & (t.Build.job == build.job)
            & (t.Build.system == build.system)
        )
        good = t.Build.select(t.Build.id).where(same, t.Build.status == BuildStatus.SUCCEEDED)
        if self._db.scalar(good.order_by(t.Build.id.desc()).limit(1)) != build.id:
            return False
        mine = t.Evaluation
        newest = mine.select(mine.id).where(
            mine.jobset == build.jobset_id,
            mine.ref == build.ref,
            mine.built_number.is_null(is_null=False),
        )
        current = self._db.scalar(
            newest.order_by(mine.requested_at.desc(), mine.id.desc()).limit(1)
        )
        last = t.Build.select(t.Build.evaluation).where(same, t.Build.ref == build.ref)
        if self._db.scalar(last.order_by(t.Build.id.desc()).limit(1)) == current:
            return True
        again = t.Reuse.select(t.Reuse.build).where(
            t.Reuse.evaluation == current, t.Reuse.build == build.id
        )
        return self._db.scalar(again) is not None

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
