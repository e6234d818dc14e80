"""Opens the database and keeps the one-writer rule, which each kind of database does in its way."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import peewee
from playhouse.migrations import Runner
from playhouse.pool import MaxConnectionsExceeded

from ciserver.model.errors import CiError
from ciserver.store.notices import Notices
from ciserver.store.postgresql import Postgresql
from ciserver.store.sqlite import Sqlite
from ciserver.store.usual import Shape, Usual, usual_values, writing

MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 10
_SQLITE = "sqlite:"
_AT_ONCE = 500
_ROWS_AT_ONCE = 50  # with more of them a statement is hardly quicker, and only longer
_REFUSED = (peewee.DatabaseError, peewee.InterfaceError, MaxConnectionsExceeded)
Row = Mapping[str, Any]
One = TypeVar("One")


def in_pieces(whole: Iterable[One], most: int = _AT_ONCE) -> Iterator[list[One]]:
    """As many at once as a statement takes."""
    rest = iter(whole)
    while some := list(islice(rest, most)):
        yield some


def marks(values: Sequence[Any]) -> str:
    """The places of so many values in a statement."""
    return ", ".join("?" * len(values))


class Database:
    """A file of SQLite, or the database at an address such as `postgresql://HOST/NAME`. `sync`
    makes what was written to a file durable.
    """

    def __init__(
        self,
        address: Path | str,
        *,
        busy_seconds: float = _BUSY_SECONDS,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._address = str(address)
        self._engine = _engine(address, busy_seconds, sync)
        self._peewee = self._engine.peewee
        self.place = self._engine.place
        # Whether transactions beside each other lock single rows; else one has the whole database.
        self.locks_rows = self._engine.locks_rows
        # Whether several servers may work on it.
        self.is_shared = self._engine.locks_rows
        self._usual: dict[Callable[..., Any], Usual] = {}
        self._following = _Following()
        self._refusing = _Refusing(self._engine)

    def migrate(self) -> list[str]:
        """Bring the schema up to date; returns the names of the migrations that were applied.
        Raises CiError for what is no database, or not ours.
        """
        try:
            with self._engine.writing(), self._peewee.connection_context(), self._alone():
                self._engine.require_fit()
                applied: list[str] = Runner(self._peewee, str(MIGRATIONS)).up()
        except peewee.DatabaseError as error:
            raise self._engine.refusal(error) or CiError(
                f"the database {self.place} cannot be used: {error}",
                hint="move the file away, or bring back a backup of it",
            ) from error
        return applied

    def pending_migrations(self) -> list[str]:
        with self._refusing:
            status = Runner(self._peewee, str(MIGRATIONS)).status()
        return [one.name for one in status if not one.applied]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of several servers that start together, one brings the schema up to date."""
        with self._peewee.atomic(*self._engine.beginning(beside=False)):
            yield

    @contextmanager
    def transaction(self, *, beside: bool = False, durable: bool = True) -> Iterator[None]:
        """All or nothing. May be nested; the outermost one commits. One writes at a time, but for
        those `beside` each other, which take care by themselves where the database lets them. A
        power cut may take what is not `durable`, unless it already took something durable later.
        Raises Busy when another process holds the database for too long, it is not there, or its
        disk takes no more, and Invalid for a value that it cannot hold.
        """
        with self._refusing:
            if self._peewee.transaction_depth() > 0:
                with self._peewee.atomic():
                    yield
                return
            try:
                with self._engine.writing():
                    with self._peewee.atomic(
                        *self._engine.beginning(beside=beside, durable=durable)
                    ):
                        yield
                    commit = self._engine.committed()
                if durable:
                    self._engine.make_durable(commit)
            except BaseException:
                self._following.forget()
                raise
        self._following.call()

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """True within the block where nobody else is in one of this name, on whatever server.
        Raises Busy when the database is not there.
        """
        return self._engine.alone(name)

    def notices(self, hear: Callable[[str], None], missed: Callable[[], None]) -> Notices | None:
        """What carries texts between the servers of the database, where there may be several."""
        return Notices(self._address, hear, missed) if self.is_shared else None

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the transaction under way is durable; at once when there is none."""
        if self._peewee.transaction_depth() == 0:
            callback()
        else:
            self._following.add(callback)

    def rows(self, query: Any) -> list[dict[str, Any]]:
        """All rows of a query as plain dictionaries."""
        with self._refusing:
            answer = query.dicts().execute(self._peewee)
            # Converted here: peewee calls a function for each value, also where it changes nothing.
            is_of_model = isinstance(answer, peewee.ModelDictCursorWrapper)
            return Shape(answer).rows(answer.cursor) if is_of_model else list(answer)

    def row(self, query: Any) -> dict[str, Any] | None:
        return next(iter(self.rows(query.limit(1))), None)

    def usual(self, question: Callable[..., Any], *about: int | str) -> list[dict[str, Any]]:
        """All rows of what is asked often, each time about other numbers or texts."""
        return self._ask_usual(question, about, keeps_plan=False)

    def usual_row(self, question: Callable[..., Any], *about: int | str) -> dict[str, Any] | None:
        """The same of what has one row at most, whatever it is about. So there is one way to look
        it up, which the database may keep.
        """
        return next(iter(self._ask_usual(question, about, keeps_plan=True)), None)

    def _ask_usual(
        self, question: Callable[..., Any], about: tuple[int | str, ...], *, keeps_plan: bool
    ) -> list[dict[str, Any]]:
        usual = self._usual.get(question)
        if usual is None:
            usual = self._usual[question] = Usual(self._peewee, question, len(about))
        with self._refusing:
            asked = self._engine.ask(usual.text, usual.values(about), keeps_plan=keeps_plan)
            return usual.rows(asked)

    def scalar(self, query: Any) -> Any:
        with self._refusing:
            return query.scalar(self._peewee)

    def insert(self, query: Any) -> int:
        """Run an INSERT and return the new id; 0 where the table has no numbers for its rows."""
        with self._refusing:
            made = query.execute(self._peewee)
        return made if isinstance(made, int) else 0

    def change(self, query: Any) -> int:
        """Run an UPDATE or DELETE and return how many rows it touched."""
        with self._refusing:
            return int(query.execute(self._peewee))

    def add_row(self, table: Any, **values: Any) -> int:
        """Insert one row, as text that is made once for these columns; returns its id."""
        row = {**usual_values(table), **values}
        made = writing(table, tuple(row))
        return int(self.sql(made.insert, made.values(row)).fetchone()[0])

    def change_row(self, table: Any, row_id: int, **values: Any) -> None:
        """Update the row with this id, as text that is made once for these columns."""
        made = writing(table, tuple(values))
        self.sql(made.update, [*made.values(values), row_id])

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a hand-written statement of a hot path; returns the cursor."""
        with self._refusing:
            return self._engine.ask(statement, parameters)

    def sql_of_rows(
        self, insert: str, row: str, rows: Iterable[Sequence[Any]], ending: str = ""
    ) -> list[tuple[Any, ...]]:
        """Run a hand-written INSERT of many rows, some with each statement; answers what that
        returns. `row` is what stands for each of them after VALUES.
        """
        returned: list[tuple[Any, ...]] = []
        for some in in_pieces(rows, _ROWS_AT_ONCE):
            statement = f"{insert} VALUES {', '.join([row] * len(some))} {ending}"
            cursor = self.sql(statement, list(chain.from_iterable(some)))
            returned += cursor.fetchall() if cursor.description else ()
        return returned

    def numbers(self, table: str, count: int) -> list[int]:
        """Those of so many rows that are put into the table next, by the transaction under way."""
        return self._engine.numbers(table, count)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read within it is of one moment; others write meanwhile."""
        with self._refusing, self._peewee.atomic(*self._engine.reading):
            yield

    def stream(self, statement: str, rows: int) -> Iterator[list[tuple[Any, ...]]]:
        """The answer some rows at a time, within a transaction; it is never held as a whole."""
        cursor = self._engine.cursor()
        try:
            cursor.execute(statement)
            while some := cursor.fetchmany(rows):
                yield some
        finally:
            cursor.close()

    def count_on(self, table: str) -> None:
        """Rows with numbers were put into the table: the next one gets a number after theirs."""
        self._engine.count_on(table)

    def explain(self, statement: str, parameters: Sequence[Any] = ()) -> str:
        """The query plan as text; for tests that hold an index to its promise."""
        return self._engine.plan(statement, parameters)

    def connection(self) -> Any:
        """The connection of this thread; for tests that look at what statements cost."""
        return self._peewee.connection()

    def tables(self) -> dict[str, str]:
        """What the schema consists of, by name."""
        return self._engine.tables()

    def create(self, models: Sequence[Any]) -> None:
        """Make tables straight from their classes; migrations do this for real databases."""
        with self._peewee.bind_ctx(models):
            self._peewee.create_tables(models)

    def close(self) -> None:
        """Close this thread's connection, and those that nobody uses."""
        self._engine.close()


class _Refusing:
    """Around each question: what the database cannot do now, or cannot hold, is a refusal. One for
    all, and no generator, which would take as long as a short question.
    """

    def __init__(self, engine: Sqlite | Postgresql) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        try:
            if isinstance(error, _REFUSED) and (refusal := self._engine.refusal(error)):
                raise refusal from error
        finally:
            self._engine.rest()


class _Following(threading.local):
    """What is to be called after the transaction of this thread."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []

    def add(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def call(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def forget(self) -> None:
        self._callbacks = []


def _engine(
    address: Path | str, busy_seconds: float, sync: Callable[[int], None]
) -> Sqlite | Postgresql:
    text = str(address)
    if text.startswith(("postgresql://", "postgres://")):
        return Postgresql(text, busy_seconds=busy_seconds)
    path = text.removeprefix(_SQLITE).removeprefix("//") if text.startswith(_SQLITE) else text
    return Sqlite(Path(path), busy_seconds=busy_seconds, sync=sync)
