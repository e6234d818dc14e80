"""Workers on other machines. Only hashes of their credentials are kept."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.build import Lease
from ciserver.model.errors import AlreadyExists, NotFound
from ciserver.model.ports import WorkerState
from ciserver.model.worker import Worker, queue_of
from ciserver.store import tables as t
from ciserver.store.database import Database


class Workers:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, worker: Worker, hash: str) -> None:  # noqa: A002  the column's name
        """Raises AlreadyExists."""
        row = {"name": worker.name, "hash": hash, "created_at": worker.created_at}
        try:
            self._db.insert(t.Worker.insert(**row, **_given(worker)).as_rowcount())
        except peewee.IntegrityError as error:
            raise AlreadyExists(f"there is already a worker {worker.name}") from error

    def change(self, worker: Worker) -> None:
        """Give it the queues, labels and projects that it has now."""
        self._db.change(t.Worker.update(**_given(worker)).where(t.Worker.name == worker.name))

    def list_all(self) -> tuple[Worker, ...]:
        rows = self._db.rows(t.Worker.select().order_by(t.Worker.name))
        return tuple(map(self._worker, rows))

    def get(self, name: str) -> Worker:
        """Raises NotFound."""
        row = self._db.row(t.Worker.select().where(t.Worker.name == name))
        if row is None:
            raise NotFound(f"there is no worker {name}", hint="see: worker-credential list")
        return self._worker(row)

    def find(self, hash: str) -> tuple[Worker, bool] | None:  # noqa: A002  the column's name
        """The one whose credential has this hash, and whether it is the next one of it."""
        row = self._db.usual_row(_by_hash, hash)
        return (self._worker(row), row["hash"] != hash) if row else None

    def renew(self, name: str, hash: str) -> None:  # noqa: A002  the column's name
        """Give it a next credential, in the place of another one that was not used."""
        self._db.change(t.Worker.update(next_hash=hash).where(t.Worker.name == name))

    def take_next(self, name: str) -> None:
        """The next credential was used: the one before is believed no more."""
        self._db.change(
            t.Worker.update(hash=t.Worker.next_hash, next_hash=None).where(
                t.Worker.name == name, t.Worker.next_hash.is_null(False)
            )
        )

    def touch(self, name: str, now: datetime) -> None:
        self._db.change(t.Worker.update(last_seen_at=now).where(t.Worker.name == name))

    def remove(self, name: str) -> bool:
        """False when there is none of that name."""
        self._db.change(t.WorkerState.delete().where(t.WorkerState.name == name))
        return bool(self._db.change(t.Worker.delete().where(t.Worker.name == name)))

    def tell(self, state: WorkerState, until: datetime) -> None:
        """A worker is like this, which may be believed until then."""
        told = t.WorkerState.insert(
            name=state.name, state=json.dumps(asdict(state)), until=until
        ).on_conflict(
            conflict_target=[t.WorkerState.name],
            preserve=[t.WorkerState.state, t.WorkerState.until],
        )
        self._db.insert(told.as_rowcount())

    def states(self, now: datetime) -> tuple[WorkerState, ...]:
        """How the workers are that may be believed now, by name."""
        mine = t.WorkerState
        rows = self._db.rows(mine.select(mine.state).where(mine.until > now).order_by(mine.name))
        return tuple(_state(row["state"]) for row in rows)

    def forget_states(self, before: datetime) -> None:
        """Those that were not to be believed any more then."""
        self._db.change(t.WorkerState.delete().where(t.WorkerState.until < before))

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
            "SELECT worker FROM builds INDEXED BY builds_held WHERE token = ? AND token != ''",
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

    def _worker(self, row: Mapping[str, Any]) -> Worker:
        read = (queue_of(one) for one in json.loads(row["queues"]))
        return Worker(
            row["name"],
            tuple(one for one in read if one),
            row["created_at"],
            row["last_seen_at"],
            tuple(json.loads(row["labels"])),
            self._names(json.loads(row["projects"])),
        )

    def _names(self, ids: list[int]) -> dict[int, str]:
        query = t.Project.select(t.Project.id, t.Project.name).where(t.Project.id << ids)
        return {row["id"]: row["name"] for row in self._db.rows(query)} if ids else {}


def _by_hash(hash: str) -> Any:  # noqa: A002  the column's name
    return t.Worker.select().where((t.Worker.hash == hash) | (t.Worker.next_hash == hash))


def _given(worker: Worker) -> dict[str, str]:
    return {
        "queues": json.dumps([str(one) for one in worker.queues]),
        "labels": json.dumps(worker.labels),
        "projects": json.dumps(sorted(worker.projects)),
    }


def _state(text: str) -> WorkerState:
    told: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in json.loads(text).items()
    }
    return WorkerState(**told)
