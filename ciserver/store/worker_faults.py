"""Which builds ended at once through a worker, one after the other."""

import json
from datetime import datetime

from ciserver.model.frozen import frozen
from ciserver.store import tables as t
from ciserver.store.database import Database


@frozen
class Faults:
    """How many builds in a row ended at once through a worker, which the last of them were, of
    which jobsets those were that failed before their first command, and when the worker was last
    put out of work.
    """

    total: int = 0
    builds: tuple[int, ...] = ()
    jobsets: tuple[int, ...] = ()
    out_at: datetime | None = None


class WorkerFaults:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, worker: str) -> Faults:
        row = self._db.row(t.WorkerFaults.select().where(t.WorkerFaults.worker == worker))
        if row is None:
            return Faults()
        builds, jobsets = json.loads(row["builds"]), json.loads(row["jobsets"])
        return Faults(row["total"], tuple(builds), tuple(jobsets), row["out_at"])

    def put(self, worker: str, faults: Faults) -> None:
        row = {
            "total": faults.total,
            "builds": json.dumps(faults.builds),
            "jobsets": json.dumps(faults.jobsets),
            "out_at": faults.out_at,
        }
        self._db.insert(
            t.WorkerFaults.insert(worker=worker, **row)
            .on_conflict(conflict_target=[t.WorkerFaults.worker], update=row)
            .as_rowcount()
        )

    def forget(self, worker: str) -> None:
        """It works."""
        self._db.change(t.WorkerFaults.delete().where(t.WorkerFaults.worker == worker))

    def totals(self) -> dict[str, int]:
        """How many builds in a row of each worker that has had any."""
        rows = self._db.rows(t.WorkerFaults.select(t.WorkerFaults.worker, t.WorkerFaults.total))
        return {row["worker"]: row["total"] for row in rows}
