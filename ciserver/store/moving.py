"""Moving everything from one database to another, whichever of the kinds they are."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, cast

import peewee

from ciserver.model.errors import CiError, Conflict
from ciserver.store.database import Database
from ciserver.store.tables import Table

_ROWS = 1_000
_VALUES = 30_000  # of one statement: databases take some more
_DIGESTS = 1 << 256
Row = Sequence[Any]
Progress = Callable[[str, int], None]


def move(source: Database, target: Database, tell: Progress) -> int:
    """Copy every row to a database that has none, and compare what arrived; answers how many rows.

    All or nothing: a move that is broken off leaves the target empty. `tell` hears of each table
    again and again, with the rows copied so far. Raises Conflict where the source is of an earlier
    version or the target has rows, and CiError where what arrived differs.
    """
    if source.pending_migrations():
        raise Conflict(
            f"the database {source.place} is of an earlier version",
            hint="bring it up to date first: ciserver migrate",
        )
    target.migrate()
    with source.snapshot(), target.transaction():
        for table in _tables():
            _require_empty(target, table)
        return sum(_move_table(source, target, table, tell) for table in _tables())


def _tables() -> Sequence[Any]:
    """Those that others refer to come first."""
    ordered: Sequence[Any] = cast("Any", peewee).sort_models(Table.__subclasses__())
    return ordered


def _require_empty(target: Database, table: Any) -> None:
    name = table._meta.table_name
    if target.sql(f"SELECT 1 FROM {name} LIMIT 1").fetchone():
        raise Conflict(
            f"the database {target.place} is not empty: {name} has rows",
            hint="move into a new database",
        )


def _move_table(source: Database, target: Database, table: Any, tell: Progress) -> int:
    name = table._meta.table_name
    columns = [one.column_name for one in table._meta.sorted_fields]
    select = f"SELECT {', '.join(map(_quoted, columns))} FROM {name}{_order(table)}"
    moved, digest = 0, 0
    tell(name, 0)
    for rows in source.stream(select, min(_ROWS, _VALUES // len(columns))):
        _insert(target, name, columns, rows)
        moved, digest = moved + len(rows), digest + _digest(rows)
        tell(name, moved)
    target.count_on(name)
    arrived = sum(_digest(rows) for rows in target.stream(select, _ROWS))
    if arrived % _DIGESTS != digest % _DIGESTS:
        raise CiError(
            f"the rows of {name} in {target.place} are not those of {source.place}",
            hint="nothing was kept there; move again, and report this if it stays so",
        )
    return moved


def _order(table: Any) -> str:
    """By number where rows have one: those that refer to others of their table come later."""
    key = table._meta.primary_key
    return f" ORDER BY {key.column_name}" if isinstance(key, peewee.AutoField) else ""


def _insert(target: Database, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    marks = ", ".join([f"({', '.join('?' * len(columns))})"] * len(rows))
    target.sql(
        f"INSERT INTO {name} ({', '.join(map(_quoted, columns))}) VALUES {marks}",
        list(chain.from_iterable(rows)),
    )


def _digest(rows: Sequence[Row]) -> int:
    """What the rows come to, in whatever order."""
    return sum(int.from_bytes(hashlib.sha256(one).digest(), "big") for one in _texts(rows))


def _texts(rows: Sequence[Row]) -> Iterator[bytes]:
    for row in rows:
        plain = tuple(bytes(one) if isinstance(one, memoryview) else one for one in row)
        yield repr(plain).encode("utf-8", "surrogatepass")


def _quoted(column: str) -> str:
    return f'"{column}"'
