"""The queue: which build runs next, and how builds come into it again.

This is the hot path, so the statements are written by hand. A build is claimed by one conditional
UPDATE. `ready` counts the claimable builds of each lane and priority, and keeps the lanes in the
order in which they are due, so that a claim looks at the first of them, never at the whole queue.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Unpack

from ciserver.model.build import Job, Lease, Loss, Offer
from ciserver.model.evaluation import Evaluation
from ciserver.model.status import BuildStatus, Reason
from ciserver.store.arrivals import Arrivals, Terms, Texts
from ciserver.store.attempts import CLAIM_SECONDS, Attempts
from ciserver.store.database import Database, in_pieces, marks
from ciserver.store.fields import to_microseconds
from ciserver.store.gates import ARRIVING, Gates
from ciserver.store.lanes import Lanes, label_text
from ciserver.store.pauses import names_of

_CLAIMABLE = "status = 'queued' AND waiting = ''"
_UNCLAIMED = "status IN ('preparing', 'held', 'queued')"
_PAUSED = "SELECT 1 FROM pauses WHERE worker IN ({names}) AND (until IS NULL OR until > ?)"
# What a claim has to look at, of which there is nothing most of the time.
_BESIDE = f"""
SELECT EXISTS ({_PAUSED}),
    EXISTS (SELECT 1 FROM builds INDEXED BY builds_bumped WHERE bumped = 1 AND {_CLAIMABLE}),
    EXISTS (SELECT 1 FROM builds INDEXED BY builds_avoiding WHERE avoided != '' AND avoided = ?)"""
_BUMPED = """
SELECT b.id FROM builds b INDEXED BY builds_bumped
JOIN lanes l ON l.id = b.lane_id
JOIN jobsets j ON j.id = l.jobset_id
WHERE b.bumped = 1 AND b.status = 'queued' AND b.waiting = '' AND j.paused = 0 AND {offer}
    AND b.avoided != ?
ORDER BY b.id LIMIT 1 {lock}"""
# The lanes stand in this order in their index, so the first that fits is the best.
_BEST = """
SELECT b.id FROM builds b INDEXED BY builds_claimable
WHERE b.status = 'queued' AND b.waiting = '' AND (b.lane_id, b.priority) = (
    SELECT r.lane_id, r.priority FROM ready r INDEXED BY ready_in_order
    JOIN lanes l ON l.id = r.lane_id
    JOIN jobsets j ON j.id = l.jobset_id
    WHERE j.paused = 0 AND {offer}
    ORDER BY r.priority DESC, r.share_rank, r.head LIMIT 1)
    AND b.avoided != ?
ORDER BY b.id LIMIT 1 {lock}"""
# Where the oldest build of a lane is not what the worker would get of it, because it avoids the
# worker or others are about to take all of the lane, the lanes are compared by what he would.
_ANY = """
SELECT b.id FROM ready r
JOIN lanes l ON l.id = r.lane_id
JOIN jobsets j ON j.id = l.jobset_id
CROSS JOIN builds b
WHERE j.paused = 0 AND {offer} AND b.id = (
    SELECT id FROM builds INDEXED BY builds_claimable
    WHERE lane_id = r.lane_id AND priority = r.priority
        AND status = 'queued' AND waiting = '' AND avoided != ?
    ORDER BY id LIMIT 1)
ORDER BY r.priority DESC, r.share_rank, b.id LIMIT 1 {lock}"""
# Where claims run beside each other, one takes what no other is about to take.
_LOCK = "FOR UPDATE OF b SKIP LOCKED"
# What SQLite returns of a row has no type, and it would look through all texts for one without.
_TAKE = f"""
UPDATE builds SET status = 'starting', attempt = attempt + 1, token = ?, worker = ?,
    lease_until = ?, started_at = ?, updated_at = ?, finished_at = NULL, bumped = 0, detail = '',
    avoided = ''
