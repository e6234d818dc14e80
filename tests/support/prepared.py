"""What is slow to make and the same for every test: made once, then copied."""

import functools
import tempfile
from pathlib import Path

from argon2 import PasswordHasher

from ciserver.datadir import DataDirectory
from ciserver.model.account import User
from ciserver.store.database import Database
from ciserver.wiring import Parts


@functools.cache
def migrated() -> bytes:
    """A database that every migration was applied to."""
    with tempfile.TemporaryDirectory() as made:
        database = Database(Path(made) / "ciserver.db")
        database.migrate()
        database.close()
        return Path(database.place).read_bytes()


def put_database(data: DataDirectory) -> DataDirectory:
    """Give the directory a database of today's schema; opening it finds nothing to migrate."""
    data.make()
    (data.root / "ciserver.db").write_bytes(migrated())
    return data


@functools.cache
def hashed(password: str) -> str:
    """As the server hashes it, which is meant to take its time."""
    return PasswordHasher().hash(password)


def add_account(parts: Parts, name: str, password: str, *, email="", admin=False) -> User:
    """An account with a password, as `services.access.add_user` makes it, but for the row that
    says who made it.
    """
    with parts.store.transaction():
        parts.store.accounts.add(
            name,
            email=email,
            password_hash=hashed(password),
            is_admin=admin,
            now=parts.services.clock.now(),
        )
    return parts.store.accounts.get(name)
