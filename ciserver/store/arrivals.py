"""Builds that come into the queue together: one row each, and what only counts them once."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple, TypedDict

from ciserver.model.build import Job
from ciserver.model.evaluation import Evaluation
from ciserver.model.status import BuildStatus
from ciserver.store.database import Database
from ciserver.store.fields import to_microseconds
from ciserver.store.lanes import Lanes, label_text

_INSERT = """
INSERT INTO builds (number, id, evaluation_id, jobset_id, lane_id, job, job_sha256, recipe_sha256,
    group_id, rebuild_of, key, concurrency, waiting, system, image, trust, runs_on, status,
    priority, kind, ref, revision, requested_by, queued_at, updated_at, reason, detail, bumped,
    canceled_by, attempt, lost_attempts, avoided, token, worker, kept, deleted)"""
_ROW = f"""({", ".join("?" * 25)}, '', '', 0, '', 0, 0, '', '', '', 0, 0)"""
_COUNT = """
ON CONFLICT (jobset_id, job) DO UPDATE SET number = job_counters.number + excluded.number
RETURNING job, number"""


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
    """So many builds of one evaluation that come into the queue together. They have their ids at
    once, and are written together, by `settle`.
    """

    def __init__(
        self, database: Database, lanes: Lanes, evaluation: Evaluation, now: datetime, builds: int
    ) -> None:
        self._db = database
        self._lanes = lanes
        self._evaluation = evaluation
        self._at = to_microseconds(now)
        self._known: dict[tuple[str, str, str, str], int] = {}
        self._ready: Counter[tuple[int, int]] = Counter()
        self._ids = iter(database.numbers("builds", builds))
        self._rows: list[tuple[Any, ...]] = []
        self._jobs: list[str] = []

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
        build_id = next(self._ids)
        self._jobs.append(job.name)
        self._rows.append(
            (
                build_id,
                evaluation.id,
                evaluation.jobset_id,
                lane,
                job.name,
                texts.job,
                texts.recipe,
                group_id or build_id,
                rebuild_of,
                key,
                concurrency,
                waiting,
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
            )
        )
        if not held and not waiting:
            self._ready[lane, job.priority] += 1
        return build_id

    def _lane(self, job: Job) -> int:
        key = (job.system, job.image, self._evaluation.trust.value, label_text(job.runs_on))
        if key not in self._known:
            self._known[key] = self._lanes.get(self._evaluation.jobset_id, *key)
        return self._known[key]

    def settle(self) -> None:
        """Write them, and what is true of all of them."""
        if not self._rows:
            return
        numbered = zip(self._numbers(), self._rows, strict=True)
        self._db.sql_of_rows(_INSERT, _ROW, ((number, *row) for number, row in numbered))
        for (lane, priority), builds in self._ready.items():
            self._lanes.count_ready(lane, priority, builds)
        self._db.sql(
            "INSERT INTO requesters (name, builds) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE"
            " SET builds = requesters.builds + excluded.builds",
            (self._evaluation.requested_by, len(self._rows)),
        )

    def _numbers(self) -> Iterator[int]:
        """Which of its job each build is, in the jobset."""
        jobset_id, builds = self._evaluation.jobset_id, Counter(self._jobs)
        counted = self._db.sql_of_rows(
            *("INSERT INTO job_counters (jobset_id, job, number)", "(?, ?, ?)"),
            ((jobset_id, job, number) for job, number in builds.items()),
            _COUNT,
        )
        following = {job: count(last - builds[job] + 1) for job, last in counted}
        return (next(following[job]) for job in self._jobs)
