"""Builds by when they ended.

The indexes have those of the whole server and those of each jobset in that order. Whatever else is
asked for is looked for among the newest of them, in stretches that grow: a common thing is found
at once, a rare one costs a bounded look.
"""

import functools
import operator
from collections import Counter
from collections.abc import Iterator
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.build import Build
from ciserver.model.job import EVERYWHERE, Address
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.fields import to_microseconds
from ciserver.store.sight import listed_builds

MOST_LOOKED_AT = 100_000
_FIRST, _GROWTH = 500, 4
_ENDED = (t.Build.finished_at, t.Build.id)
_EVERYTHING = Sight(everything=True)
_NONE = 0  # no jobset has this number


class Ended:
    """Of a place, and for a system; of all where neither is named. At most `most` builds are
    looked at.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def list_builds(
        self,
        sight: Sight,
        place: Address = EVERYWHERE,
        *,
        system: str = "",
        limit: int,
        most: int = MOST_LOOKED_AT,
    ) -> tuple[Build, ...]:
        """The one that ended last first."""
        found: list[Build] = []
        query = select_builds().where(listed_builds(sight))
        for some, _ in self._spans(place, system, most):
            rows = self._db.rows(_newest_first(query.where(some)).limit(limit - len(found)))
            found += map(build_of, rows)
            if len(found) >= limit:
                break
        return tuple(found)

    def count(
        self,
        sight: Sight,
        place: Address = EVERYWHERE,
        *,
        system: str = "",
        seconds: int,
        periods: int,
        most: int = MOST_LOOKED_AT,
    ) -> tuple[int, ...]:
        """How many ended in each of the newest periods of so many seconds in which any did, the
        oldest first. Where there are more builds than are looked at, a period that may not be
        whole is left out.
        """
        counts: Counter[int] = Counter()
        query = select_builds().select(t.Build.finished_at).where(listed_builds(sight))
        is_whole = False
        for some, is_whole in self._spans(place, system, most):
            rows = self._db.rows(query.where(some))
            counts.update(int(row["finished_at"].timestamp()) // seconds for row in rows)
            if is_whole or len(counts) > periods:
                break
        if counts and not is_whole and len(counts) <= periods:
            counts.pop(min(counts))
        newest = sorted(counts, reverse=True)[:periods]
        return tuple(counts[one] for one in reversed(newest))

    def _spans(self, place: Address, system: str, most: int) -> Iterator[tuple[Any, bool]]:
        """Conditions on builds, for one stretch after the other, the newest first; with whether
        nothing follows.
        """
        jobset, others = self._conditions(place, system)
        ended = t.Build.finished_at.is_null(is_null=False)
        ends = mine = ended if jobset is None else ended & (t.Build.jobset == jobset)
        size = _FIRST
        while most > 0:
            size = min(size, most)
            query = _newest_first(t.Build.select(*_ENDED).where(ends))
            last = self._db.row(query.offset(size - 1))
            if last is None:
                yield ends & others, True
                return
            at = to_microseconds(last["finished_at"]), last["id"]
            yield ends & (peewee.Tuple(*_ENDED) >= at) & others, False
            ends = mine & (peewee.Tuple(*_ENDED) < at)
            most, size = most - size, size * _GROWTH

    def _conditions(self, place: Address, system: str) -> tuple[int | None, Any]:
        """The jobset whose builds an index has in order, if one is named; and what else they must
        be, written so that no other index is taken for it.
        """
        jobset, others = None, [listed_builds(_EVERYTHING)]
        if place.project and place.jobset:
            jobset = self._jobset(place) or _NONE
        elif place.project:
            others.append(t.Project.name.concat("") == place.project)
        elif place.jobset:
            others.append(t.Jobset.name.concat("") == place.jobset)
        for column, wanted in ((t.Build.job, place.job), (t.Build.system, system)):
            if wanted:
                others.append(column.concat("") == wanted)
        return jobset, functools.reduce(operator.and_, others)

    def _jobset(self, place: Address) -> int | None:
        query = t.Jobset.select(t.Jobset.id).join(t.Project)
        found: int | None = self._db.scalar(
            query.where(
                t.Project.name == place.project,
                t.Jobset.name == place.jobset,
                t.Project.removed == False,  # noqa: E712  an expression of SQL
                t.Jobset.removed == False,  # noqa: E712
            )
        )
        return found


def _newest_first(query: Any) -> Any:
    return query.order_by(*(one.desc() for one in _ENDED))
