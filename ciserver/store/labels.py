"""What builds are called and sorted by: notes, tags, and the paths that tags make."""

import json
from collections.abc import Iterable, Sequence
from itertools import product

from ciserver.model.build import Label
from ciserver.store import tables as t
from ciserver.store.database import Database, in_pieces

_DEPTH = 16
_AT_ONCE = 500  # builds of one statement: with 16 paths each it has 16,000 values


class Labels:
    """Every beginning of a build's tags is a row, so that a list of all builds beneath a path is
    read from one index: `tag_paths` by owner and path, then `tagged_builds`, the newest last.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, build_ids: Iterable[int], owner: str, label: Label) -> None:
        """Give new builds, which `owner` asked for, the same label; within the caller's
        transaction.
        """
        tags = json.dumps(label.tags)
        paths = [self._path_id(owner, path) for path in tag_paths(label.tags)]
        for some in in_pieces(build_ids, _AT_ONCE):
            self._insert("labels (build_id, note, tags)", [(one, label.note, tags) for one in some])
            if paths:
                self._insert("tagged_builds (path_id, build_id)", [*product(paths, some)])

    def of(self, build_ids: Iterable[int]) -> dict[int, Label]:
        """The labels of those that have one."""
        rows = self._db.rows(t.Label.select().where(t.Label.build << list(build_ids)))
        return {row["build"]: Label(row["note"], tuple(json.loads(row["tags"]))) for row in rows}

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Written by hand: a push may make thousands of builds, each with several rows here."""
        places = f"({', '.join('?' * len(rows[0]))})"
        statement = f"INSERT INTO {table} VALUES {', '.join([places] * len(rows))}"  # noqa: S608  our own words
        self._db.sql(statement, [value for row in rows for value in row])

    def _path_id(self, owner: str, path: str) -> int:
        (path_id,) = self._db.sql(
            "INSERT INTO tag_paths (owner, path) VALUES (?, ?)"
            " ON CONFLICT (owner, path) DO UPDATE SET path = excluded.path RETURNING id",
            (owner, path),
        ).fetchone()
        return int(path_id)


def tag_paths(tags: Iterable[str]) -> tuple[str, ...]:
    """The paths that lead to builds with these tags: `a`, `a/b` ... A tag may hold slashes, as the
    name of a branch does. Only the first 16 parts count.
    """
    parts = [part for part in "/".join(tags).lower().split("/") if part][:_DEPTH]
    return tuple("/".join(parts[: length + 1]) for length in range(len(parts)))
