"""Schedules, and the memory of every due moment that was fired."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ciserver.model.account import Sight
from ciserver.model.errors import NotFound
from ciserver.model.schedule import Firing, PgoStrategy, Schedule, ScheduleKind, Timing
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.fields import from_microseconds, to_microseconds
from ciserver.store.sight import listed_projects

_ACTIVE = (t.Schedule.paused == 0) & (t.Schedule.removed == 0)


class Schedules:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        jobset_id: int,
        kind: ScheduleKind,
        timing: Timing,
        *,
        ref: str,
        only_if_changed: bool,
        last_good: bool,
        declared_by: str,
        now: datetime,
        next_due_at: datetime | None,
        runs_script: bool = False,
    ) -> int:
        return self._db.insert(
            t.Schedule.insert(
                jobset=jobset_id,
                kind=kind,
                timing=_timing_to_json(timing),
                ref=ref,
                only_if_changed=only_if_changed,
                last_good=last_good,
                declared_by=declared_by,
                created_at=now,
                next_due_at=next_due_at,
                runs_script=runs_script,
            )
        )

    def find(self, schedule_id: int) -> Schedule | None:
        """Also one that was removed meanwhile."""
        row = self._db.row(_select().where(t.Schedule.id == schedule_id))
        return _schedule(row) if row else None

    def get(self, schedule_id: int) -> Schedule:
        row = self._db.row(_select().where(t.Schedule.id == schedule_id, t.Schedule.removed == 0))
        if row is None:
            raise NotFound(
                f"there is no schedule {schedule_id}", hint="see: ciserver schedule list"
            )
        return _schedule(row)

    def list_all(self, sight: Sight) -> tuple[Schedule, ...]:
        query = _select().where(t.Schedule.removed == 0, listed_projects(sight))
        rows = self._db.rows(query.order_by(t.Schedule.id))
        return tuple(_schedule(row) for row in rows)

    def list_of_jobset(self, jobset_id: int) -> tuple[Schedule, ...]:
        return tuple(_schedule(row) for row in self._db.usual(_of_jobset, jobset_id))

    def list_due(self, now: datetime, limit: int) -> tuple[Schedule, ...]:
        """Those that are due, longest first."""
        rows = self._db.rows(
            _select()
            .where(_ACTIVE, t.Schedule.next_due_at <= now)
            .order_by(t.Schedule.next_due_at)
            .limit(limit)
        )
        return tuple(_schedule(row) for row in rows)

    def next_due(self) -> datetime | None:
        """When the next schedule is due."""
        due = self._db.sql(
            "SELECT MIN(next_due_at) FROM schedules"
            " WHERE paused = 0 AND removed = 0 AND next_due_at IS NOT NULL"
        ).fetchone()[0]
        return None if due is None else from_microseconds(due)

    def move_on(self, schedule: Schedule, next_due_at: datetime | None) -> bool:
        """Set the next due moment; False when somebody else has moved it since it was read."""
        moved = t.Schedule.update(next_due_at=next_due_at).where(
            t.Schedule.id == schedule.id, t.Schedule.next_due_at == schedule.next_due_at
        )
        return bool(self._db.change(moved))

    def pause(self, schedule_id: int, *, paused: bool, next_due_at: datetime | None) -> None:
        self._db.change(
            t.Schedule.update(paused=paused, next_due_at=next_due_at).where(
                t.Schedule.id == schedule_id
            )
        )

    def remove(self, schedule_id: int) -> None:
        """Out of every list; its firings stay."""
        self._db.change(
            t.Schedule.update(removed=True, next_due_at=None).where(t.Schedule.id == schedule_id)
        )

    def add_firing(self, firing: Firing) -> bool:
        """Write down a firing; False when this due moment was fired already."""
        return bool(
            self._db.insert(
                t.Firing.insert(
                    schedule=firing.schedule_id,
                    due_at=firing.due_at,
                    fired_at=firing.fired_at,
                    missed=firing.missed,
                    evaluation=firing.evaluation_id,
                    outcome=firing.outcome,
                )
                .on_conflict_ignore()
                .as_rowcount()
            )
        )

    def link(self, firing: Firing, evaluation_id: int) -> None:
        """Say which evaluation a firing requested."""
        self._db.sql(
            "UPDATE firings SET evaluation_id = ? WHERE schedule_id = ? AND due_at = ?",
            (evaluation_id, firing.schedule_id, to_microseconds(firing.due_at)),
        )

    def find_under_way(self, schedule_id: int) -> int | None:
        """The evaluation of the newest firing that has one, while it or a build of it is open."""
        row = self._db.sql(
            "SELECT id FROM evaluations WHERE id = ("
            "  SELECT evaluation_id FROM firings"
            "  WHERE schedule_id = ? AND evaluation_id IS NOT NULL ORDER BY due_at DESC LIMIT 1"
            ") AND (status IN ('requested', 'running') OR builds_finished < builds_total)",
            (schedule_id,),
        ).fetchone()
        return None if row is None else int(row[0])

    def switches(self, jobset_id: int) -> tuple[bool, bool, PgoStrategy]:
        """Whether the project and the jobset are enabled, and how PGO builds are made."""
        project, jobset, strategy = self._db.sql(
            "SELECT projects.enabled, jobsets.mode != 'off', pgo_strategy FROM jobsets"
            " JOIN projects ON projects.id = project_id WHERE jobsets.id = ?",
            (jobset_id,),
        ).fetchone()
        return bool(project), bool(jobset), PgoStrategy(strategy)

    def list_firings(self, schedule_id: int, limit: int) -> tuple[Firing, ...]:
        """The newest firings of a schedule."""
        rows = self._db.rows(
            t.Firing.select()
            .where(t.Firing.schedule == schedule_id)
            .order_by(t.Firing.due_at.desc())
            .limit(limit)
        )
        return tuple(_firing(row) for row in rows)


def _of_jobset(jobset_id: int) -> Any:
    there = (t.Schedule.jobset == jobset_id) & (t.Schedule.removed == 0)
    return _select().where(there).order_by(t.Schedule.id)


def _select() -> Any:
    return (
        t.Schedule.select(
            t.Schedule,
            t.Jobset.name.alias("jobset_name"),
            t.Project.name.alias("project_name"),
        )
        .join(t.Jobset)
        .join(t.Project)
    )


def _timing_to_json(timing: Timing) -> str:
    values = asdict(timing)
    if timing.anchor is not None:
        values["anchor"] = to_microseconds(timing.anchor)
    return json.dumps(values)


def _timing(text: str) -> Timing:
    values = json.loads(text)
    for name in ("hours", "minutes"):
        values[name] = tuple(values[name])
    if values["anchor"] is not None:
        values["anchor"] = from_microseconds(values["anchor"])
    return Timing(**values)


def _schedule(row: Mapping[str, Any]) -> Schedule:
    return Schedule(
        id=row["id"],
        jobset_id=row["jobset"],
        project=row["project_name"],
        jobset=row["jobset_name"],
        kind=ScheduleKind(row["kind"]),
        timing=_timing(row["timing"]),
        ref=row["ref"],
        only_if_changed=bool(row["only_if_changed"]),
        last_good=bool(row["last_good"]),
        paused=bool(row["paused"]),
        declared_by=row["declared_by"],
        created_at=row["created_at"],
        next_due_at=row["next_due_at"],
        runs_script=bool(row["runs_script"]),
    )


def _firing(row: Mapping[str, Any]) -> Firing:
    return Firing(
        schedule_id=row["schedule"],
        due_at=row["due_at"],
        fired_at=row["fired_at"],
        missed=row["missed"],
        evaluation_id=row["evaluation"],
        outcome=row["outcome"],
    )
