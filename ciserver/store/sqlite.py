"""SQLite: the database of one machine, a file in the data directory.

It takes one writer at a time. Writers of this process queue at a lock, which is fair and cheap,
instead of at the file, which is neither; writers of other processes wait at the file.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import peewee

from ciserver.model.errors import Busy, CiError


class _Peewee(peewee.SqliteDatabase):
    def execute_sql(self: Any, sql: str, params: Any = None) -> Any:
        # As peewee's own, without the hooks that nobody has.
        self._log_query(sql, params)
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            return self.connection().execute(sql, params or ())

    def rollback(self: Any) -> None:
        # SQLite has rolled back by itself when its disk was full, and a second time is an error.
        if self.connection().in_transaction:
            super().rollback()


class Sqlite:
    locks_rows = False
    reading = ("DEFERRED",)  # how a transaction begins that only reads

    def __init__(self, path: Path, *, busy_seconds: float, sync: Callable[[int], None]) -> None:
        self.place = str(path)
        self._writer = threading.RLock()
        self._syncing = threading.Lock()
        self._commits = self._durable = 0
        self._log = _WriteAheadLog(path, sync)
        self.peewee: Any = _Peewee(
            str(path),
            pragmas={
                "journal_mode": "wal",
                # No commit waits for the disk by itself: `make_durable` does, outside of the lock.
                "synchronous": "normal",
                "foreign_keys": 1,
                "cache_size": -2_000,
                # What a statement may have to take back is no file that is made and removed.
                "temp_store": "memory",
                "wal_autocheckpoint": 2_000,
                "journal_size_limit": 16 * 1024 * 1024,
            },
            timeout=busy_seconds,
            lock_type="immediate",
        )

    def writing(self) -> AbstractContextManager[Any]:
        """Held around a transaction."""
        return self._writer

    def beginning(self, *, beside: bool, durable: bool = True) -> tuple[str, ...]:
        """How an outermost transaction begins that writes: as the only one."""
        return ()

    def committed(self) -> int:
        """Called after each outermost transaction, still within `writing`; answers which it was."""
        self._commits += 1
        return self._commits

    def make_durable(self, commit: int) -> None:
        """Return when a power cut cannot take this commit any more, nor those before it: one wait
        for the disk does for all that were written before it began. Raises Busy.
        """
        with self._syncing:
            if commit <= self._durable:
                return
            written = self._commits
            try:
                self._log.sync()
            except OSError as error:
                raise _unwritten(str(error)) from error
            self._durable = written

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """One server has the file."""
        return nullcontext(enter_result=True)

    def ask(self, statement: str, values: Sequence[Any], *, keeps_plan: bool = True) -> Any:
        """Run a hand-written statement: they are written for it. Answers the cursor. Whether the
        plan is worth keeping is not asked: what was asked last is kept.
        """
        return self.peewee.execute_sql(statement, values)

    def cursor(self) -> Any:
        """One that reads row by row."""
        return self.peewee.cursor()

    def numbers(self, table: str, count: int) -> list[int]:
        """Those that SQLite would give to the next rows of its one writer."""
        (last,) = self.peewee.execute_sql(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608
        return list(range(last + 1, last + 1 + count))

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
            return _unwritten(said)
        return None

    def rest(self) -> None:
        """Called after each question: the connection of a thread costs nothing and stays."""

    def close(self) -> None:
        if not self.peewee.is_closed():
            self.peewee.close()
        with self._syncing:
            self._log.close()


class _WriteAheadLog:
    """The file beside the database that commits are written to. Where SQLite keeps none, as on
    file systems without shared memory, it waits for the disk by itself.
    """

    def __init__(self, database: Path, sync: Callable[[int], None]) -> None:
        self._path = f"{database}-wal"
        self._sync = sync
        self._file = -1

    def sync(self) -> None:
        """Raises OSError."""
        # Whoever closes the database last removes it, with everything in the database by then.
        if self._file >= 0 and not os.fstat(self._file).st_nlink:
            self.close()
        if self._file < 0:
            try:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return
        self._sync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _unwritten(why: str) -> Busy:
    return Busy(f"the database cannot be written ({why})", hint="make room on its disk")
