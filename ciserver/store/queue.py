"""The queue: which build runs next, and how builds come into it again.

This is the hot path, so the statements are written by hand. A build is claimed by one conditional
UPDATE. `ready` counts the claimable builds of each lane and priority, so that a claim looks at
lanes, never at the whole queue.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ciserver.model.build import Job, Lease, Loss, Offer
from ciserver.model.evaluation import Evaluation
from ciserver.model.status import BuildStatus, Reason
from ciserver.store.attempts import CLAIM_SECONDS, Attempts
from ciserver.store.database import Database
from ciserver.store.fields import to_microseconds
from ciserver.store.gates import ARRIVING, Gates
from ciserver.store.lanes import Lanes

_CLAIMABLE = "status = 'queued' AND waiting = ''"
_UNCLAIMED = "status IN ('preparing', 'held', 'queued')"
_BUMPED = """
SELECT b.id, b.lane_id, b.priority FROM builds b INDEXED BY builds_bumped
JOIN lanes l ON l.id = b.lane_id
JOIN jobsets j ON j.id = l.jobset_id
WHERE b.bumped = 1 AND b.status = 'queued' AND b.waiting = '' AND j.paused = 0 AND {offer}
ORDER BY b.id LIMIT 1"""
_BEST = """
SELECT b.id, b.lane_id, b.priority FROM ready r
JOIN lanes l ON l.id = r.lane_id
JOIN jobsets j ON j.id = l.jobset_id
JOIN builds b ON b.id = (
    SELECT id FROM builds INDEXED BY builds_claimable
    WHERE lane_id = r.lane_id AND priority = r.priority AND status = 'queued' AND waiting = ''
    ORDER BY id LIMIT 1)
WHERE j.paused = 0 AND {offer}
ORDER BY r.priority DESC, j.share_rank, b.id LIMIT 1"""
_TAKE = f"""
UPDATE builds SET status = 'starting', attempt = attempt + 1, token = ?, worker = ?,
    lease_until = ?, started_at = ?, updated_at = ?, finished_at = NULL, bumped = 0, detail = ''
WHERE id = ? AND {_CLAIMABLE}
RETURNING attempt, jobset_id"""
_INSERT = """
INSERT INTO builds (evaluation_id, jobset_id, lane_id, job, job_sha256, recipe_sha256, group_id,
    rebuild_of, key, concurrency, waiting, number, system, image, trust, status, reason, detail,
    priority, bumped, kind, ref, revision, requested_by, canceled_by, attempt, lost_attempts,
    token, worker, kept, deleted, queued_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, 0, ?, ?, ?, ?, '', 0, 0, '', '',
    0, 0, ?, ?)
