"""Evaluations: requested, claimed, and saved with their pinned inputs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.errors import Complaint, NotFound
from ciserver.model.evaluation import Evaluation, Kind, PinnedInput, SkippedJob
from ciserver.model.status import EvaluationStatus
from ciserver.model.view import EvaluationPage
from ciserver.store import tables as t
from ciserver.store.database import Database

# In the statement's text, not as parameters: only so SQLite sees that the partial index answers it.
_OPEN = t.Evaluation.status << [peewee.SQL("'requested'"), peewee.SQL("'running'")]


class Evaluations:
    def __init__(self, database: Database) -> None:
        self._db = database

    def request(
        self,
        jobset_id: int,
        *,
        kind: Kind,
        ref: str,
        revision: str,
        options: tuple[str, ...],
        requested_by: str,
        push_id: int | None,
        now: datetime,
        schedule_id: int | None = None,
    ) -> int:
        """A new evaluation in state requested, or the one that already waits for the same thing.
        A firing of a schedule always gets its own.
        """
        waiting = schedule_id is None and self._db.scalar(
            t.Evaluation.select(t.Evaluation.id).where(
                t.Evaluation.status == "requested",
                _OPEN,
                t.Evaluation.schedule.is_null(),
                t.Evaluation.jobset == jobset_id,
                t.Evaluation.kind == kind,
                t.Evaluation.ref == ref,
                t.Evaluation.revision == revision,
                t.Evaluation.options == json.dumps(options),
            )
        )
        if waiting:
            return int(waiting)
        return self._db.insert(
            t.Evaluation.insert(
                jobset=jobset_id,
                push=push_id,
                schedule=schedule_id,
                number=self._next_number(jobset_id),
                status=EvaluationStatus.REQUESTED,
                kind=kind,
                ref=ref,
                revision=revision,
                options=json.dumps(options),
                requested_by=requested_by,
                requested_at=now,
            )
        )

    def _next_number(self, jobset_id: int) -> int:
        mine = t.Jobset.id == jobset_id
        made = t.Jobset.evaluations_made
        self._db.change(t.Jobset.update(evaluations_made=made + 1).where(mine))
        return int(self._db.scalar(t.Jobset.select(made).where(mine)))

    def claim(self, now: datetime, until: datetime) -> tuple[Evaluation, int] | None:
        """Take the oldest one that nobody works on; answers it and how often it was taken."""
        free = (t.Evaluation.status == "requested") | (t.Evaluation.claimed_until < now)
        row = self._db.row(
            t.Evaluation.select(t.Evaluation.id, t.Evaluation.tries)
            .where(_OPEN, free)
            .order_by(t.Evaluation.id)
        )
        if row is None:
            return None
        tries = row["tries"] + 1
        self._db.change(
            t.Evaluation.update(
                status=EvaluationStatus.RUNNING, started_at=now, claimed_until=until, tries=tries
            ).where(t.Evaluation.id == row["id"])
        )
        return self.get(row["id"]), tries

    def try_again(self, evaluation_id: int, at: datetime) -> None:
        """Leave it alone until then; it may be claimed again after."""
        self._db.change(
            t.Evaluation.update(claimed_until=at).where(t.Evaluation.id == evaluation_id)
        )

    def next_due(self) -> datetime | None:
        """When the next evaluation that is held back may be claimed."""
        row = self._db.row(
            t.Evaluation.select(t.Evaluation.claimed_until)
            .where(_OPEN, t.Evaluation.claimed_until.is_null(is_null=False))
            .order_by(t.Evaluation.claimed_until)
        )
        return row["claimed_until"] if row else None

    def release_all(self) -> int:
        """At start: what a killed server was working on is free again at once."""
        return self._db.change(
            t.Evaluation.update(status=EvaluationStatus.REQUESTED, claimed_until=None).where(
                _OPEN, t.Evaluation.status == "running"
            )
        )

    def finish(
        self,
        evaluation_id: int,
        status: EvaluationStatus,
        now: datetime,
        *,
        note: str = "",
        complaints: Iterable[Complaint] = (),
        skipped: Iterable[SkippedJob] = (),
        inputs: Iterable[PinnedInput] = (),
        **commit: Any,
    ) -> None:
        """Write the outcome; `commit` are subject, author and committed_at where known."""
        self._db.change(
            t.Evaluation.update(
                status=status,
                finished_at=now,
                claimed_until=None,
                note=note,
                complaints=json.dumps([asdict(one) for one in complaints]),
                skipped=json.dumps([asdict(one) for one in skipped]),
                **commit,
            ).where(t.Evaluation.id == evaluation_id)
        )
        rows = [{"evaluation": evaluation_id, **asdict(one)} for one in inputs]
        if rows:
            self._db.insert(t.PinnedInput.insert_many(rows).as_rowcount())

    def was_overtaken(self, evaluation: Evaluation) -> bool:
        """Whether the recipe of a later push to the same ref was read already."""
        mine = t.Evaluation
        was_read = (mine.status == EvaluationStatus.SUCCEEDED) | (mine.skipped != "[]")
        later = (mine.jobset == evaluation.jobset_id) & (mine.number > evaluation.number)
        query = mine.select(mine.id).where(
            later, was_read, mine.kind == evaluation.kind, mine.ref == evaluation.ref
        )
        return self._db.scalar(query.limit(1)) is not None

    def was_built(self, jobset_id: int, kind: Kind, revision: str) -> bool:
        """Whether builds of this kind were made of the revision."""
        mine = t.Evaluation
        return self._exists(
            (mine.jobset == jobset_id) & (mine.revision == revision), mine.kind == kind
        )

    def was_good(self, jobset_id: int, revision: str) -> bool:
        """Whether a push of the revision was built and every build of it succeeded."""
        mine = t.Evaluation
        return self._exists(
            (mine.jobset == jobset_id) & (mine.revision == revision),
            (mine.kind == Kind.PUSH) & (mine.builds_good == mine.builds_total),
        )

    def _exists(self, revision: Any, condition: Any) -> bool:
        mine = t.Evaluation
        query = mine.select(mine.id).where(revision, condition, mine.builds_total > 0)
        return self._db.scalar(query.limit(1)) is not None

    def count_builds(
        self, evaluation_id: int, *, total: int = 0, finished: int = 0, good: int = 0
    ) -> None:
        mine = t.Evaluation
        self._db.change(
            mine.update(
                builds_total=mine.builds_total + total,
                builds_finished=mine.builds_finished + finished,
                builds_good=mine.builds_good + good,
            ).where(mine.id == evaluation_id)
        )

    def get(self, evaluation_id: int) -> Evaluation:
        row = self._db.row(_select().where(t.Evaluation.id == evaluation_id))
        if row is None:
            raise NotFound(f"there is no evaluation {evaluation_id}")
        inputs = self._db.rows(
            t.PinnedInput.select(
                t.PinnedInput.name, t.PinnedInput.uri, t.PinnedInput.ref, t.PinnedInput.revision
            )
            .where(t.PinnedInput.evaluation == evaluation_id)
            .order_by(t.PinnedInput.id)
        )
        return _evaluation(row, tuple(PinnedInput(**one) for one in inputs))

    def list_of_jobset(self, jobset_id: int, *, before: int | None, limit: int) -> EvaluationPage:
        query = _select().where(t.Evaluation.jobset == jobset_id)
        if before is not None:
            query = query.where(t.Evaluation.number < before)
        rows = self._db.rows(query.order_by(t.Evaluation.number.desc()).limit(limit + 1))
        found = tuple(_evaluation(row) for row in rows[:limit])
        return EvaluationPage(found, found[-1].number if len(rows) > limit else None)

    def list_open(self, limit: int) -> tuple[Evaluation, ...]:
        rows = self._db.rows(_select().where(_OPEN).order_by(t.Evaluation.id).limit(limit))
        return tuple(_evaluation(row) for row in rows)

    def list_latest(self, jobset_ids: Iterable[int]) -> dict[int, Evaluation]:
        """The newest evaluation of each jobset."""
        rows = self._db.rows(
            _select().where(
                t.Evaluation.jobset << list(jobset_ids),
                t.Evaluation.number == t.Jobset.evaluations_made,
            )
        )
        return {row["jobset"]: _evaluation(row) for row in rows}


def _select() -> Any:
    return (
        t.Evaluation.select(
            t.Evaluation,
            t.Jobset.name.alias("jobset_name"),
            t.Project.name.alias("project_name"),
        )
        .join(t.Jobset)
        .join(t.Project)
    )


def _evaluation(row: Mapping[str, Any], inputs: tuple[PinnedInput, ...] = ()) -> Evaluation:
    return Evaluation(
        id=row["id"],
        jobset_id=row["jobset"],
        project=row["project_name"],
        jobset=row["jobset_name"],
        number=row["number"],
        status=EvaluationStatus(row["status"]),
        kind=Kind(row["kind"]),
        ref=row["ref"],
        revision=row["revision"],
        options=tuple(json.loads(row["options"])),
        schedule_id=row["schedule"],
        requested_by=row["requested_by"],
        requested_at=row["requested_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        subject=row["subject"],
        author=row["author"],
        committed_at=row["committed_at"],
        note=row["note"],
        complaints=tuple(Complaint(**one) for one in json.loads(row["complaints"])),
        skipped=tuple(SkippedJob(**one) for one in json.loads(row["skipped"])),
        inputs=inputs,
        builds_total=row["builds_total"],
        builds_finished=row["builds_finished"],
        builds_good=row["builds_good"],
    )
