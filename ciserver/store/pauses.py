"""What takes no builds until somebody resumes it."""

from datetime import datetime

from ciserver.model.view import Pause
from ciserver.store import tables as t
from ciserver.store.database import Database

QUEUE = ""


def names_of(worker: str) -> tuple[str, ...]:
    """The names under which a worker is paused: the whole queue's, and its own, which its slots
    have before a dash.
    """
    return tuple(dict.fromkeys((QUEUE, worker, worker.partition("-")[0])))


class Pauses:
    """Under a worker's name, or under the empty name: the whole queue."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, worker: str, by: str, reason: str, now: datetime) -> None:
        """One by people that is there stays as it is; one that would end by itself does not."""
        self._put(worker, by, reason, now, None)

    def put_out(self, worker: str, reason: str, now: datetime, until: datetime) -> None:
        """Until then it takes no builds, unless people paused it already."""
        self._put(worker, "", reason, now, until)

    def _put(
        self, worker: str, by: str, reason: str, now: datetime, until: datetime | None
    ) -> None:
        row = {"paused_by": by, "reason": reason, "paused_at": now, "until": until}
        self._db.insert(
            t.Pause.insert(worker=worker, **row)
            .on_conflict(
                conflict_target=[t.Pause.worker],
                update=row,
                where=t.Pause.until.is_null(False),
            )
            .as_rowcount()
        )

    def remove(self, worker: str) -> bool:
        """False when it was not paused."""
        return bool(self._db.change(t.Pause.delete().where(t.Pause.worker == worker)))

    def list_all(self, now: datetime) -> tuple[Pause, ...]:
        """Everything that is paused, the whole queue first."""
        lasting = t.Pause.until.is_null() | (t.Pause.until > now)
        rows = self._db.rows(t.Pause.select().where(lasting).order_by(t.Pause.worker))
        return tuple(
            Pause(row["worker"], row["paused_by"], row["reason"], row["until"]) for row in rows
        )

    def set_jobset(self, jobset_id: int, *, paused: bool) -> None:
        self._db.change(t.Jobset.update(paused=paused).where(t.Jobset.id == jobset_id))

    def jobsets(self, jobset_ids: set[int]) -> set[int]:
        """Those of these that are paused."""
        rows = self._db.rows(
            t.Jobset.select(t.Jobset.id).where(
                t.Jobset.id << list(jobset_ids),
                t.Jobset.paused == True,  # noqa: E712
            )
        )
        return {row["id"] for row in rows}
