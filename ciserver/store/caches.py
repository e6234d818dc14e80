"""What builds of a project keep for each other, under keys."""

from datetime import datetime
from typing import Any, NamedTuple

import peewee

from ciserver.model.push import Trust
from ciserver.store import tables as t
from ciserver.store.database import Database


class Kept(NamedTuple):
    """An archive: the name of its file, its content's SHA-256 and size."""

    file: str
    sha256: str
    size: int


class Caches:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, project_id: int, trust: Trust, key: str) -> Kept | None:
        row = self._db.row(t.Cache.select().where(_is(project_id, trust, key)))
        return Kept(row["file"], row["sha256"], row["size"]) if row else None

    def use(self, project_id: int, trust: Trust, key: str, now: datetime) -> None:
        """Note that somebody wanted it: what nobody wants goes first."""
        self._db.change(t.Cache.update(used_at=now).where(_is(project_id, trust, key)))

    def put(self, project_id: int, trust: Trust, key: str, kept: Kept, now: datetime) -> None:
        """Keep an archive under the key, in the place of the one before."""
        self._db.insert(
            t.Cache.insert(
                project=project_id,
                trust=trust.value,
                key=key,
                file=kept.file,
                sha256=kept.sha256,
                size=kept.size,
                saved_at=now,
                used_at=now,
            )
            .on_conflict(
                conflict_target=[t.Cache.project, t.Cache.trust, t.Cache.key],
                preserve=[
                    t.Cache.file,
                    t.Cache.sha256,
                    t.Cache.size,
                    t.Cache.saved_at,
                    t.Cache.used_at,
                ],
            )
            .as_rowcount()
        )

    def evict(self, project_id: int, quota: int) -> tuple[str, ...]:
        """Remove the rows of a project that were used longest ago until the rest is within the
        quota; gives the names of their files.
        """
        rows = self._db.rows(
            t.Cache.select(t.Cache.trust, t.Cache.key, t.Cache.file, t.Cache.size)
            .where(t.Cache.project == project_id)
            .order_by(t.Cache.used_at.desc(), t.Cache.saved_at.desc())
        )
        total, gone = 0, []
        for row in rows:
            total += row["size"]
            if total > quota:
                gone.append(row["file"])
                self._db.change(t.Cache.delete().where(t.Cache.file == row["file"]))
        return tuple(gone)

    def drop_removed(self, limit: int) -> tuple[str, ...]:
        """Remove rows of projects that are removed, at most so many; gives the names of their
        files.
        """
        removed = t.Project.select(t.Project.id).where(peewee.SQL("removed = 1"))
        rows = self._db.rows(
            t.Cache.select(t.Cache.file).where(t.Cache.project << removed).limit(limit)
        )
        gone = tuple(row["file"] for row in rows)
        if gone:
            self._db.change(t.Cache.delete().where(t.Cache.file << gone))
        return gone

    def files(self) -> set[str]:
        """The names of all files that are kept."""
        return {row["file"] for row in self._db.rows(t.Cache.select(t.Cache.file))}

    def size_of_project(self, project_id: int) -> int:
        query = t.Cache.select(peewee.fn.SUM(t.Cache.size)).where(t.Cache.project == project_id)
        return int(self._db.scalar(query) or 0)


def _is(project_id: int, trust: Trust, key: str) -> Any:
    return (t.Cache.project == project_id) & (t.Cache.trust == trust.value) & (t.Cache.key == key)
