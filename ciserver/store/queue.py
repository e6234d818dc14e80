"""The queue: which build runs next, who holds it, and how it leaves.

This is the hot path, so the statements are written by hand. A build is claimed by one conditional
UPDATE; every later write of the attempt names its token, and a write with an old token changes
nothing. `ready` counts the claimable builds of each lane and priority, so that a claim looks at
lanes, never at the whole queue.
"""

import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ciserver.model.build import SETUP, Job, Lease, Loss, Offer, StepResult
from ciserver.model.errors import LeaseLost
from ciserver.model.evaluation import Evaluation
from ciserver.model.status import BuildStatus, Reason, StepStatus
from ciserver.store.database import Database
from ciserver.store.fields import to_microseconds

TRUSTED = "trusted"
# A claim counts at once, so that a jobset with many waiting builds cannot take every free slot.
_CLAIM_SECONDS = 10.0
_HALF_LIFE_SECONDS = 24 * 3600.0

_CLAIMABLE = "status = 'queued' AND waiting = ''"
_HELD = "id = ? AND attempt = ? AND token = ? AND token != ''"  # nobody holds the empty token
_BUMPED = """
SELECT b.id, b.lane_id, b.priority FROM builds b INDEXED BY builds_bumped
JOIN lanes l ON l.id = b.lane_id
WHERE b.bumped = 1 AND b.status = 'queued' AND b.waiting = '' AND {offer}
ORDER BY b.id LIMIT 1"""
_BEST = """
SELECT b.id, b.lane_id, b.priority FROM ready r
JOIN lanes l ON l.id = r.lane_id
JOIN jobsets j ON j.id = l.jobset_id
JOIN builds b ON b.id = (
    SELECT id FROM builds INDEXED BY builds_claimable
    WHERE lane_id = r.lane_id AND priority = r.priority AND status = 'queued' AND waiting = ''
    ORDER BY id LIMIT 1)
WHERE {offer}
ORDER BY r.priority DESC, j.share_rank, b.id LIMIT 1"""
_TAKE = f"""
UPDATE builds SET status = 'starting', attempt = attempt + 1, token = ?, worker = ?,
    lease_until = ?, started_at = ?, finished_at = NULL, bumped = 0, detail = ''
WHERE id = ? AND {_CLAIMABLE}
RETURNING attempt, jobset_id"""


