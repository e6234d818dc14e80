"""Job groups, and which builds are in them."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import peewee as p

from ciserver.model.build import Build, TriggerSpec
from ciserver.model.errors import NotFound
from ciserver.model.job_group import JobGroup
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database, marks


class JobGroups:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        owner: str,
        *,
        note: str,
        triggers: Iterable[TriggerSpec],
        build_ids: Iterable[int],
        now: datetime,
    ) -> int:
        """Join builds of which none is in a group; within the caller's transaction."""
        text = json.dumps([vars(one) for one in triggers])
        group = t.JobGroup.insert(owner=owner, note=note, triggers=text, created_at=now)
        group_id = self._db.insert(group)
        members = [{"build": one, "group": group_id} for one in build_ids]
        self._db.insert(t.JobGroupMember.insert_many(members).as_rowcount())
        return group_id

    def get(self, group_id: int) -> JobGroup:
        row = self._db.row(t.JobGroup.select().where(t.JobGroup.id == group_id))
        if row is None:
            raise NotFound(f"there is no job group {group_id}")
        return _group(row)

    def grouped(self, build_ids: Iterable[int]) -> frozenset[int]:
        """Those of the builds that are in a group."""
        member = t.JobGroupMember
        rows = self._db.rows(member.select(member.build).where(member.build << list(build_ids)))
        return frozenset(row["build"] for row in rows)

    def members(self, group_id: int) -> tuple[Build, ...]:
        """The builds of a group by id; not those that were deleted."""
        member = t.JobGroupMember
        ids = member.select(member.build).where(member.group == group_id)
        there = (t.Build.id << ids) & (t.Build.deleted == False)  # noqa: E712
        rows = self._db.rows(select_builds().where(there).order_by(t.Build.id))
        return tuple(build_of(row) for row in rows)

    def end_with(self, build_ids: Iterable[int], now: datetime) -> list[tuple[JobGroup, int]]:
        """The groups of which these builds, which have ended, were the last, each with the last one
        of it; the groups are ended then. None where there is no group, where others of it have not
        ended, and for a group that ended before. Within the transaction that ends the builds, so of
        those that end at once one is the last.
        """
        ended = list(build_ids)
        # Asked at the end of each build, and most are in no group.
        member_of = f"SELECT 1 FROM job_group_members WHERE build_id IN ({marks(ended)}) LIMIT 1"  # noqa: S608  our own words
        if self._db.sql(member_of, ended).fetchone() is None:
            return []
        member, other = t.JobGroupMember, t.JobGroupMember.alias()
        is_open = p.fn.EXISTS(
            other.select(other.build)
            .join(t.Build, on=other.build == t.Build.id)
            .where(other.group == t.JobGroup.id, t.Build.finished_at.is_null())
        )
        rows = self._db.rows(
            t.JobGroup.select(t.JobGroup, p.fn.MAX(member.build).alias("last"))
            .join(member, on=member.group == t.JobGroup.id)
            .where(member.build << ended, t.JobGroup.ended_at.is_null(), ~is_open)
            .group_by(t.JobGroup.id)
        )
        if rows:
            groups = [row["id"] for row in rows]
            self._db.change(t.JobGroup.update(ended_at=now).where(t.JobGroup.id << groups))
        return [(_group({**row, "ended_at": now}), row["last"]) for row in rows]


def _group(row: Mapping[str, Any]) -> JobGroup:
    return JobGroup(
        id=row["id"],
        owner=row["owner"],
        note=row["note"],
        triggers=tuple(TriggerSpec(**one) for one in json.loads(row["triggers"])),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
