"""Opens the database and keeps the one-writer rule.

SQLite takes one writer at a time. Writers of this process queue at a lock, which is fair and cheap,
instead of at the file, which is neither; writers of other processes wait at the file.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import peewee
from playhouse.migrations import Runner

from ciserver.model.errors import Busy, CiError

MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 10
_AT_ONCE = 500
_ABOUT = -(2**53)  # the number in the text of a usual question, which nothing has
Row = Mapping[str, Any]
One = TypeVar("One")


def in_pieces(whole: Iterable[One]) -> Iterator[list[One]]:
    """As many at once as a statement takes."""
    rest = iter(whole)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def marks(values: Sequence[Any]) -> str:
    """The places of so many values in a statement."""
    return ", ".join("?" * len(values))


class _Sqlite(peewee.SqliteDatabase):
    def rollback(self: Any) -> None:
        # SQLite has rolled back by itself when its disk was full, and a second time is an error.
        if self.connection().in_transaction:
            super().rollback()


class Database:
    def __init__(self, path: Path, *, busy_seconds: float = _BUSY_SECONDS) -> None:
        self.path = path
        self._writer = threading.RLock()
        self._texts: dict[Callable[[int], Any], tuple[Any, str, tuple[Any, ...]]] = {}
        self._peewee: Any = _Sqlite(
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

    def migrate(self) -> list[str]:
        """Bring the schema up to date; returns the names of the migrations that were applied.
        Raises CiError for a file that is no database.
        """
        try:
            with self._writer, self._peewee.connection_context():
                applied: list[str] = Runner(self._peewee, str(MIGRATIONS)).up()
        except peewee.DatabaseError as error:
            raise CiError(
                f"the database {self.path} cannot be used: {error}",
                hint="move the file away, or bring back a backup of it",
            ) from error
        return applied

    def pending_migrations(self) -> list[str]:
        status = Runner(self._peewee, str(MIGRATIONS)).status()
        return [one.name for one in status if not one.applied]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. May be nested; the outermost one commits. Raises Busy when another
        process holds the database for too long, or its disk takes no more.
        """
        with self._writer:
            try:
                with self._peewee.atomic():
                    yield
            except peewee.OperationalError as error:
                busy = _busy(error)
                if busy is None:
                    raise
                raise busy from error

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the transaction under way is durable; at once when there is none."""
        self._peewee.after_commit(callback)

    def rows(self, query: Any) -> list[dict[str, Any]]:
        """All rows of a query as plain dictionaries."""
        return list(query.dicts().execute(self._peewee))

    def row(self, query: Any) -> dict[str, Any] | None:
        return next(iter(query.limit(1).dicts().execute(self._peewee)), None)

    def usual(self, question: Callable[[int], Any], about: int) -> list[dict[str, Any]]:
        """All rows of what is asked often, each time about another number. Making the text of a
        query takes longer than its answer, so that is done once for each such question.
        """
        if question not in self._texts:
            query = question(_ABOUT)
            text, values = self._peewee.get_sql_context().sql(query).query()
            self._texts[question] = query.model, text, tuple(values)
        model, text, values = self._texts[question]
        values = tuple(about if one == _ABOUT else one for one in values)
        return list(model.raw(text, *values).dicts().execute(self._peewee))

    def scalar(self, query: Any) -> Any:
        return query.scalar(self._peewee)

    def insert(self, query: Any) -> int:
        """Run an INSERT and return the new id."""
        return int(query.execute(self._peewee) or 0)

    def change(self, query: Any) -> int:
        """Run an UPDATE or DELETE and return how many rows it touched."""
        return int(query.execute(self._peewee))

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a hand-written statement of a hot path; returns the cursor."""
        return self._peewee.execute_sql(statement, parameters)

    def explain(self, statement: str, parameters: Sequence[Any] = ()) -> str:
        """The query plan as text; for tests that hold an index to its promise."""
        return "\n".join(row[3] for row in self.sql(f"EXPLAIN QUERY PLAN {statement}", parameters))

    def connection(self) -> Any:
        """The connection of this thread; for tests that look at what statements cost."""
        return self._peewee.connection()

    def tables(self) -> dict[str, str]:
        """Every table and index with the statement that makes it."""
        found = self.sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return dict(found.fetchall())

    def create(self, models: Sequence[Any]) -> None:
        """Make tables straight from their classes; migrations do this for real databases."""
        with self._peewee.bind_ctx(models):
            self._peewee.create_tables(models)

    def close(self) -> None:
        """Close this thread's connection."""
        if not self._peewee.is_closed():
            self._peewee.close()


def _busy(error: peewee.OperationalError) -> Busy | None:
    """The refusal for a state of the database that passes; None for other errors."""
    # Leaving an inner transaction that SQLite has already ended fails in place of the cause.
    said = f"{error}; {error.__context__ and error.__context__.__context__}"
    if "locked" in said:
        return Busy("the database is held by another process", hint="try again in a moment")
    if "full" in said or "disk I/O" in said or "readonly" in said:
        return Busy(f"the database cannot be written ({said})", hint="make room on its disk")
    return None