WHERE id = ({{found}}) AND {_CLAIMABLE}
RETURNING id, lane_id, priority, attempt, jobset_id,
    (SELECT text FROM texts WHERE sha256 = CAST(job_sha256 AS TEXT))"""


class Queue:
    def __init__(self, database: Database, lanes: Lanes, attempts: Attempts, gates: Gates) -> None:
        self._db = database
        self._lanes = lanes
        self._attempts = attempts
        self._gates = gates

    # -- in ---------------------------------------------------------------------------------------

    @contextmanager
    def arrivals(self, evaluation: Evaluation, now: datetime, builds: int) -> Iterator[Arrivals]:
        """Add so many builds of an evaluation, within the caller's transaction. They are written
        when the block is left.
        """
        arrivals = Arrivals(self._db, self._lanes, evaluation, now, builds)
        yield arrivals
        arrivals.settle()

    def add(
        self,
        evaluation: Evaluation,
        job: Job,
        texts: Texts,
        now: datetime,
        **terms: Unpack[Terms],
    ) -> int:
        """A new build in state queued, or held until a person starts it; the first of a group of
        its own unless one is named. `rebuild_of` is the build that it repeats. It may be claimed
        at once unless it waits for something.
        """
        with self.arrivals(evaluation, now, 1) as arrivals:
            return arrivals.add(job, texts, **terms)

    def add_text(self, text: str) -> str:
        """Keep a recipe or a job's text, once; answers its SHA-256."""
        (sha256,) = self.add_texts([text])
        return sha256

    def add_texts(self, texts: Iterable[str]) -> list[str]:
        """As `add_text` does, of many in order."""
        hashes: list[str] = []

        def rows() -> Iterator[tuple[str, str]]:
            for text in texts:
                hashes.append(hashlib.sha256(text.encode()).hexdigest())
                yield hashes[-1], text

        self._db.sql_of_rows(
            *("INSERT INTO texts (sha256, text)", "(?, ?)"),
            rows(),
            "ON CONFLICT (sha256) DO NOTHING",
        )
        return hashes

    # -- claimed ----------------------------------------------------------------------------------

    def claim(
        self, offer: Offer, token: str, now: datetime, until: datetime
    ) -> tuple[Lease, str] | None:
        """Take the best build for this offer: bumped first, then priority, then the jobset that
        used least, then age. Answers the lease and the job's text. The setup step runs.
        """
        at = to_microseconds(now)
        taken = self._take(offer, [token, offer.worker, to_microseconds(until), at, at], at)
        if taken is None:
            return None
        build_id, lane, priority, attempt, jobset_id, text = taken
        # The jobset first: those who claim of it beside each other wait for each other here.
        self._lanes.charge(jobset_id, CLAIM_SECONDS, now)
        self._lanes.count_ready(lane, priority, -1)
        self._attempts.add(build_id, attempt, offer.worker, now)
        self._attempts.add_steps(
            build_id, attempt, [one["name"] for one in json.loads(text)["tasks"]], now
        )
        return Lease(build_id, attempt, token), text

    def is_paused(self, worker: str, now: datetime) -> bool:
        """Whether the whole queue, or this worker, takes no builds."""
        names = names_of(worker)
        question = _PAUSED.format(names=marks(names))
        row = self._db.sql(f"{question} LIMIT 1", (*names, to_microseconds(now))).fetchone()
        return row is not None

    def _take(self, offer: Offer, values: list[Any], at: int) -> tuple[Any, ...] | None:
        """The row of the best build, which is the worker's now; `values` are what it gets."""
        names = names_of(offer.worker)
        is_paused, is_bumped, is_avoided = self._db.sql(
            _BESIDE.format(names=marks(names)), (*names, at, offer.worker)
        ).fetchone()
        if is_paused:
            return None
        clause, wanted = _wanted(offer)
        lock = _LOCK if self._db.locks_rows else ""
        for question in filter(None, (is_bumped and _BUMPED, not is_avoided and _BEST, _ANY)):
            take = _TAKE.format(found=question.format(offer=clause, lock=lock))
            taken = self._db.sql(take, (*values, *wanted, offer.worker)).fetchone()
            if taken is not None:
                return tuple(taken)
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
        avoided: str = "",
    ) -> None:
        """The attempt was lost, or failed and is tried again: the build waits again, for another
        worker than the one that is to be `avoided` for now.
        """
        at = to_microseconds(now)
        self._attempts.end_attempt(build_id, attempt, status, loss.reason, loss.detail, at)
        count = f"lost_attempts = lost_attempts + {int(loss.counts)}"
        self._queue_again(build_id, now, count, avoided)
        self._gates.admit(build_id)

    def avoid_no_more(self, since: datetime, now: datetime) -> bool:
        """Builds that wait since then for another worker than their last one may be had by any.
        False when there are none.
        """
        rows = self._db.sql(
            "UPDATE builds SET avoided = '', updated_at = ? WHERE avoided != '' AND updated_at < ?"
            " RETURNING id",
            (to_microseconds(now), to_microseconds(since)),
        )
        return bool(rows.fetchall())

    def rerun(self, build_id: int, now: datetime) -> None:
        """A finished build waits again for a new attempt with the same pinned inputs."""
        self._db.sql(
            "UPDATE builds SET queued_at = ? WHERE id = ?", (to_microseconds(now), build_id)
        )
        self._queue_again(build_id, now, "lost_attempts = 0")
        self._gates.admit(build_id)

    def _queue_again(self, build_id: int, now: datetime, count: str, avoided: str = "") -> None:
        self._db.sql(
            "UPDATE builds SET status = 'queued', reason = '', detail = '',"
            f" waiting = '{ARRIVING}', canceled_by = '', token = '', worker = '',"
            " lease_until = NULL, started_at = NULL, finished_at = NULL, kept = 0,"
            f" updated_at = ?, avoided = ?, {count} WHERE id = ?",
            (to_microseconds(now), avoided, build_id),
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
        self,
        build_ids: Iterable[int],
        status: BuildStatus,
        reason: Reason,
        detail: str,
        now: datetime,
        *,
        canceled_by: str = "",
    ) -> list[int]:
        """End builds that nobody runs; answers those that ended now, in the order given: none that
        somebody runs, or that ended before. Each gets an attempt that never started, so that each
        end of a build is the end of one attempt.
        """
        at, ended = to_microseconds(now), list[int]()
        for some in in_pieces(build_ids):
            ready = self._db.sql(
                "SELECT lane_id, priority, COUNT(*) FROM builds"
                f" WHERE id IN ({marks(some)}) AND {_CLAIMABLE} GROUP BY lane_id, priority",
                some,
            ).fetchall()
            rows = self._db.sql(
                "UPDATE builds SET attempt = attempt + 1, status = ?, reason = ?, detail = ?,"
                " canceled_by = ?, finished_at = ?, updated_at = ?, bumped = 0"
                f" WHERE id IN ({marks(some)}) AND {_UNCLAIMED} RETURNING id",
                [status.value, reason.value, detail, canceled_by, at, at, *some],
            ).fetchall()
            for lane, priority, builds in ready:
                self._lanes.count_ready(lane, priority, -builds)
            found = {row[0] for row in rows}
            ended += [one for one in some if one in found]
        self._attempts.add_ended(ended)
        return ended

    def cancel_waiting(
        self, build_ids: Iterable[int], canceled_by: str, now: datetime
    ) -> list[int]:
        """Cancel builds that nobody runs; answers which were."""
        detail = f"canceled by {canceled_by} before it started"
        return self.end_waiting(
            build_ids,
            BuildStatus.CANCELED,
            Reason.CANCELED_BY,
            detail,
            now,
            canceled_by=canceled_by,
        )


def _wanted(offer: Offer) -> tuple[str, list[Any]]:
    """What a lane has to be for its builds to be offered, and the values of that."""
    clause = f"l.system IN ({marks(offer.systems)})"
    clause += " AND l.system NOT IN (SELECT name FROM systems WHERE active = 0)"
    values: list[Any] = list(offer.systems)
    if offer.images:
        clause += f" AND l.image IN ({marks(offer.images)})"
        values += offer.images
    if offer.queues:
        clause += f" AND l.system || '/' || l.trust IN ({marks(offer.queues)})"
        values += offer.queues
    if offer.projects:
        clause += f" AND j.project_id IN ({marks(offer.projects)})"
        values += offer.projects
    # What is left of the labels that are asked for, without those that the worker has.
    lacking = "l.runs_on"
    for _ in offer.labels:
        lacking = f"replace({lacking}, ?, '')"
    clause += f" AND {lacking} = ''"
    values += [label_text([one]) for one in offer.labels]
    return clause, values
