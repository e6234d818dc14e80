"""What somebody asked for, all of it or what lies beneath their tags, newest first.

A search is not answered by an index, so no list looks further than a stretch of what it goes
through; where it ended, the next one begins.
"""

import json
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.label_search import LabelSearch, Term
from ciserver.model.view import BuildPage
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.sight import listed_builds

STRETCH = 1_000


class LabelLists:
    def __init__(self, database: Database) -> None:
        self._db = database

    def list_builds(
        self,
        sight: Sight,
        owner: str,
        path: str,
        wanted: LabelSearch,
        *,
        before: int | None = None,
        limit: int,
        stretch: int = STRETCH,
    ) -> BuildPage:
        """A page of what is wanted of it, from below `before`. The page may be short, or empty,
        and yet have a `next`, when so much was looked through.
        """
        if path:
            path_id = self._path_id(owner, path)
            number, mine = t.TaggedBuild.build, t.TaggedBuild.path == path_id
            query = select_builds().join(t.TaggedBuild, on=number == t.Build.id)
        else:
            number, mine = t.Build.id, t.Build.requested_by == owner
            query = select_builds()
        if before is not None:
            mine &= number < before
        last = self._after(number, mine, stretch)
        if last is not None:
            mine &= number > last
        query = query.where(mine, listed_builds(sight), *_conditions(wanted))
        found = self._db.rows(query.order_by(number.desc()).limit(limit + 1))
        page = tuple(build_of(row) for row in found[:limit])
        if len(found) > limit:
            return BuildPage(page, page[-1].id)
        return BuildPage(page, None if last is None else last + 1)

    def _path_id(self, owner: str, path: str) -> int:
        """0 for one that no build ever had."""
        mine = (t.TagPath.owner == owner) & (t.TagPath.path == path)
        return int(self._db.scalar(t.TagPath.select(t.TagPath.id).where(mine)) or 0)

    def _after(self, number: Any, mine: Any, stretch: int) -> int | None:
        """The first that is not looked at any more."""
        query = number.model.select(number).where(mine).order_by(number.desc())
        found = self._db.scalar(query.offset(stretch).limit(1))
        return None if found is None else int(found)


def _conditions(wanted: LabelSearch) -> list[Any]:
    there = [_turned(t.Build.image.contains(one.text), one) for one in wanted.image]
    if wanted.names_statuses:
        # Not by its own index, which has everybody's in the same order.
        status = peewee.fn.COALESCE(t.Build.status, "")
        there.append(status << sorted(wanted.statuses))
    there += [_turned(_labelled(t.Label.note.contains(one.text)), one) for one in wanted.note]
    for one in wanted.tags:
        # In the database they are JSON, in which nothing else looks like what parts them.
        replaced: Any = t.Label.tags
        for mark in ('", "', '["', '"]'):
            replaced = peewee.fn.REPLACE(replaced, mark, "/")
        has = (t.Label.tags != "[]") & replaced.contains(json.dumps(one.text)[1:-1])
        there.append(_turned(_labelled(has), one))
    return there


def _labelled(condition: Any) -> Any:
    """Whether the build has such a label."""
    own = t.Label.select(peewee.SQL("1")).where(t.Label.build == t.Build.id, condition)
    return peewee.fn.EXISTS(own)


def _turned(condition: Any, term: Term) -> Any:
    return ~condition if term.negated else condition
