"""Evaluations: requested, claimed, and saved with their pinned inputs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.account import Sight, Visibility
from ciserver.model.errors import Complaint, NotFound
from ciserver.model.evaluation import NO_WISH, Evaluation, Kind, PinnedInput, SkippedJob, Wish
from ciserver.model.project import InputType
from ciserver.model.push import Trust
from ciserver.model.status import EvaluationStatus
from ciserver.model.view import EvaluationPage
from ciserver.store import tables as t
from ciserver.store.database import Database, in_pieces
from ciserver.store.fields import to_microseconds
from ciserver.store.sight import listed_evaluations

# In the statement's text, not as parameters: only so SQLite sees that the partial index answers it.
_OPEN = t.Evaluation.status << [peewee.SQL("'requested'"), peewee.SQL("'running'")]

_WAITING = """
SELECT id FROM evaluations
WHERE status = 'requested' AND status IN ('requested', 'running') AND schedule_id IS NULL
    AND jobset_id = ? AND kind = ? AND ref = ? AND revision = ? AND options = ? AND wish = ?
"""
_CLAIM = """
UPDATE evaluations SET status = 'running', started_at = ?, claimed_until = ?, claimed_by = ?,
    tries = tries + 1
WHERE id = (
    SELECT id FROM evaluations
    WHERE status IN ('requested', 'running') AND (status = 'requested' OR claimed_until < ?)
    ORDER BY id LIMIT 1
) RETURNING id, tries
"""


class Evaluations:
    """`node` claims, among the servers of the database."""

    def __init__(self, database: Database, node: str) -> None:
        self._db = database
        self._node = node

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
        trust: Trust = Trust.TRUSTED,
        wish: Wish = NO_WISH,
        base_revision: str = "",
        visibility: Visibility = Visibility.PUBLIC,
    ) -> int:
        """A new evaluation in state requested, or the one that already waits for the same thing.
        A firing of a schedule always gets its own.
        """
        same = (jobset_id, kind.value, ref, revision, json.dumps(options), _wish_text(wish))
        waiting = None if schedule_id else self._db.sql(_WAITING, same).fetchone()
        if waiting:
            return int(waiting[0])
        return self._db.add_row(
            t.Evaluation,
            jobset=jobset_id,
            push=push_id,
            schedule=schedule_id,
            number=self._next(jobset_id),
            status=EvaluationStatus.REQUESTED,
            kind=kind,
            ref=ref,
            revision=revision,
            base_revision=base_revision,
            options=json.dumps(options),
            requested_by=requested_by,
            requested_at=now,
            trust=trust,
            visibility=visibility,
            wish=_wish_text(wish),
        )

    def add_submitted(
        self, jobset_id: int, *, requested_by: str, visibility: Visibility, now: datetime, note: str
    ) -> int:
        """The evaluation of something that was submitted as a whole: there is nothing to read."""
        return self._db.insert(
            t.Evaluation.insert(
                jobset=jobset_id,
                number=self._next(jobset_id),
                status=EvaluationStatus.SUCCEEDED,
                kind=Kind.API,
                ref="",
                revision="",
                requested_by=requested_by,
                requested_at=now,
                started_at=now,
                pinned_at=now,
                finished_at=now,
                subject=note,
                visibility=visibility,
                wish=_wish_text(NO_WISH),
            )
        )

    def add_input(self, evaluation_id: int, one: PinnedInput) -> None:
        """Write down what a build found; once, however often it is told."""
        known = t.PinnedInput.select(t.PinnedInput.id).where(
            t.PinnedInput.evaluation == evaluation_id, t.PinnedInput.name == one.name
        )
        if self._db.scalar(known) is None:
            self._db.insert(t.PinnedInput.insert(evaluation=evaluation_id, **asdict(one)))

    def set_revision(self, evaluation_id: int, ref: str, revision: str) -> None:
        """Name the revision of a submitted evaluation, and of its builds."""
        self._db.change(
            t.Evaluation.update(ref=ref, revision=revision).where(t.Evaluation.id == evaluation_id)
        )
        self._db.change(
            t.Build.update(ref=ref, revision=revision).where(t.Build.evaluation == evaluation_id)
        )

    def _next(self, jobset_id: int) -> int:
        """The number of one more evaluation of the jobset."""
        return int(
            self._db.sql(
                "UPDATE jobsets SET evaluations_made = evaluations_made + 1 WHERE id = ?"
                " RETURNING evaluations_made",
                (jobset_id,),
            ).fetchone()[0]
        )

    def claim(self, now: datetime, until: datetime) -> tuple[Evaluation, int] | None:
        """Take the oldest one that nobody works on; answers it and how often it was taken."""
        at = to_microseconds(now)
        claimed = self._db.sql(_CLAIM, (at, to_microseconds(until), self._node, at)).fetchall()
        return next(((self.get(one), tries) for one, tries in claimed), None)

    def try_again(self, evaluation_id: int, at: datetime) -> None:
        """Leave alone until then what this node claimed; it may be claimed again after."""
        self._db.change(
            t.Evaluation.update(claimed_until=at).where(
                t.Evaluation.id == evaluation_id, t.Evaluation.claimed_by == self._node
            )
        )

    def next_due(self) -> datetime | None:
        """When the next evaluation that is held back may be claimed."""
        rows = self._db.usual(_due)
        return rows[0]["claimed_until"] if rows else None

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
        """Write the outcome; `commit` are subject, author, committed_at, pinned_at where known."""
        self._db.change_row(
            t.Evaluation,
            evaluation_id,
            status=status,
            finished_at=now,
            claimed_until=None,
            note=note,
            complaints=json.dumps([asdict(one) for one in complaints]),
            skipped=json.dumps([asdict(one) for one in skipped]),
            **commit,
        )
        for one in inputs:
            self._db.add_row(t.PinnedInput, evaluation=evaluation_id, **asdict(one))

    def tell(self, evaluation_id: int, note: str, complaints: Iterable[Complaint]) -> None:
        """What became known of it after it ended."""
        self._db.change(
            t.Evaluation.update(
                note=note, complaints=json.dumps([asdict(one) for one in complaints])
            ).where(t.Evaluation.id == evaluation_id)
        )

    def drop_open(self, jobset_id: int, now: datetime) -> None:
        """End what was requested and is not evaluated yet: nobody wants it any more."""
        self._db.change(
            t.Evaluation.update(
                status=EvaluationStatus.SKIPPED,
                finished_at=now,
                claimed_until=None,
                note="its jobset was removed",
            ).where(_OPEN, t.Evaluation.jobset == jobset_id)
        )

    def add_reuses(self, evaluation_id: int, build_ids: Iterable[int]) -> None:
        """Earlier builds whose results stand for jobs of this evaluation."""
        rows = ((evaluation_id, one) for one in dict.fromkeys(build_ids))
        for some in in_pieces(rows, 1_000):  # a statement takes only so many values
            query = t.Reuse.insert_many(some, (t.Reuse.evaluation, t.Reuse.build))
            self._db.insert(query.as_rowcount())

    def reused_ids(self, evaluation_id: int) -> tuple[int, ...]:
        return tuple(row["build"] for row in self._db.usual(_reused, evaluation_id))

    def is_open(self, evaluation_id: int) -> bool:
        return self._db.usual_row(_open, evaluation_id) is not None

    def count_builds(
        self, evaluation_id: int, *, total: int = 0, finished: int = 0, good: int = 0
    ) -> None:
        if total:
            self._number_built(evaluation_id)
        self._db.sql(
            "UPDATE evaluations SET builds_total = builds_total + ?,"
            " builds_finished = builds_finished + ?, builds_good = builds_good + ? WHERE id = ?",
            (total, finished, good, evaluation_id),
        )

    def _number_built(self, evaluation_id: int) -> None:
        """It is the next one of its jobset that made builds, unless it is counted already."""
        counted = self._db.sql(
            "UPDATE jobsets SET evaluations_built = evaluations_built + 1 WHERE id ="
            " (SELECT jobset_id FROM evaluations WHERE id = ? AND built_number IS NULL)"
            " RETURNING evaluations_built",
            (evaluation_id,),
        )
        for (number,) in counted.fetchall():
            self._db.change_row(t.Evaluation, evaluation_id, built_number=number)

    def get(self, evaluation_id: int) -> Evaluation:
        found = self.get_without_inputs(evaluation_id)
        return replace(found, inputs=pinned_inputs(self._db, [evaluation_id])[evaluation_id])

    def get_without_inputs(self, evaluation_id: int) -> Evaluation:
        """For the way of each build, which is not asked what it was made from."""
        row = self._db.usual_row(_by_id, evaluation_id)
        if row is None:
            raise NotFound(f"there is no evaluation {evaluation_id}")
        return evaluation_of(row)

    def list_of_jobset(
        self, sight: Sight, jobset_id: int, *, before: int | None, limit: int
    ) -> EvaluationPage:
        query = select_evaluations().where(
            t.Evaluation.jobset == jobset_id, listed_evaluations(sight)
        )
        if before is not None:
            query = query.where(t.Evaluation.number < before)
        rows = self._db.rows(query.order_by(t.Evaluation.number.desc()).limit(limit + 1))
        found = tuple(evaluation_of(row) for row in rows[:limit])
        return EvaluationPage(found, found[-1].number if len(rows) > limit else None)

    def list_open(self, sight: Sight, limit: int) -> tuple[Evaluation, ...]:
        query = select_evaluations().where(_OPEN, listed_evaluations(sight))
        rows = self._db.rows(query.order_by(t.Evaluation.id).limit(limit))
        return tuple(evaluation_of(row) for row in rows)

    def list_latest(self, sight: Sight, jobset_ids: Iterable[int]) -> dict[int, Evaluation]:
        """The newest evaluation of each jobset that may be listed."""
        other = t.Evaluation.alias()
        newest = (
            other.select(other.number)
            .where(other.jobset == t.Jobset.id, listed_evaluations(sight, other))
            .order_by(other.number.desc())
            .limit(1)
        )
        rows = self._db.rows(
            select_evaluations().where(
                t.Jobset.id << list(jobset_ids), t.Evaluation.number == newest
            )
        )
        return {row["jobset"]: evaluation_of(row) for row in rows}


def _wish_text(wish: Wish) -> str:
    return json.dumps(vars(wish), sort_keys=True)


def _wish(text: str) -> Wish:
    told = json.loads(text)
    return Wish(
        tuple(told.get("jobs", ())),
        told.get("environment", {}),
        told.get("priority"),
        told.get("revisions", {}),
        told.get("script", False),
    )


def _reused(evaluation_id: int) -> Any:
    mine = t.Reuse
    return mine.select(mine.build).where(mine.evaluation == evaluation_id).order_by(mine.build)


def _due() -> Any:
    held = t.Evaluation.select(t.Evaluation.claimed_until).where(
        _OPEN, t.Evaluation.claimed_until.is_null(is_null=False)
    )
    return held.order_by(t.Evaluation.claimed_until).limit(1)


def _open(evaluation_id: int) -> Any:
    return t.Evaluation.select(t.Evaluation.id).where(t.Evaluation.id == evaluation_id, _OPEN)


def _by_id(evaluation_id: int) -> Any:
    return select_evaluations().where(t.Evaluation.id == evaluation_id)


def select_evaluations() -> Any:
    """Evaluations with what `evaluation_of` needs of the rows that they belong to."""
    return (
        t.Evaluation.select(
            t.Evaluation,
            t.Jobset.name.alias("jobset_name"),
            t.Project.name.alias("project_name"),
        )
        .join(t.Jobset)
        .join(t.Project)
    )


def pinned_inputs(
    database: Database, evaluation_ids: list[int]
) -> dict[int, tuple[PinnedInput, ...]]:
    """What each of these evaluations was made from."""
    if len(evaluation_ids) == 1:
        rows = database.usual(_inputs, *evaluation_ids)
    else:
        rows = database.rows(_inputs(*evaluation_ids))
    found: dict[int, list[PinnedInput]] = {one: [] for one in evaluation_ids}
    for row in rows:
        found[row["evaluation"]].append(
            PinnedInput(
                name=row["name"],
                uri=row["uri"],
                ref=row["ref"],
                revision=row["revision"],
                type=InputType(row["type"]),
                value=row["value"],
            )
        )
    return {key: tuple(inputs) for key, inputs in found.items()}


def _inputs(*ids: int) -> Any:
    return t.PinnedInput.select().where(t.PinnedInput.evaluation << ids).order_by(t.PinnedInput.id)


def evaluation_of(row: Mapping[str, Any], inputs: tuple[PinnedInput, ...] = ()) -> Evaluation:
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
        pinned_at=row["pinned_at"],
        trust=Trust(row["trust"]),
        base_revision=row["base_revision"],
        visibility=Visibility(row["visibility"]),
        wish=_wish(row["wish"]),
    )
