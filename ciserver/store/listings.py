"""Lists of builds, each answered by an index of its own, newest first unless it says otherwise."""

import heapq
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.build import Build
from ciserver.model.push import Trust
from ciserver.model.status import BuildStatus
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.sight import listed_builds

_WAITING = [status.value for status in BuildStatus if status.is_waiting]
_AFTER_HEX = "g"
_KEYS_AT_ONCE = 500


class Listings:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_revision(
        self, sight: Sight, jobset_id: int, prefix: str, *, limit: int, unfinished: bool = False
    ) -> tuple[Build, ...]:
        """The builds of a jobset at the revisions that begin with these hexadecimal digits; only
        those that have not ended with `unfinished`.
        """
        revision = t.Build.revision
        conditions = [
            t.Build.jobset == jobset_id,
            (revision >= prefix) & (revision < prefix + _AFTER_HEX),
        ]
        if unfinished:
            conditions.append(t.Build.finished_at.is_null())
        return self._newest(sight, *conditions, limit=limit)

    def of_days(
        self, sight: Sight, jobset_id: int, since: datetime, until: datetime, *, limit: int
    ) -> tuple[Build, ...]:
        """The builds of a jobset that started in this time, and those queued in it that wait."""
        mine = t.Build.jobset == jobset_id
        started = (t.Build.started_at >= since) & (t.Build.started_at < until)
        queued = (t.Build.queued_at >= since) & (t.Build.queued_at < until)
        waits = t.Build.finished_at.is_null() & (t.Build.status << _WAITING)
        waiting = select_builds().where(mine, queued, waits, listed_builds(sight))
        # In the order of the index of those that have not ended.
        newest = waiting.order_by(t.Build.group_id.desc(), t.Build.id.desc())
        found = [
            *self._newest(sight, mine, started, limit=limit),
            *self._list(newest.limit(limit)),
        ]
        return tuple(sorted(found, key=lambda one: one.id, reverse=True)[:limit])

    def waiting(self, sight: Sight, jobset_id: int, *, limit: int) -> tuple[Build, ...]:
        """The builds of a jobset that wait, newest first."""
        waits = t.Build.finished_at.is_null() & (t.Build.status << _WAITING)
        query = select_builds().where(t.Build.jobset == jobset_id, waits, listed_builds(sight))
        # In the order of the index of those that have not ended.
        newest = query.order_by(t.Build.group_id.desc(), t.Build.id.desc())
        return self._list(newest.limit(limit))

    def ended(
        self,
        sight: Sight,
        since: datetime,
        until: datetime,
        *,
        after: tuple[datetime, int] | None,
        limit: int,
    ) -> tuple[Build, ...]:
        """The builds that ended in this time, the earliest first; those that follow the end and the
        id of `after`.
        """
        ended, number = t.Build.finished_at, t.Build.id
        query = select_builds().where(ended < until, listed_builds(sight))
        if after is None:
            query = query.where(ended >= since)
        else:
            last, last_id = after
            query = query.where(ended >= last, (ended > last) | (number > last_id))
        return self._list(query.order_by(ended, number).limit(limit))

    def first_end(self) -> datetime | None:
        """When the first build of all ended."""
        ended = t.Build.finished_at
        query = (
            t.Build.select(ended).where(ended.is_null(is_null=False)).order_by(ended, t.Build.id)
        )
        row = self._db.row(query)
        return row["finished_at"] if row else None

    def leases(self, build_ids: Iterable[int]) -> dict[int, datetime]:
        """Until when the workers of these builds hold them, of those that are held."""
        wanted = list(build_ids)
        found = {}
        for start in range(0, len(wanted), _KEYS_AT_ONCE):
            rows = self._db.rows(
                t.Build.select(t.Build.id, t.Build.lease_until).where(
                    t.Build.id << wanted[start : start + _KEYS_AT_ONCE],
                    t.Build.lease_until.is_null(is_null=False),
                )
            )
            found.update({row["id"]: row["lease_until"] for row in rows})
        return found

    def of_requester(
        self,
        sight: Sight,
        name: str,
        *,
        limit: int,
        up_to: int | None = None,
        jobset_id: int | None = None,
    ) -> tuple[Build, ...]:
        """The builds that somebody asked for, from the build `up_to` on downwards."""
        conditions = [t.Build.requested_by == name]
        if up_to is not None:
            conditions.append(t.Build.id <= up_to)
        if jobset_id is not None:
            conditions.append(t.Build.jobset == jobset_id)
        return self._newest(sight, *conditions, limit=limit)

    def count_of_requester(self, name: str) -> int:
        """How many builds somebody asked for in all."""
        found = self._db.scalar(
            t.Requester.select(t.Requester.builds).where(t.Requester.name == name)
        )
        return int(found or 0)

    def by_update(
        self, sight: Sight, *, limit: int, offset: int = 0, jobset_id: int | None = None
    ) -> tuple[Build, ...]:
        """What changed last comes first."""
        return self._list(_by_update(sight, jobset_id).limit(limit).offset(offset))

    def count(self, sight: Sight, *, most: int, jobset_id: int | None = None) -> int:
        """How many builds there are; after `most` no more are counted."""
        first = _by_update(sight, jobset_id).select(t.Build.id).limit(most)
        counted = peewee.Select([first.alias("first")], [peewee.fn.COUNT(peewee.SQL("1"))])
        return int(self._db.scalar(counted) or 0)

    def reusable(self, jobset_id: int, keys: Iterable[str], trust: Trust) -> dict[str, int]:
        """The newest build of each content that succeeded, among the trusted or the others."""
        found: dict[str, int] = {}
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), _KEYS_AT_ONCE):
            query = t.Build.select(t.Build.id, t.Build.key).where(
                t.Build.jobset == jobset_id,
                t.Build.key << wanted[start : start + _KEYS_AT_ONCE],
                t.Build.key != "",
                # In the text, so that SQLite sees that the partial index answers it.
                t.Build.status == peewee.SQL("'succeeded'"),
                t.Build.trust == trust,
                t.Build.deleted == False,  # noqa: E712  an expression of SQL
            )
            for row in self._db.rows(query.order_by(t.Build.id)):
                found[row["key"]] = row["id"]
        return found

    def newest_good(self, jobset_id: int, job: str) -> tuple[Build, ...]:
        """The newest build of a job that succeeded, for each of its systems."""
        newest = (
            t.Build.select(peewee.fn.MAX(t.Build.id))
            .where(
                t.Build.jobset == jobset_id,
                t.Build.job == job,
                t.Build.status == BuildStatus.SUCCEEDED,
                t.Build.deleted == False,  # noqa: E712  an expression of SQL
            )
            .group_by(t.Build.system)
        )
        return self._list(select_builds().where(t.Build.id << newest).order_by(t.Build.system))

    def of_ids(self, build_ids: Iterable[int]) -> tuple[Build, ...]:
        wanted = list(build_ids)
        return self._list(
            select_builds()
            .where(t.Build.id << wanted, t.Build.deleted == False)  # noqa: E712
            .order_by(t.Build.id)
        )

    def of_group(self, group_id: int) -> tuple[Build, ...]:
        """The builds of one job that were made together, by system."""
        there = (t.Build.group_id == group_id) & (t.Build.deleted == False)  # noqa: E712
        return self._list(select_builds().where(there).order_by(t.Build.system))

    def by_group(
        self,
        sight: Sight,
        *,
        limit: int,
        offset: int = 0,
        jobset_ids: Iterable[int] | None = None,
        statuses: Iterable[BuildStatus] = (),
    ) -> tuple[Build, ...]:
        """Builds by their group and system, oldest first; of these jobsets, in these states."""
        wanted = list(statuses)
        conditions = [listed_builds(sight)]
        if wanted:
            conditions.append(t.Build.status << wanted)
        query = select_builds().where(*conditions).order_by(t.Build.group_id, t.Build.system)
        if jobset_ids is None:
            return self._list(query.limit(limit).offset(offset))
        # One jobset at a time is read in order; all at once would be sorted first.
        query = query.limit(limit + offset)
        lists = [self._list(query.where(t.Build.jobset == one)) for one in jobset_ids]
        merged = heapq.merge(*lists, key=lambda one: (one.group_id, one.system))
        return tuple(merged)[offset : offset + limit]

    def newest_groups(
        self,
        sight: Sight,
        *,
        limit: int,
        offset: int = 0,
        jobset_ids: Iterable[int] | None = None,
        finished: bool | None = None,
    ) -> tuple[tuple[Build, ...], ...]:
        """The builds of each group by system, the newest group first; of these jobsets, and only
        groups in which every build has ended, or only the others.
        """
        groups = (
            select_builds()
            .select(t.Build.group_id)
            .where(listed_builds(sight))
            .group_by(t.Build.group_id)
            .order_by(t.Build.group_id.desc())
            .limit(limit + offset)
        )
        if finished is not None:
            groups = groups.where(_has_ended() if finished else t.Build.finished_at.is_null())
        ids = self._newest_ids(groups, jobset_ids)[offset : offset + limit]
        there = (t.Build.group_id << ids) & (t.Build.deleted == False)  # noqa: E712
        found: dict[int, list[Build]] = {one: [] for one in ids}
        for build in self._list(select_builds().where(there).order_by(t.Build.system)):
            found[build.group_id].append(build)
        return tuple(map(tuple, found.values()))

    def _newest_ids(self, groups: Any, jobset_ids: Iterable[int] | None) -> list[int]:
        if jobset_ids is None:
            return [row["group_id"] for row in self._db.rows(groups)]
        # Here, too, one jobset at a time is read in order.
        lists = [self._newest_ids(groups.where(t.Build.jobset == one), None) for one in jobset_ids]
        return list(heapq.merge(*lists, reverse=True))

    def job_names(self, jobset_id: int) -> tuple[str, ...]:
        """Every job of which a build was made."""
        rows = self._db.rows(
            t.JobCounter.select(t.JobCounter.job)
            .where(t.JobCounter.jobset == jobset_id)
            .order_by(t.JobCounter.job)
        )
        return tuple(row["job"] for row in rows)

    def _newest(self, sight: Sight, *conditions: Any, limit: int) -> tuple[Build, ...]:
        query = select_builds().where(*conditions, listed_builds(sight))
        return self._list(query.order_by(t.Build.id.desc()).limit(limit))

    def _list(self, query: peewee.Query) -> tuple[Build, ...]:
        return tuple(build_of(row) for row in self._db.rows(query))


def _has_ended() -> Any:
    """Whether no build of the group is unfinished."""
    one = t.Build.alias()
    unfinished = one.select(one.id).where(
        one.group_id == t.Build.group_id, one.finished_at.is_null()
    )
    return ~peewee.fn.EXISTS(unfinished)


def _by_update(sight: Sight, jobset_id: int | None) -> Any:
    query = select_builds().where(listed_builds(sight))
    if jobset_id is not None:
        query = query.where(t.Build.jobset == jobset_id)
    return query.order_by(t.Build.updated_at.desc(), t.Build.id.desc())
