"""Attempts: what a worker that holds a build writes of it, from its lease to the end.

Every write names the token of the lease, and one with an old token changes nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ciserver.model.build import SETUP, Lease, StepResult
from ciserver.model.errors import LeaseLost
from ciserver.model.status import BuildStatus, Reason, StepStatus
from ciserver.store.database import Database, in_pieces, marks
from ciserver.store.fields import to_microseconds
from ciserver.store.lanes import Lanes

# A claim counts at once, so that a jobset with many waiting builds cannot take every free slot.
CLAIM_SECONDS = 10.0
_HELD = "id = ? AND attempt = ? AND token = ? AND token != ''"  # nobody holds the empty token


class Attempts:
    def __init__(self, database: Database, lanes: Lanes) -> None:
        self._db = database
        self._lanes = lanes

    def add(self, build_id: int, attempt: int, worker: str, now: datetime) -> None:
        self._db.sql(
            "INSERT INTO attempts (build_id, number, worker, sandbox, status, reason, detail,"
            " started_at) VALUES (?, ?, ?, '', 'running', '', '', ?)",
            (build_id, attempt, worker, to_microseconds(now)),
        )

    def add_ended(self, build_ids: Iterable[int]) -> None:
        """Attempts that never started, of builds that have ended so."""
        for some in in_pieces(build_ids):
            self._db.sql(
                "INSERT INTO attempts (build_id, number, worker, sandbox, status, reason, detail,"
                " started_at, finished_at)"
                " SELECT id, attempt, '', '', status, reason, detail, finished_at, finished_at"
                f" FROM builds WHERE id IN ({marks(some)})",
                some,
            )

    def add_steps(self, build_id: int, attempt: int, tasks: Sequence[str], now: datetime) -> None:
        values: list[Any] = [build_id, attempt, 0, SETUP, "running", to_microseconds(now)]
        for number, name in enumerate(tasks, start=1):
            values += [build_id, attempt, number, name, "pending", None]
        marks = ", ".join(["(?, ?, ?, ?, ?, ?)"] * (len(tasks) + 1))
        self._db.sql(
            "INSERT INTO steps (build_id, attempt, number, name, status, started_at)"
            f" VALUES {marks}",
            values,
        )

    # -- held -------------------------------------------------------------------------------------

    def renew(self, lease: Lease, until: datetime) -> BuildStatus:
        """Keep the lease; answers the build's status. Raises LeaseLost."""
        row = self._db.sql(
            f"UPDATE builds SET lease_until = ? WHERE {_HELD} RETURNING status",
            (to_microseconds(until), lease.build_id, lease.attempt, lease.token),
        ).fetchone()
        if row is None:
            raise _lost(lease)
        return BuildStatus(row[0])

    def renew_all(self, until: datetime) -> None:
        """Let every lease run until then."""
        self._db.sql(
            "UPDATE builds SET lease_until = ? WHERE lease_until IS NOT NULL",
            (to_microseconds(until),),
        )

    def check(self, lease: Lease) -> BuildStatus:
        """The status of a build whose lease still holds. Raises LeaseLost."""
        row = self._db.sql(
            f"SELECT status FROM builds WHERE {_HELD}",
            (lease.build_id, lease.attempt, lease.token),
        ).fetchone()
        if row is None:
            raise _lost(lease)
        return BuildStatus(row[0])

    def worker_of(self, build_id: int) -> str:
        """The worker that holds a build; empty when nobody does."""
        row = self._db.sql(
            "SELECT worker FROM builds WHERE id = ? AND lease_until IS NOT NULL", (build_id,)
        ).fetchone()
        return str(row[0]) if row else ""

    def held_by(self, worker: str, token: str) -> tuple[Lease, str] | None:
        """What this worker holds by this token, with the job's text; None when that is nothing."""
        row = self._db.sql(
            "SELECT id, attempt, (SELECT text FROM texts WHERE sha256 = job_sha256) FROM builds"
            " INDEXED BY builds_held WHERE token = ? AND token != '' AND worker = ?",
            (token, worker),
        ).fetchone()
        return (Lease(row[0], row[1], token), str(row[2])) if row else None

    def run(self, lease: Lease, sandbox: str, now: datetime) -> None:
        """The first task begins: starting becomes running (a cancellation stays one)."""
        self._db.sql(
            "UPDATE builds SET status = 'running', updated_at = ?"
            " WHERE id = ? AND status = 'starting'",
            (to_microseconds(now), lease.build_id),
        )
        self._db.sql(
            "UPDATE attempts SET sandbox = ? WHERE build_id = ? AND number = ?",
            (sandbox, lease.build_id, lease.attempt),
        )

    def end_steps(self, lease: Lease, steps: Iterable[StepResult], now: datetime) -> None:
        for step in steps:
            self._db.sql(
                "UPDATE steps SET status = ?, exit_code = ?, finished_at = ?"
                " WHERE build_id = ? AND attempt = ? AND number = ?",
                (
                    step.status.value,
                    step.exit_code,
                    to_microseconds(now),
                    lease.build_id,
                    lease.attempt,
                    step.number,
                ),
            )

    def start_step(self, lease: Lease, number: int, now: datetime) -> None:
        self._db.sql(
            "UPDATE steps SET status = 'running', started_at = ?"
            " WHERE build_id = ? AND attempt = ? AND number = ? AND status = 'pending'",
            (to_microseconds(now), lease.build_id, lease.attempt, number),
        )

    # -- out ---------------------------------------------------------------------------------------

    def end(
        self,
        build_id: int,
        attempt: int,
        status: BuildStatus,
        reason: Reason,
        detail: str,
        now: datetime,
    ) -> str:
        """The attempt ended and with it the build: a final status, and nobody holds it. Answers its
        worker if that is one with faults.
        """
        at = to_microseconds(now)
        started, jobset_id, faulty = self._db.sql(
            "UPDATE builds SET status = ?, reason = ?, detail = ?, finished_at = ?,"
            " updated_at = ?, token = '', lease_until = NULL, bumped = 0 WHERE id = ?"
            " RETURNING started_at, jobset_id,"
            " (SELECT worker FROM worker_faults f WHERE f.worker = builds.worker)",
            (status.value, reason.value, detail, at, at, build_id),
        ).fetchone()
        self.end_attempt(build_id, attempt, status, reason, detail, at)
        seconds = (at - started) / 1e6 - CLAIM_SECONDS
        if seconds > 0:
            self._lanes.charge(jobset_id, seconds, now)
        return faulty or ""

    def end_attempt(
        self, build_id: int, attempt: int, status: BuildStatus, reason: Reason, detail: str, at: int
    ) -> None:
        self._db.sql(
            "UPDATE attempts SET status = ?, reason = ?, detail = ?, finished_at = ?,"
            " logs_look_at = ? WHERE build_id = ? AND number = ?",
            (status.value, reason.value, detail, at, at, build_id, attempt),
        )
        unfinished = StepStatus.CANCELED if status is BuildStatus.CANCELED else StepStatus.LOST
        self._db.sql(
            "UPDATE steps SET status = ?, finished_at = ?"
            " WHERE build_id = ? AND attempt = ? AND status = 'running'",
            (unfinished.value, at, build_id, attempt),
        )

    def supersede(self, build_id: int, detail: str, now: datetime) -> bool:
        """Mark a build under way as being canceled because a newer one replaces it. False when it
        is not under way.
        """
        row = self._db.sql(
            "UPDATE builds SET status = 'canceling', reason = ?, canceled_by = ?, updated_at = ?"
            " WHERE id = ? AND status IN ('starting', 'running') RETURNING id",
            (Reason.SUPERSEDED.value, detail, to_microseconds(now), build_id),
        ).fetchone()
        return row is not None

    def count_failed(self, build_id: int) -> int:
        """How many attempts of a build failed by their own commands."""
        (failed,) = self._db.sql(
            "SELECT COUNT(*) FROM attempts WHERE build_id = ? AND status = 'failed'", (build_id,)
        ).fetchone()
        return int(failed)

    def was_superseded(self, lease: Lease) -> bool:
        row = self._db.sql("SELECT reason FROM builds WHERE id = ?", (lease.build_id,)).fetchone()
        return row is not None and row[0] == Reason.SUPERSEDED.value

    def ask_to_cancel(self, build_ids: Iterable[int], canceled_by: str, now: datetime) -> None:
        """Mark those that are under way as being canceled; their workers learn of it."""
        for some in in_pieces(build_ids):
            self._db.sql(
                "UPDATE builds SET status = 'canceling', canceled_by = ?, updated_at = ?"
                f" WHERE id IN ({marks(some)})"
                " AND status IN ('starting', 'running')",
                [canceled_by, to_microseconds(now), *some],
            )

    def list_lost(self, now: datetime, worker: str | None = None) -> list[tuple[int, int]]:
        """(build, attempt) of every lease that ran out; of one worker's: all of them."""
        clause = "lease_until < ?"
        values: list[Any] = [to_microseconds(now)]
        if worker is not None:
            clause, values = "lease_until IS NOT NULL AND worker = ?", [worker]
        rows = self._db.sql(
            f"SELECT id, attempt FROM builds INDEXED BY builds_leased WHERE {clause} ORDER BY id",
            values,
        )
        return [(row[0], row[1]) for row in rows.fetchall()]


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"attempt {lease.attempt} no longer owns build {lease.build_id}")