RETURNING id"""


class Texts(NamedTuple):
    """The SHA-256 of a job as text, and of the recipe that it was written in, if it was."""

    job: str
    recipe: str | None = None


class Queue:
    def __init__(self, database: Database, lanes: Lanes, attempts: Attempts, gates: Gates) -> None:
        self._db = database
        self._lanes = lanes
        self._attempts = attempts
        self._gates = gates

    # -- in ---------------------------------------------------------------------------------------

    def add(
        self,
        evaluation: Evaluation,
        job: Job,
        texts: Texts,
        now: datetime,
        *,
        held: bool = False,
        group_id: int | None = None,
        rebuild_of: int | None = None,
        key: str = "",
        concurrency: str = "",
        waiting: str = "",
    ) -> int:
        """A new build in state queued, or held until a person starts it; the first of a group of
        its own unless one is named. `rebuild_of` is the build that it repeats. It may be claimed
        at once unless it waits for something.
        """
        status = BuildStatus.HELD if held else BuildStatus.QUEUED
        lane = self._lanes.get(evaluation.jobset_id, job.system, job.image, evaluation.trust.value)
        (number,) = self._db.sql(
            "INSERT INTO job_counters (jobset_id, job, number) VALUES (?, ?, 1)"
            " ON CONFLICT (jobset_id, job) DO UPDATE SET number = number + 1 RETURNING number",
            (evaluation.jobset_id, job.name),
        ).fetchone()
        at = to_microseconds(now)
        (build_id,) = self._db.sql(
            _INSERT,
            (
                evaluation.id,
                evaluation.jobset_id,
                lane,
                job.name,
                texts.job,
                texts.recipe,
                group_id or 0,
                rebuild_of,
                key,
                concurrency,
                waiting,
                number,
                job.system,
                job.image,
                evaluation.trust.value,
                status.value,
                job.priority,
                evaluation.kind.value,
                evaluation.ref,
                evaluation.revision,
                evaluation.requested_by,
                at,
                at,
            ),
        ).fetchone()
        if group_id is None:
            self._db.sql("UPDATE builds SET group_id = id WHERE id = ?", (build_id,))
        if not held and not waiting:
            self._lanes.count_ready(lane, job.priority, 1)
        self._count_requested(evaluation.requested_by)
        return int(build_id)

    def _count_requested(self, name: str) -> None:
        self._db.sql(
            "INSERT INTO requesters (name, builds) VALUES (?, 1)"
            " ON CONFLICT (name) DO UPDATE SET builds = builds + 1",
            (name,),
        )

    def add_text(self, text: str) -> str:
        """Keep a recipe or a job's text, once; answers its SHA-256."""
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        self._db.sql(
            "INSERT INTO texts (sha256, text) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING",
            (sha256, text),
        )
        return sha256

    # -- claimed ----------------------------------------------------------------------------------

    def claim(
        self, offer: Offer, token: str, now: datetime, until: datetime
    ) -> tuple[Lease, str] | None:
        """Take the best build for this offer: bumped first, then priority, then the jobset that
        used least, then age. Answers the lease and the job's text. The setup step runs.
        """
        found = None if self.is_paused(offer.worker) else self._best(offer)
        if found is None:
            return None
        build_id, lane, priority = found
        at = to_microseconds(now)
        taken = self._db.sql(
            _TAKE, (token, offer.worker, to_microseconds(until), at, at, build_id)
        ).fetchone()
        if taken is None:
            return None
        attempt, jobset_id = taken
        self._lanes.count_ready(lane, priority, -1)
        self._lanes.charge(jobset_id, CLAIM_SECONDS, now)
        (text,) = self._db.sql(
            "SELECT t.text FROM builds b JOIN texts t ON t.sha256 = b.job_sha256 WHERE b.id = ?",
            (build_id,),
        ).fetchone()
        self._attempts.add(build_id, attempt, offer.worker, now)
        self._attempts.add_steps(
            build_id, attempt, [one["name"] for one in json.loads(text)["tasks"]], now
        )
        return Lease(build_id, attempt, token), text

    def is_paused(self, worker: str) -> bool:
        """Whether the whole queue, or this worker, takes no builds. A worker's slots have its name
        before a dash.
        """
        row = self._db.sql(
            "SELECT 1 FROM pauses WHERE worker IN ('', ?, ?) LIMIT 1",
            (worker, worker.partition("-")[0]),
        ).fetchone()
        return row is not None

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

    # -- out --------------------------------------------------------------------------------------

    def requeue(
        self,
        build_id: int,
        attempt: int,
        loss: Loss,
        now: datetime,
        *,
        status: BuildStatus = BuildStatus.ERRORED,
    ) -> None:
        """The attempt was lost, or failed and is tried again: the build waits again."""
        at = to_microseconds(now)
        self._attempts.end_attempt(build_id, attempt, status, loss.reason, loss.detail, at)
        self._queue_again(build_id, now, f"lost_attempts = lost_attempts + {int(loss.counts)}")
        self._gates.admit(build_id)

    def rerun(self, build_id: int, now: datetime) -> None:
        """A finished build waits again for a new attempt with the same pinned inputs."""
        self._db.sql(
            "UPDATE builds SET queued_at = ? WHERE id = ?", (to_microseconds(now), build_id)
        )
        self._queue_again(build_id, now, "lost_attempts = 0")
        self._gates.admit(build_id)

    def _queue_again(self, build_id: int, now: datetime, count: str) -> None:
        self._db.sql(
            "UPDATE builds SET status = 'queued', reason = '', detail = '',"
            f" waiting = '{ARRIVING}', canceled_by = '', token = '', worker = '',"
            " lease_until = NULL, started_at = NULL, finished_at = NULL, kept = 0,"
            f" updated_at = ?, {count} WHERE id = ?",
            (to_microseconds(now), build_id),
        )

    def release(self, build_id: int, now: datetime) -> bool:
        """A held build waits for a worker from now on. False when it is not held."""
        row = self._db.sql(
            f"UPDATE builds SET status = 'queued', queued_at = ?, updated_at = ?,"
            f" waiting = '{ARRIVING}' WHERE id = ? AND status = 'held' RETURNING id",
            (to_microseconds(now), to_microseconds(now), build_id),
        ).fetchone()
        if row is None:
            return False
        self._gates.admit(build_id)
        return True

    def bump(self, build_id: int, now: datetime) -> bool:
        """Put a build that nobody runs before all others. False when one does."""
        row = self._db.sql(
            f"UPDATE builds SET bumped = 1, updated_at = ? WHERE id = ? AND {_UNCLAIMED}"
            " RETURNING id",
            (to_microseconds(now), build_id),
        ).fetchone()
        return row is not None

    def reprioritize(self, build_id: int, priority: int, now: datetime) -> bool:
        """Give a build that nobody runs another priority. False when one does."""
        row = self._db.sql(
            "SELECT lane_id, priority, status = 'queued' AND waiting = '' FROM builds"
            f" WHERE id = ? AND {_UNCLAIMED}",
            (build_id,),
        ).fetchone()
        if row is None:
            return False
        lane, old, is_ready = row
        self._db.sql(
            "UPDATE builds SET priority = ?, updated_at = ? WHERE id = ?",
            (priority, to_microseconds(now), build_id),
        )
        if is_ready:
            self._lanes.count_ready(lane, old, -1)
            self._lanes.count_ready(lane, priority, 1)
        return True

    def end_waiting(
        self, build_id: int, status: BuildStatus, reason: Reason, detail: str, now: datetime
    ) -> bool:
        """End a build that nobody runs. It gets an attempt that never started, so that each end
        of a build is the end of one attempt. False when somebody runs it, or it has ended.
        """
        row = self._db.sql(
            f"SELECT status = 'queued' AND waiting = '' FROM builds WHERE id = ? AND {_UNCLAIMED}",
            (build_id,),
        ).fetchone()
        if row is None:
            return False
        attempt, lane, priority = self._db.sql(
            "UPDATE builds SET attempt = attempt + 1 WHERE id = ?"
            " RETURNING attempt, lane_id, priority",
            (build_id,),
        ).fetchone()
        if row[0]:
            self._lanes.count_ready(lane, priority, -1)
        self._attempts.add(build_id, attempt, "", now)
        self._attempts.end(build_id, attempt, status, reason, detail, now)
        return True

    def cancel_waiting(self, build_id: int, canceled_by: str, now: datetime) -> bool:
        """Cancel a build that nobody runs. False when somebody does."""
        detail = f"canceled by {canceled_by} before it started"
        if not self.end_waiting(build_id, BuildStatus.CANCELED, Reason.CANCELED_BY, detail, now):
            return False
        self._db.sql("UPDATE builds SET canceled_by = ? WHERE id = ?", (canceled_by, build_id))
        return True


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
