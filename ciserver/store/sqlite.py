"""SQLite: the database of one machine, a file in the data directory.

It takes one writer at a time. Writers of this process queue at a lock, which is fair and cheap,
instead of at the file, which is neither; writers of other processes wait at the file.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import peewee

from ciserver.model.errors import Busy, CiError


class _Peewee(peewee.SqliteDatabase):
    def rollback(self: Any) -> None:
        # SQLite has rolled back by itself when its disk was full, and a second time is an error.
        if self.connection().in_transaction:
            super().rollback()


class Sqlite:
    locks_rows = False
    reading = ("DEFERRED",)  # how a transaction begins that only reads

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        self.place = str(path)
        self._writer = threading.RLock()
        self.peewee: Any = _Peewee(
            str(path),
            pragmas={
                "journal_mode": "wal",
                # A row that was promised (202) survives a power cut.
                "synchronous": "full",
                "foreign_keys": 1,
                "cache_size": -2_000,
                "wal_autocheckpoint": 2_000,
                "journal_size_limit": 16 * 1024 * 1024,
            },
            timeout=busy_seconds,
            lock_type="immediate",
        )

    def writing(self) -> AbstractContextManager[Any]:
        """Held around a transaction."""
        return self._writer

    def begun(self, *, beside: bool) -> None:
        """Called first within each outermost transaction: it began as the only one."""

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """One server has the file."""
        return nullcontext(enter_result=True)

    def spoken(self, statement: str) -> str:
        """A hand-written statement as this database wants it: they are written for SQLite."""
        return statement

    def cursor(self) -> Any:
        """One that reads row by row."""
        return self.peewee.cursor()

    def count_on(self, table: str) -> None:
        """SQLite takes the next number from the table."""

    def require_fit(self) -> None:
        """Every file is."""

    def plan(self, statement: str, parameters: Sequence[Any]) -> str:
        rows = self.peewee.execute_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row[3] for row in rows)

    def tables(self) -> dict[str, str]:
        """Every table and index with the statement that makes it."""
        found = self.peewee.execute_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return dict(found.fetchall())

    def refusal(self, error: Exception) -> CiError | None:
        """The refusal for a state of the database that passes; None for other errors."""
        # Leaving an inner transaction that SQLite has already ended fails in place of the cause.
        said = f"{error}; {error.__context__ and error.__context__.__context__}"
        if "locked" in said:
            return Busy("the database is held by another process", hint="try again in a moment")
        if "full" in said or "disk I/O" in said or "readonly" in said:
            return Busy(f"the database cannot be written ({said})", hint="make room on its disk")
        return None

    def rest(self) -> None:
        """Called when this thread has no transaction: its connection costs nothing and stays."""

    def close(self) -> None:
        if not self.peewee.is_closed():
            self.peewee.close()