class Queue:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._lanes: dict[tuple[int, str, str, str], int] = {}

    # -- in ---------------------------------------------------------------------------------------

    def add(self, evaluation: Evaluation, job: Job, job_sha256: str, now: datetime) -> int:
        """A new build in state queued."""
        lane = self._lane(evaluation.jobset_id, job.system, job.image, TRUSTED)
        (number,) = self._db.sql(
            "INSERT INTO job_counters (jobset_id, job, number) VALUES (?, ?, 1)"
            " ON CONFLICT (jobset_id, job) DO UPDATE SET number = number + 1 RETURNING number",
            (evaluation.jobset_id, job.name),
        ).fetchone()
        (build_id,) = self._db.sql(
            "INSERT INTO builds (evaluation_id, jobset_id, lane_id, job, job_sha256, number,"
            " system, image, trust, status, reason, detail, waiting, priority, bumped, kind, ref,"
            " revision, requested_by, canceled_by, attempt, lost_attempts, token, worker,"
            " queued_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', '', '', '', ?, 0, ?, ?, ?, ?, '', 0, 0,"
            " '', '', ?) RETURNING id",
            (
                evaluation.id,
                evaluation.jobset_id,
                lane,
                job.name,
                job_sha256,
                number,
                job.system,
                job.image,
                TRUSTED,
                job.priority,
                evaluation.kind.value,
                evaluation.ref,
                evaluation.revision,
                evaluation.requested_by,
                to_microseconds(now),
            ),
        ).fetchone()
        self._count_ready(lane, job.priority, 1)
        return int(build_id)

    def add_job_text(self, sha256: str, text: str) -> None:
        self._db.sql(
            "INSERT INTO job_texts (sha256, text) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING",
            (sha256, text),
        )

    def _lane(self, jobset_id: int, system: str, image: str, trust: str) -> int:
        key = (jobset_id, system, image, trust)
        if key not in self._lanes:
            self._db.sql(
                "INSERT INTO lanes (jobset_id, system, image, trust) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (jobset_id, system, image, trust) DO NOTHING",
                key,
            )
            (lane,) = self._db.sql(
                "SELECT id FROM lanes WHERE jobset_id = ? AND system = ? AND image = ?"
                " AND trust = ?",
                key,
            ).fetchone()
            # Remembered only once it is durable: a rolled back lane must not be believed in.
            self._db.after_commit(lambda: self._lanes.__setitem__(key, lane))
            return int(lane)
        return self._lanes[key]

    def _count_ready(self, lane: int, priority: int, builds: int) -> None:
        self._db.sql(
            "INSERT INTO ready (lane_id, priority, builds) VALUES (?, ?, ?)"
            " ON CONFLICT (lane_id, priority) DO UPDATE SET builds = builds + excluded.builds",
            (lane, priority, builds),
        )
        if builds < 0:
            self._db.sql(
                "DELETE FROM ready WHERE lane_id = ? AND priority = ? AND builds <= 0",
                (lane, priority),
            )

    # -- claimed ----------------------------------------------------------------------------------

    def claim(
        self, offer: Offer, token: str, now: datetime, until: datetime
    ) -> tuple[Lease, str] | None:
        """Take the best build for this offer: bumped first, then priority, then the jobset that
        used least, then age. Answers the lease and the job's text. The setup step runs.
        """
        found = self._best(offer)
        if found is None:
            return None
        build_id, lane, priority = found
        taken = self._db.sql(
            _TAKE, (token, offer.worker, to_microseconds(until), to_microseconds(now), build_id)
        ).fetchone()
        if taken is None:
            return None
        attempt, jobset_id = taken
        self._count_ready(lane, priority, -1)
        self._charge(jobset_id, _CLAIM_SECONDS, now)
        (text,) = self._db.sql(
            "SELECT t.text FROM builds b JOIN job_texts t ON t.sha256 = b.job_sha256"
            " WHERE b.id = ?",
            (build_id,),
        ).fetchone()
        self._add_attempt(build_id, attempt, offer.worker, now)
        self._add_steps(build_id, attempt, [one["name"] for one in json.loads(text)["tasks"]], now)
        return Lease(build_id, attempt, token), text

    def _best(self, offer: Offer) -> tuple[int, int, int] | None:
        clause = f"l.system IN ({_marks(offer.systems)})"
        values: list[Any] = list(offer.systems)
        if offer.images:
            clause += f" AND l.image IN ({_marks(offer.images)})"
            values += offer.images
        for question in (_BUMPED, _BEST):
            row = self._db.sql(question.format(offer=clause), values).fetchone()
            if row is not None:
                return row[0], row[1], row[2]
        return None

    def _add_attempt(self, build_id: int, attempt: int, worker: str, now: datetime) -> None:
        self._db.sql(
            "INSERT INTO attempts (build_id, number, worker, sandbox, status, reason, detail,"
            " started_at) VALUES (?, ?, ?, '', 'running', '', '', ?)",
            (build_id, attempt, worker, to_microseconds(now)),
        )

    def _add_steps(self, build_id: int, attempt: int, tasks: Sequence[str], now: datetime) -> None:
        values: list[Any] = [build_id, attempt, 0, SETUP, "running", to_microseconds(now)]
        for number, name in enumerate(tasks, start=1):
            values += [build_id, attempt, number, name, "pending", None]
        marks = ", ".join(["(?, ?, ?, ?, ?, ?)"] * (len(tasks) + 1))
        self._db.sql(
            "INSERT INTO steps (build_id, attempt, number, name, status, started_at)"
            f" VALUES {marks}",
            values,
        )

    def _charge(self, jobset_id: int, seconds: float, now: datetime) -> None:
        """Add build seconds to a jobset's use. The rank is a logarithm that grows with time by
        what the use decays, so that values stored at different times compare.
        """
        age = now.timestamp() / _HALF_LIFE_SECONDS
        (rank,) = self._db.sql(
            "SELECT share_rank FROM jobsets WHERE id = ?", (jobset_id,)
        ).fetchone()
        # A clock that was set back by years must not overflow.
        rank = math.log2(2.0 ** min(rank - age, 1000.0) + seconds) + age
        self._db.sql("UPDATE jobsets SET share_rank = ? WHERE id = ?", (rank, jobset_id))

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

    def check(self, lease: Lease) -> BuildStatus:
        """The status of a build whose lease still holds. Raises LeaseLost."""
        row = self._db.sql(
            f"SELECT status FROM builds WHERE {_HELD}",
            (lease.build_id, lease.attempt, lease.token),
        ).fetchone()
        if row is None:
            raise _lost(lease)
        return BuildStatus(row[0])

    def run(self, lease: Lease, sandbox: str) -> None:
        """The first task begins: starting becomes running (a cancellation stays one)."""
        self._db.sql(
            "UPDATE builds SET status = 'running' WHERE id = ? AND status = 'starting'",
            (lease.build_id,),
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

    # -- out --------------------------------------------------------------------------------------

    def end(
        self,
        build_id: int,
        attempt: int,
        status: BuildStatus,
        reason: Reason,
        detail: str,
        now: datetime,
    ) -> None:
        """The attempt ended and with it the build: a final status, and nobody holds it."""
        at = to_microseconds(now)
        started, jobset_id = self._db.sql(
            "UPDATE builds SET status = ?, reason = ?, detail = ?, finished_at = ?, token = '',"
            " lease_until = NULL, bumped = 0 WHERE id = ? RETURNING started_at, jobset_id",
            (status.value, reason.value, detail, at, build_id),
        ).fetchone()
        self._end_attempt(build_id, attempt, status, reason, detail, at)
        if started is not None:
            self._charge(jobset_id, max(0.0, (at - started) / 1e6 - _CLAIM_SECONDS), now)

    def requeue(self, build_id: int, attempt: int, loss: Loss, now: datetime) -> None:
        """The attempt was lost: the build waits again."""
        at = to_microseconds(now)
        self._end_attempt(build_id, attempt, BuildStatus.ERRORED, loss.reason, loss.detail, at)
        self._queue_again(build_id, f"lost_attempts = lost_attempts + {int(loss.counts)}")

    def rerun(self, build_id: int, requested_by: str, now: datetime) -> None:
        """A finished build waits again for a new attempt with the same pinned inputs."""
        self._db.sql(
            "UPDATE builds SET requested_by = ?, queued_at = ? WHERE id = ?",
            (requested_by, to_microseconds(now), build_id),
        )
        self._queue_again(build_id, "lost_attempts = 0")

    def _queue_again(self, build_id: int, count: str) -> None:
        lane, priority = self._db.sql(
            "UPDATE builds SET status = 'queued', reason = '', detail = '', waiting = '',"
            " canceled_by = '', token = '', worker = '', lease_until = NULL, started_at = NULL,"
            f" finished_at = NULL, {count} WHERE id = ? RETURNING lane_id, priority",
            (build_id,),
        ).fetchone()
        self._count_ready(lane, priority, 1)

    def cancel_waiting(self, build_id: int, canceled_by: str, now: datetime) -> bool:
        """Cancel a build that nobody runs. It gets an attempt that never started, so that each
        end of a build is the end of one attempt. False when one does.
        """
        row = self._db.sql(
            "UPDATE builds SET canceled_by = ?, attempt = attempt + 1"
            f" WHERE id = ? AND {_CLAIMABLE} RETURNING attempt, lane_id, priority",
            (canceled_by, build_id),
        ).fetchone()
        if row is None:
            return False
        attempt, lane, priority = row
        self._count_ready(lane, priority, -1)
        self._add_attempt(build_id, attempt, "", now)
        self.end(
            build_id,
            attempt,
            BuildStatus.CANCELED,
            Reason.CANCELED_BY,
            f"canceled by {canceled_by} before it started",
            now,
        )
        return True

    def ask_to_cancel(self, build_id: int, canceled_by: str) -> bool:
        """Mark a build under way as being canceled; its worker learns of it. False when it is
        not under way.
        """
        row = self._db.sql(
            "UPDATE builds SET status = 'canceling', canceled_by = ?"
            " WHERE id = ? AND status IN ('starting', 'running') RETURNING id",
            (canceled_by, build_id),
        ).fetchone()
        return row is not None

    def list_lost(self, now: datetime, worker_prefix: str | None = None) -> list[tuple[int, int]]:
        """(build, attempt) of every lease that ran out; of one server's workers: all of them."""
        clause = "lease_until < ?"
        values: list[Any] = [to_microseconds(now)]
        if worker_prefix is not None:
            clause, values = (
                "lease_until IS NOT NULL AND substr(worker, 1, ?) = ?",
                [
                    len(worker_prefix),
                    worker_prefix,
                ],
            )
        rows = self._db.sql(
            f"SELECT id, attempt FROM builds INDEXED BY builds_leased WHERE {clause} ORDER BY id",
            values,
        )
        return [(row[0], row[1]) for row in rows.fetchall()]

    def _end_attempt(
        self, build_id: int, attempt: int, status: BuildStatus, reason: Reason, detail: str, at: int
    ) -> None:
        self._db.sql(
            "UPDATE attempts SET status = ?, reason = ?, detail = ?, finished_at = ?"
            " WHERE build_id = ? AND number = ?",
            (status.value, reason.value, detail, at, build_id, attempt),
        )
        unfinished = StepStatus.CANCELED if status is BuildStatus.CANCELED else StepStatus.LOST
        self._db.sql(
            "UPDATE steps SET status = ?, finished_at = ?"
            " WHERE build_id = ? AND attempt = ? AND status = 'running'",
            (unfinished.value, at, build_id, attempt),
        )


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"attempt {lease.attempt} no longer owns build {lease.build_id}")
