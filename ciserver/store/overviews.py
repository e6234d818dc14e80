"""What runs and waits on the whole server, and how jobsets stand, in numbers that cost the same
however much was built.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.build import Build
from ciserver.model.evaluation import Evaluation
from ciserver.model.overview import Claimable, Counts, QueueShare
from ciserver.model.status import OPEN, BuildStatus, EvaluationStatus
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.evaluations import evaluation_of, select_evaluations
from ciserver.store.fields import from_microseconds
from ciserver.store.lanes import labels_of
from ciserver.store.sight import listed_builds, listed_evaluations

_AT_ONCE = 500
# In the statement's text, so that SQLite sees that the partial index answers it.
_IS_OPEN = t.Evaluation.status << [peewee.SQL("'requested'"), peewee.SQL("'running'")]
_OPEN_STATUSES = sorted(status.value for status in OPEN)
_ENDED = [status.value for status in EvaluationStatus if status.is_final]


class Overviews:
    def __init__(self, database: Database) -> None:
        self._db = database

    # -- the queue --------------------------------------------------------------------------------

    def list_unfinished(self, sight: Sight, *, limit: int) -> tuple[Build, ...]:
        """In the order of the queue: what was put to the front, then by priority, then by age."""
        rows = self._db.rows(_in_order(select_builds(), sight).limit(limit))
        return tuple(build_of(row) for row in rows)

    def count_unfinished(self, sight: Sight, *, most: int) -> int:
        """How many there are, counted up to `most` for who does not see everything."""
        if sight.everything:
            return sum(self.count_open().values())
        some = _in_order(select_builds().select(t.Build.id), sight).limit(most).alias("some")
        count = peewee.Select([some], [peewee.fn.COUNT(some.c.id)])
        return int(self._db.scalar(count) or 0)

    def share_queue(self, sight: Sight, *, most: int) -> tuple[QueueShare, ...]:
        """The first builds of the queue, at most so many, by jobset and system."""
        columns = (t.Build.jobset, t.Build.system, t.Build.queued_at)
        names = (t.Project.name.alias("project"), t.Jobset.name.alias("name"))
        some = _in_order(select_builds().select(*columns, *names), sight).limit(most).alias("some")
        mine = some.c
        shares = peewee.Select(
            [some],
            [
                *(mine.project, mine.name, mine.system),
                peewee.fn.COUNT(mine.queued_at).alias("builds"),
                peewee.fn.MIN(mine.queued_at).alias("oldest"),
                peewee.fn.MAX(mine.queued_at).alias("newest"),
            ],
        ).group_by(mine.jobset_id, mine.system)
        return tuple(
            QueueShare(
                *(row["project"], row["name"], row["system"], row["builds"]),
                *(from_microseconds(row["oldest"]), from_microseconds(row["newest"])),
            )
            for row in self._db.rows(shares)
        )

    # -- counted ----------------------------------------------------------------------------------

    def count_open(self) -> dict[BuildStatus, int]:
        """How many builds have each status that is not an end."""
        rows = self._db.rows(
            t.Build.select(t.Build.status, peewee.fn.COUNT(t.Build.id).alias("builds"))
            .where(t.Build.status << _OPEN_STATUSES)
            .group_by(t.Build.status)
        )
        return {BuildStatus(row["status"]): row["builds"] for row in rows}

    def count_claimable(self) -> int:
        """How many builds a worker could take right now."""
        return int(self._db.scalar(t.Ready.select(peewee.fn.SUM(t.Ready.builds))) or 0)

    def list_claimable(self) -> tuple[Claimable, ...]:
        """How many builds wait for which workers, without those of paused jobsets and of systems
        that are not active.
        """
        columns = (t.Project.name, t.Lane.system, t.Lane.trust, t.Lane.image, t.Lane.runs_on)
        inactive = t.System.select(t.System.name).where(t.System.active == False)  # noqa: E712
        rows = self._db.rows(
            t.Ready.select(*columns, peewee.fn.SUM(t.Ready.builds).alias("builds"))
            .join(t.Lane)
            .join(t.Jobset)
            .join(t.Project)
            .where(t.Jobset.paused == False, t.Lane.system.not_in(inactive))  # noqa: E712
            .group_by(*columns)
        )
        return tuple(
            Claimable(
                row["name"],
                f"{row['system']}/{row['trust']}",
                row["image"],
                labels_of(row["runs_on"]),
                int(row["builds"]),
            )
            for row in rows
        )

    def count_made(self) -> int:
        """How many builds there ever were."""
        return int(self._db.scalar(t.Build.select(peewee.fn.MAX(t.Build.id))) or 0)

    def count_evaluations(self) -> int:
        """How many evaluations there ever were."""
        return int(self._db.scalar(t.Jobset.select(peewee.fn.SUM(t.Jobset.evaluations_made))) or 0)

    def count_open_evaluations(self) -> dict[EvaluationStatus, int]:
        rows = self._db.rows(t.Evaluation.select(t.Evaluation.status).where(_IS_OPEN))
        return dict(Counter(EvaluationStatus(row["status"]) for row in rows))

    # -- jobsets ----------------------------------------------------------------------------------

    def heard(self, sight: Sight, jobset_ids: Iterable[int]) -> dict[int, tuple[Evaluation, ...]]:
        """The open evaluations of each jobset and the newest that ended, newest first."""
        wanted = list(jobset_ids)
        found: dict[int, list[Evaluation]] = {one: [] for one in wanted}
        has_ended = t.Evaluation.alias()
        is_newest = _newest(sight, has_ended, has_ended.status << _ENDED)
        # The few open ones are looked through by their index, not what a jobset ever had.
        is_open = _IS_OPEN & listed_evaluations(sight)
        for some in _portions(wanted):
            for mine in (is_open & ((t.Evaluation.jobset + 0) << some), is_newest & _in(some)):
                query = select_evaluations().where(mine)
                for row in self._db.rows(query.order_by(t.Evaluation.id)):
                    found[row["jobset"]].append(evaluation_of(row))
        return {
            jobset_id: tuple(sorted(evaluations, key=lambda one: -one.id))
            for jobset_id, evaluations in found.items()
        }

    def current(self, sight: Sight, jobset_ids: Iterable[int]) -> dict[int, Counts]:
        """What the newest evaluation of each jobset came to that has builds."""
        wanted = list(jobset_ids)
        other = t.Evaluation.alias()
        reused = t.Reuse.select(t.Reuse.build).where(t.Reuse.evaluation == other.id)
        is_newest = _newest(sight, other, (other.builds_total > 0) | peewee.fn.EXISTS(reused))
        rows = [
            row
            for some in _portions(wanted)
            for row in self._db.rows(select_evaluations().where(is_newest, _in(some)))
        ]
        found = self._count_reused(row["id"] for row in rows)
        return {row["jobset"]: _counts(row, found.get(row["id"], 0)) for row in rows}

    def _count_reused(self, evaluation_ids: Iterable[int]) -> dict[int, int]:
        return {
            row["evaluation"]: row["builds"]
            for some in _portions(list(evaluation_ids))
            for row in self._db.rows(
                t.Reuse.select(t.Reuse.evaluation, peewee.fn.COUNT(t.Reuse.build).alias("builds"))
                .where(t.Reuse.evaluation << some)
                .group_by(t.Reuse.evaluation)
            )
        }


def _in_order(query: Any, sight: Sight) -> Any:
    return query.where(t.Build.finished_at.is_null(), listed_builds(sight)).order_by(
        t.Build.bumped.desc(), t.Build.priority.desc(), t.Build.id
    )


def _newest(sight: Sight, one: Any, condition: Any) -> Any:
    """Whether an evaluation is the newest of its jobset that may be listed and of which this is
    true; the condition is about the alias `one`.
    """
    head = one.select(one.number).where(
        one.jobset == t.Jobset.id, condition, listed_evaluations(sight, one)
    )
    return t.Evaluation.number == head.order_by(one.number.desc()).limit(1)


def _in(jobset_ids: list[int]) -> Any:
    return t.Jobset.id << jobset_ids


def _counts(row: Mapping[str, Any], reused: int) -> Counts:
    finished, good = row["builds_finished"], row["builds_good"]
    return Counts(row["builds_total"] - finished, good + reused, finished - good)


def _portions(ids: list[int]) -> Iterable[list[int]]:
    return (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))
