"""Builds that come into the queue together: one row each, and what only counts them once."""

from collections import Counter
from datetime import datetime
from typing import NamedTuple, TypedDict

from ciserver.model.build import Job
from ciserver.model.evaluation import Evaluation
from ciserver.model.status import BuildStatus
from ciserver.store.database import Database
from ciserver.store.fields import to_microseconds
from ciserver.store.lanes import Lanes, label_text

_INSERT = """
INSERT INTO builds (evaluation_id, jobset_id, lane_id, job, job_sha256, recipe_sha256, group_id,
    rebuild_of, key, concurrency, waiting, number, system, image, trust, runs_on, status, reason,
    detail, priority, bumped, kind, ref, revision, requested_by, canceled_by, attempt,
    lost_attempts, avoided, token, worker, kept, deleted, queued_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, 0, ?, ?, ?, ?, '', 0, 0, '',
    '', '', 0, 0, ?, ?)
RETURNING id"""


class Texts(NamedTuple):
    """The SHA-256 of a job as text, and of the recipe that it was written in, if it was."""

    job: str
    recipe: str | None = None


class Terms(TypedDict, total=False):
    """On what terms a build comes into the queue, where they are not the usual ones."""

    held: bool
    group_id: int | None
    rebuild_of: int | None
    key: str
    concurrency: str
    waiting: str


class Arrivals:
    """Builds of one evaluation that come into the queue together. What only counts them, or is the
    same for all, is written once, by `settle`.
    """

    def __init__(
        self, database: Database, lanes: Lanes, evaluation: Evaluation, now: datetime
    ) -> None:
        self._db = database
        self._lanes = lanes
        self._evaluation = evaluation
        self._at = to_microseconds(now)
        self._known: dict[tuple[str, str, str, str], int] = {}
        self._ready: Counter[tuple[int, int]] = Counter()
        self._made: list[int] = []

    def add(
        self,
        job: Job,
        texts: Texts,
        *,
        held: bool = False,
        group_id: int | None = None,
        rebuild_of: int | None = None,
        key: str = "",
        concurrency: str = "",
        waiting: str = "",
    ) -> int:
        """As `Queue.add` does."""
        status = BuildStatus.HELD if held else BuildStatus.QUEUED
        evaluation, lane = self._evaluation, self._lane(job)
        (number,) = self._db.sql(
            "INSERT INTO job_counters (jobset_id, job, number) VALUES (?, ?, 1)"
            " ON CONFLICT (jobset_id, job) DO UPDATE SET number = job_counters.number + 1"
            " RETURNING number",
            (evaluation.jobset_id, job.name),
        ).fetchone()
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
                label_text(job.runs_on),
                status.value,
                job.priority,
                evaluation.kind.value,
                evaluation.ref,
                evaluation.revision,
                evaluation.requested_by,
                self._at,
                self._at,
            ),
        ).fetchone()
        self._made.append(build_id)
        if not held and not waiting:
            self._ready[lane, job.priority] += 1
        return int(build_id)

    def _lane(self, job: Job) -> int:
        key = (job.system, job.image, self._evaluation.trust.value, label_text(job.runs_on))
        if key not in self._known:
            self._known[key] = self._lanes.get(self._evaluation.jobset_id, *key)
        return self._known[key]

    def settle(self) -> None:
        """Write down what is true of all that were added."""
        if not self._made:
            return
        self._db.sql(
            "UPDATE builds SET group_id = id WHERE evaluation_id = ? AND id >= ? AND group_id = 0",
            (self._evaluation.id, self._made[0]),
        )
        for (lane, priority), builds in self._ready.items():
            self._lanes.count_ready(lane, priority, builds)
        self._db.sql(
            "INSERT INTO requesters (name, builds) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE"
            " SET builds = requesters.builds + excluded.builds",
            (self._evaluation.requested_by, len(self._made)),
        )
