"""Builds by what they come to and where they were made, what changed last first."""

import heapq
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.build import Build
from ciserver.model.status import BuildStatus
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.sight import listed_builds, listed_projects

_NAMED = 100


class Filtered:
    def __init__(self, database: Database) -> None:
        self._db = database

    def jobsets_named(self, sight: Sight, text: str) -> tuple[int, ...]:
        """Jobsets with the text in their name, in letters of either case; the first hundred."""
        query = (
            t.Jobset.select(t.Jobset.id)
            .join(t.Project)
            .where(
                listed_projects(sight),
                t.Jobset.removed == False,  # noqa: E712  an expression of SQL
                peewee.fn.LOWER(t.Jobset.name).contains(text.lower()),
            )
            .order_by(t.Jobset.name, t.Jobset.id)
        )
        return tuple(row["id"] for row in self._db.rows(query.limit(_NAMED)))

    def by_update(
        self,
        sight: Sight,
        *,
        limit: int,
        offset: int,
        statuses: Sequence[BuildStatus] | None = None,
        jobset_ids: Iterable[int] | None = None,
        build_id: int | None = None,
    ) -> tuple[Build, ...]:
        """Builds in these states, of these jobsets, of this number; None stands for any. What is
        left out by `offset` is read, so it is for the caller to bound it.
        """
        query = _by_update(sight, limit + offset)
        if build_id is not None:
            query = query.where(t.Build.id == build_id)
        queries = _each(query, t.Build.jobset, jobset_ids)
        queries = [one for each in queries for one in _each(each, t.Build.status, statuses)]
        # Each is read in the order of an index; all at once would be sorted first.
        lists = [self._db.rows(one) for one in queries]
        merged = heapq.merge(*lists, key=lambda row: (row["updated_at"], row["id"]), reverse=True)
        return self._builds([row["id"] for row in islice(merged, offset, offset + limit)])

    def _builds(self, ids: list[int]) -> tuple[Build, ...]:
        rows = self._db.rows(select_builds().where(t.Build.id << ids))
        found = {row["id"]: build_of(row) for row in rows}
        return tuple(found[one] for one in ids if one in found)


def _by_update(sight: Sight, limit: int) -> Any:
    query = select_builds().select(t.Build.id, t.Build.updated_at).where(listed_builds(sight))
    return query.order_by(t.Build.updated_at.desc(), t.Build.id.desc()).limit(limit)


def _each(query: Any, column: Any, values: Iterable[Any] | None) -> list[Any]:
    """One query for each value; the query itself where any will do."""
    return [query] if values is None else [query.where(column == one) for one in values]
