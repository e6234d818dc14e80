"""Databases of PostgreSQL for tests: made by each process of the tests, emptied after each use.

The server is that of PGHOST and the other variables of libpq, or the one on this machine.
"""

import functools
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import peewee
import psycopg
import pytest

from ciserver.store.database import Database
from ciserver.store.tables import Table

BOTH = ("sqlite", "postgresql")
on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)
_MAINTENANCE = "postgresql:///postgres"
_NUMBERS = itertools.count(1)
_idle: list[str] = []
_made: list[str] = []


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for one in statements:
            connection.execute(one)


@functools.cache
def _reason() -> str:
    """Why there is no server; empty when there is one."""
    try:
        _run(_MAINTENANCE, "SELECT 1")
    except psycopg.OperationalError as error:
        return f"no PostgreSQL answers: {error}"
    return ""


@contextmanager
def database(kind: str) -> Iterator[str]:
    """The address of a database without rows of this kind; empty for SQLite's usual one."""
    if kind == "sqlite":
        yield ""
        return
    url = make_database()
    yield url
    empty_database(url)


def make_database() -> str:
    """The address of a database of today's schema that has no rows. Skips where there is no
    server; fails there when CI=true.
    """
    if _reason():
        if os.environ.get("CI") == "true":
            pytest.fail(_reason())
        pytest.skip(_reason())
    if _idle:
        return _idle.pop()
    name = f"ciserver_test_{os.getpid()}_{next(_NUMBERS)}"
    _run(
        _MAINTENANCE,
        f"DROP DATABASE IF EXISTS {name}",
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    url = f"postgresql:///{name}"
    _made.append(url)
    database = Database(url)
    database.migrate()
    database.close()
    return url


def empty_database(url: str) -> None:
    """The test is over: others may have it."""
    tables = [one._meta.table_name for one in peewee.sort_models(Table.__subclasses__())]
    _run(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()",
        "; ".join(f"DELETE FROM {one}" for one in reversed(tables)),
        "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
    )
    _idle.append(url)


def drop_database(url: str) -> None:
    """It holds too much to be emptied."""
    _made.remove(url)
    _run(_MAINTENANCE, f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


def drop_databases() -> None:
    """All tests of this process are over."""
    for url in tuple(_made):
        drop_database(url)
