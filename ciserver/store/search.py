"""Finding things by a piece of their name, number, revision or derivation.

Names are looked for in the tables of projects, jobsets and jobs, which stay small; builds only by
what an index has in order.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.build import Build
from ciserver.model.job import Address
from ciserver.store import tables as t
from ciserver.store.build_rows import build_of, select_builds
from ciserver.store.database import Database
from ciserver.store.sight import listed_builds, listed_projects

_AFTER_HEX = "g"
_AFTER_SLASH = "0"
_LAST = "\U0010ffff"
_STORES = 8
_SHOWN = (t.Project.hidden == False) & (t.Jobset.hidden == False)  # noqa: E712  an expression of SQL


class Search:
    def __init__(self, database: Database) -> None:
        self._db = database

    def projects(self, sight: Sight, text: str, *, limit: int) -> tuple[int, ...]:
        """Those with the text in a name or description, by name."""
        mine = t.Project
        query = mine.select(mine.id).where(
            listed_projects(sight),
            mine.hidden == False,  # noqa: E712  an expression of SQL
            _has(text, mine.name, mine.display_name, mine.description),
        )
        return self._ids(query.order_by(mine.name).limit(limit))

    def jobsets(self, sight: Sight, text: str, *, limit: int) -> tuple[int, ...]:
        """Those with the text in the name or description, by project and name."""
        query = (
            t.Jobset.select(t.Jobset.id)
            .join(t.Project)
            .where(
                listed_projects(sight),
                t.Jobset.removed == False,  # noqa: E712  an expression of SQL
                _SHOWN,
                _has(text, t.Jobset.name, t.Jobset.description),
            )
        )
        return self._ids(query.order_by(t.Project.name, t.Jobset.name).limit(limit))

    def jobs(self, sight: Sight, text: str, *, limit: int) -> tuple[Address, ...]:
        """Those with the text in the name, by their names. What is submitted may be private, so
        the names of that are for those who see all of it.
        """
        rows = self._db.rows(
            t.JobCounter.select(
                t.Project.name.alias("project"), t.Jobset.name.alias("jobset"), t.JobCounter.job
            )
            .join(t.Jobset)
            .join(t.Project)
            .where(
                listed_projects(sight),
                t.Jobset.removed == False,  # noqa: E712  an expression of SQL
                _SHOWN,
                _has(text, t.JobCounter.job),
                *_open_names(sight),
            )
            .order_by(t.Project.name, t.Jobset.name, t.JobCounter.job)
            .limit(limit)
        )
        return tuple(Address(row["project"], row["jobset"], row["job"]) for row in rows)

    def build(self, sight: Sight, build_id: int) -> tuple[Build, ...]:
        """The build of that number, if there is one."""
        return self._list(select_builds().where(t.Build.id == build_id, listed_builds(sight)))

    def of_revision(self, sight: Sight, prefix: str, *, limit: int) -> tuple[Build, ...]:
        """Builds at the revisions that begin with these hexadecimal digits, newest first."""
        revision = t.Build.revision
        at = (revision >= prefix) & (revision < prefix + _AFTER_HEX)
        query = select_builds().select(t.Build.id).where(at, listed_builds(sight))
        # Not in the order of an index: each jobset has its revisions in one, and is asked.
        return self._newest(self._ids(query.order_by((t.Build.id + 0).desc()).limit(limit)))

    def of_derivation(self, sight: Sight, text: str, *, limit: int) -> tuple[Build, ...]:
        """Builds of the derivations whose path begins so, or whose name does, newest first."""
        stores = [""] if text.startswith("/") else [f"{one}/" for one in self._stores()]
        path = t.BuildOutput.drv_path
        found: set[int] = set()
        for store in stores:
            begins = (path != "") & (path >= store + text) & (path < store + text + _LAST)
            query = (
                select_builds()
                .select(t.Build.id)
                .join(t.BuildOutput, on=t.BuildOutput.build == t.Build.id)
                .where(begins, listed_builds(sight))
                .order_by(t.Build.id.desc())
                .limit(limit)
            )
            found.update(self._ids(query))
        return self._newest(sorted(found, reverse=True)[:limit])

    def _stores(self) -> Iterable[str]:
        """The directories in which derivations lie: a few, each found by one look at the index."""
        after, path = "", t.BuildOutput.drv_path
        for _ in range(_STORES):
            query = t.BuildOutput.select(path).where(path != "", path > after).order_by(path)
            first = self._db.scalar(query.limit(1))
            if first is None:
                return
            store = str(first).rpartition("/")[0]
            yield store
            after = store + _AFTER_SLASH

    def _newest(self, build_ids: Sequence[int]) -> tuple[Build, ...]:
        if not build_ids:
            return ()
        return self._list(
            select_builds().where(t.Build.id << build_ids).order_by(t.Build.id.desc())
        )

    def _ids(self, query: Any) -> tuple[int, ...]:
        return tuple(row["id"] for row in self._db.rows(query))

    def _list(self, query: Any) -> tuple[Build, ...]:
        return tuple(build_of(row) for row in self._db.rows(query))


def _has(text: str, *columns: Any) -> Any:
    """Whether one of them has the text in it, in letters of either case."""
    found = columns[0].contains(text)
    for one in columns[1:]:
        found |= one.contains(text)
    return found


def _open_names(sight: Sight) -> tuple[Any, ...]:
    if sight.everything:
        return ()
    one = t.Input
    source = one.select(one.id).where(one.jobset == t.Jobset.id, one.name == t.Jobset.recipe_input)
    is_pushed = ~t.Project.name.startswith("~") & peewee.fn.EXISTS(source)
    return (is_pushed | (t.Project.id << list(sight.projects)),)
