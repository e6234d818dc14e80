"""PostgreSQL: the database of several machines.

Writers keep the rule that SQLite has by nature, one at a time, with a lock of the database that
ends with its transaction; whoever dies gives it back. What is made to run beside its like, such as
claims, shares it.
"""

import functools
import json
import re
import select
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import peewee
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

from ciserver.model.errors import Busy, CiError, Invalid

_CONNECTIONS = 40
_CONNECT_SECONDS = 5
# Each question has its index and shows a page of what there is. A planner that guesses otherwise,
# from counts that are old or rows that are alike, would read tables as a whole. Lists are planned
# for their values each time; hand-written statements of hot paths, and what has one row at most,
# are prepared, and once that costs no more, planned for any values: planning took half of the time
# of a build here.
_PLANNER = {
    "enable_seqscan": "off",
    "enable_mergejoin": "off",
    "enable_hashjoin": "off",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
_COLUMNS = """
SELECT table_name || '.' || column_name, data_type || is_nullable FROM information_schema.columns
WHERE table_schema = current_schema()"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
_CONSTRAINTS = """
SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace"""
_WRITER = 0x6369736572766572  # the key of the writers' lock
_ALONE = 0x63697365  # the first key of locks that have names
# A machine that is gone without a word gives back its lock within half a minute.
_NOTICE_DEATHS = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
_HINT = re.compile(r"\s+INDEXED BY \w+")
_LITERAL = re.compile(r"('(?:[^']|'')*')")


class Postgresql:
    locks_rows = True
    reading = ("BEGIN ISOLATION LEVEL REPEATABLE READ",)  # how a transaction begins that only reads

    def __init__(self, url: str, *, busy_seconds: float) -> None:
        self.place = without_password(url)
        self._url = url
        try:
            import psycopg  # noqa: F401, PLC0415  an extra: said here, not as a missing module
        except ImportError:
            raise CiError(
                f"the database {self.place} needs a driver that is not installed",
                hint="pip install 'ciserver[postgres]'",
            ) from None
        settings = {
            "lock_timeout": int(busy_seconds * 1000),
            # A row that was promised (202) survives a power cut.
            "synchronous_commit": "on",
            **_PLANNER,
        }
        self.peewee: Any = _Pool(
            url,
            prefer_psycopg3=True,
            max_connections=_CONNECTIONS,
            timeout=busy_seconds,
            connect_timeout=_CONNECT_SECONDS,
            options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
            application_name="ciserver",
        )

    def writing(self) -> AbstractContextManager[Any]:
        """Held around a transaction."""
        return nullcontext()

    def beginning(self, *, beside: bool, durable: bool = True) -> tuple[str, ...]:
        """How an outermost transaction begins that writes: all at once, since each question is a
        way there and back. It waits until it may write.
        """
        lock = "pg_advisory_xact_lock_shared" if beside else "pg_advisory_xact_lock"
        waits = "" if durable else "SET LOCAL synchronous_commit = off;"
        return (f"BEGIN; {waits} SELECT {lock}({_WRITER})",)

    def committed(self) -> int:
        """Called after each outermost transaction. Commits have no numbers here."""
        return 0

    def make_durable(self, commit: int) -> None:
        """It is, or was not wanted: PostgreSQL itself lets several wait for the disk together."""

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """True within the block where nobody else is in one of this name. The lock is that of a
        connection of its own, so that it ends with the process, however that ends.
        """
        from psycopg import Error, connect  # noqa: PLC0415  an extra

        try:
            connection = connect(
                self._url,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                options=_NOTICE_DEATHS,
            )
        except Error as error:
            raise self._away() from error
        with connection:
            taken = connection.execute(
                "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_ALONE, name)
            ).fetchone()
            yield taken == (True,)

    def ask(self, statement: str, values: Sequence[Any], *, keeps_plan: bool = True) -> Any:
        """Run a hand-written statement: they are written for SQLite. Answers the cursor. One that
        `keeps_plan` may be prepared when it is asked often.
        """
        prepare = None if keeps_plan else False
        return self.peewee.execute_sql(_spoken(statement), values, prepare=prepare)

    def cursor(self) -> Any:
        """One that reads row by row."""
        return self.peewee.connection().cursor(name="stream")

    def numbers(self, table: str, count: int) -> list[int]:
        """Those of the next rows; nobody else gets them."""
        rows = self.ask(
            "SELECT nextval(pg_get_serial_sequence(?, 'id')) FROM generate_series(1, ?)",
            (table, count),
        )
        return [row[0] for row in rows.fetchall()]

    def count_on(self, table: str) -> None:
        (sequence,) = self.peewee.execute_sql(
            "SELECT pg_get_serial_sequence(table_name, column_name) FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = %s"
            " AND column_default LIKE 'nextval%%' UNION ALL SELECT NULL LIMIT 1",
            (table,),
        ).fetchone()
        if sequence is not None:
            self.peewee.execute_sql(
                f"SELECT setval(%s, (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)",
                (sequence,),
            )

    def require_fit(self) -> None:
        """Raises CiError where texts are ordered in another way than everywhere else."""
        (collation,) = self.peewee.execute_sql(
            "SELECT datcollate FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        if collation.upper() not in {"C", "POSIX", "C.UTF-8", "C.UTF8"}:
            raise CiError(
                f"the database {self.place} orders texts by the rules of {collation}",
                hint="make one that does not: CREATE DATABASE ciserver TEMPLATE template0"
                " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
            )

    def plan(self, statement: str, parameters: Sequence[Any]) -> str:
        rows = self.peewee.execute_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(one if isinstance(one, str) else json.dumps(one) for (one,) in rows)

    def tables(self) -> dict[str, str]:
        """Every column, index and constraint with what it is."""
        found: dict[str, str] = {}
        for question in (_COLUMNS, _INDEXES, _CONSTRAINTS):
            found |= dict(self.peewee.execute_sql(question).fetchall())
        return found

    def refusal(self, error: Exception) -> CiError | None:
        """The refusal for a state of the database that passes, and for what it cannot hold; None
        for other errors.
        """
        if isinstance(error, MaxConnectionsExceeded):
            return Busy("too much is asked of the database at once", hint="try again in a moment")
        if isinstance(error, peewee.DataError):
            return Invalid(f"a value cannot be kept: {error}")
        state = getattr(error.__cause__ or error.__context__, "sqlstate", None) or ""
        if state == "55P03":
            return Busy("the database is held by another writer", hint="try again in a moment")
        if state.startswith("53"):
            return Busy(f"the database takes no more: {error}", hint="look at its server")
        if isinstance(error, peewee.OperationalError | peewee.InterfaceError) and (
            not state or state.startswith(("08", "57P"))
        ):
            # What else was connected to that server is cut off as well.
            self.peewee.close_idle()
            return self._away()
        return None

    def _away(self) -> Busy:
        return Busy(
            f"the database {self.place} does not answer", hint="look whether its server runs"
        )

    def rest(self) -> None:
        """Called after each question. Without a transaction of this thread its connection is for
        whoever comes next.
        """
        if not self.peewee.transaction_depth() and not self.peewee.is_closed():
            self.peewee.close()

    def close(self) -> None:
        self.rest()
        self.peewee.close_idle()


class _Pool(PooledPostgresqlDatabase):
    """One that asks nothing by itself."""

    def execute_sql(self, sql: str, params: Any = None, *, prepare: bool | None = False) -> Any:
        """`prepare` is psycopg's: None is for what is asked often in the same words."""
        self._log_query(sql, params)
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            return self.cursor().execute(sql, params or (), prepare=prepare)

    def begin(self, statements: str = "BEGIN") -> None:
        """These begin a transaction, all at once; several cannot be prepared."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            self.cursor().execute(statements, prepare=False)

    def _is_closed(self, connection: Any) -> bool:
        """Asked before each question and each transaction. The server itself is asked only where
        something came from it meanwhile, such as the end of the connection.
        """
        if connection.closed:
            return True
        came = select.poll()
        came.register(connection.fileno(), select.POLLIN)
        return bool(came.poll(0)) and super()._is_closed(connection)


def without_password(url: str) -> str:
    """The address of a database as it may be shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}@{host}").geturl()


@functools.cache
def _spoken(statement: str) -> str:
    """No hints for the planner, and its own marks for parameters."""
    pieces = _LITERAL.split(_HINT.sub("", statement).replace("%", "%%"))
    pieces[::2] = [one.replace("?", "%s") for one in pieces[::2]]
    return "".join(pieces)
