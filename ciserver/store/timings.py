"""Times between moments in the life of builds and evaluations."""

from datetime import datetime

import peewee

from ciserver.model.account import Sight
from ciserver.model.evaluation import Kind
from ciserver.model.status import BuildStatus
from ciserver.model.timing import PushTime, Wait
from ciserver.store import tables as t
from ciserver.store.build_rows import select_builds
from ciserver.store.database import Database
from ciserver.store.fields import from_microseconds
from ciserver.store.sight import listed_builds, listed_evaluations

_GOOD = [status.value for status in BuildStatus if status.is_good]


class Timings:
    def __init__(self, database: Database) -> None:
        self._db = database

    def waits(
        self, sight: Sight, jobset_id: int, since: datetime, until: datetime, *, limit: int
    ) -> tuple[Wait, ...]:
        """How long the builds of a jobset waited that started in this time, the newest of them."""
        rows = self._db.rows(
            select_builds()
            .select(t.Build.system, t.Build.queued_at, t.Build.started_at)
            .where(
                t.Build.jobset == jobset_id,
                (t.Build.started_at >= since) & (t.Build.started_at <= until),
                listed_builds(sight),
            )
            .order_by(t.Build.started_at.desc())
            .limit(limit)
        )
        return tuple(
            Wait(row["system"], max(0.0, (row["started_at"] - row["queued_at"]).total_seconds()))
            for row in rows
        )

    def pushes(self, sight: Sight, jobset_id: int, *, limit: int) -> tuple[PushTime, ...]:
        """Of the newest evaluations of a jobset of which every build has ended, those that a push
        asked for, newest first.
        """
        one = t.Build.alias("b")
        mine = one.evaluation == t.Evaluation.id
        own = mine & one.rebuild_of.is_null()  # what was asked for again is no part of the push
        count = peewee.fn.COUNT(one.id)
        newest = (
            t.Evaluation.select(
                t.Evaluation,
                one.select(peewee.fn.MAX(one.finished_at)).where(own).alias("ended_at"),
                one.select(count).where(mine, ~own).alias("rebuilds"),
                one.select(count).where(own, one.status.not_in(_GOOD)).alias("bad"),
            )
            .join(t.Jobset)
            .join(t.Project)
            .where(
                t.Evaluation.jobset == jobset_id,
                t.Evaluation.built_number.is_null(is_null=False),
                t.Evaluation.builds_finished == t.Evaluation.builds_total,
                listed_evaluations(sight),
            )
            .order_by(t.Evaluation.id.desc())
            .limit(limit)
        )
        return tuple(
            PushTime(
                evaluation_id=row["id"],
                revision=row["revision"],
                subject=row["subject"],
                requested_at=row["requested_at"],
                ended_at=from_microseconds(row["ended_at"]),
                builds=row["builds_total"] - row["rebuilds"],
                good=row["builds_total"] - row["rebuilds"] - row["bad"],
            )
            for row in self._db.rows(newest)
            if row["kind"] == Kind.PUSH and row["ended_at"] is not None
        )
