"""Workers on other machines. Only hashes of their credentials are kept."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.build import Lease
from ciserver.model.errors import AlreadyExists
from ciserver.model.worker import Queue, Worker, queue_of
from ciserver.store import tables as t
from ciserver.store.database import Database


class Workers:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, name: str, hash: str, queues: Iterable[Queue], now: datetime) -> None:  # noqa: A002  the column's name
        """Raises AlreadyExists."""
        told = json.dumps([str(one) for one in queues])
        try:
            self._db.insert(
                t.Worker.insert(name=name, hash=hash, queues=told, created_at=now).as_rowcount()
            )
        except peewee.IntegrityError as error:
            raise AlreadyExists(f"there is already a worker {name}") from error

    def list_all(self) -> tuple[Worker, ...]:
        return tuple(
            _worker(row) for row in self._db.rows(t.Worker.select().order_by(t.Worker.name))
        )

    def find(self, hash: str) -> Worker | None:  # noqa: A002  the column's name
        """The one whose credential has this hash."""
        row = self._db.row(t.Worker.select().where(t.Worker.hash == hash))
        return _worker(row) if row else None

    def touch(self, name: str, now: datetime) -> None:
        self._db.change(t.Worker.update(last_seen_at=now).where(t.Worker.name == name))

    def remove(self, name: str) -> bool:
        """False when there is none of that name."""
        return bool(self._db.change(t.Worker.delete().where(t.Worker.name == name)))

    def holds(self, lease: Lease) -> bool:
        """Whether the attempt owns its build, and is run by one of these workers."""
        row = self._db.sql(
            "SELECT 1 FROM builds b JOIN workers w ON w.name = b.worker"
            " WHERE b.id = ? AND b.attempt = ? AND b.token = ? AND b.token != ''",
            (lease.build_id, lease.attempt, lease.token),
        ).fetchone()
        return row is not None

    def holder_of(self, token: str) -> str | None:
        """The worker that holds some build by this token; None when nobody does."""
        row = self._db.sql(
            "SELECT worker FROM builds INDEXED BY builds_leased"
            " WHERE lease_until IS NOT NULL AND token = ?",
            (token,),
        ).fetchone()
        return row and str(row[0])

    def leased(self, attempts: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of these attempts, as (build, number), that somebody holds."""
        wanted = set(attempts)
        rows = self._db.sql(
            "SELECT id, attempt FROM builds INDEXED BY builds_leased WHERE lease_until IS NOT NULL"
        )
        return wanted & {(row[0], row[1]) for row in rows.fetchall()}


def _worker(row: Mapping[str, Any]) -> Worker:
    read = (queue_of(one) for one in json.loads(row["queues"]))
    queues = tuple(one for one in read if one)
    return Worker(row["name"], queues, row["created_at"], row["last_seen_at"])
