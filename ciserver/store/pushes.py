"""Pushes as they came in: the memory that makes a repeated delivery harmless."""

import json
from collections.abc import Sequence
from datetime import datetime

import peewee

from ciserver.model.push import Push, PushOutcome, Received, RequestedEvaluation
from ciserver.model.view import IgnoredPush, PushedEvaluation
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.evaluations import evaluation_of, select_evaluations
from ciserver.store.fields import to_microseconds

_SAME = """
SELECT 1 AS place, id, ignored, outcome FROM pushes
WHERE project_id = ? AND door = ? AND delivery_id = ?
UNION ALL
SELECT 2, id, ignored, outcome FROM pushes
WHERE project_id = ? AND body_sha256 = ? AND received_at >= ?
ORDER BY place LIMIT 1"""


class Pushes:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, project_id: int, received: Received, *, since: datetime) -> PushOutcome | None:
        """The outcome of the same delivery: the same id, or the same body not before `since`."""
        delivery = (project_id, received.door, received.delivery_id)
        body = (project_id, received.body_sha256, to_microseconds(since))
        found = self._db.sql(_SAME, (*delivery, *body)).fetchone()
        return _outcome(*found[1:]) if found else None

    def add(self, project_id: int, received: Received, push: Push) -> int:
        return self._db.add_row(
            t.Push,
            project=project_id,
            door=received.door,
            delivery_id=received.delivery_id,
            body_sha256=received.body_sha256,
            received_at=received.received_at,
            pusher=push.pusher,
            refs=json.dumps([change.ref for change in push.changes]),
            outcome="{}",
        )

    def settle(self, outcome: PushOutcome) -> None:
        """Write down what became of the push."""
        text = json.dumps(
            {
                "evaluations": [[one.id, one.jobset, one.ref] for one in outcome.evaluations],
                "notes": outcome.notes,
            }
        )
        self._db.change_row(t.Push, outcome.id, outcome=text, ignored=outcome.ignored)

    def told(
        self, evaluation_ids: Sequence[int], *, most_builds: int
    ) -> tuple[PushedEvaluation, ...]:
        """What became of these few evaluations so far, each with its first builds."""
        rows = self._db.rows(
            select_evaluations()
            .where(t.Evaluation.id << list(evaluation_ids))
            .order_by(t.Evaluation.id)
        )
        return tuple(
            PushedEvaluation(evaluation_of(row), self._builds(row["id"], most_builds))
            for row in rows
        )

    def _builds(self, evaluation_id: int, limit: int) -> tuple[tuple[int, str], ...]:
        rows = self._db.rows(
            t.Build.select(t.Build.id, t.Build.job)
            .where(t.Build.evaluation == evaluation_id)
            .order_by(t.Build.id)
            .limit(limit)
        )
        return tuple((row["id"], row["job"]) for row in rows)

    def list_ignored(self, project_id: int, limit: int) -> tuple[IgnoredPush, ...]:
        rows = self._db.rows(
            t.Push.select()
            .where(t.Push.project == project_id, peewee.SQL("ignored != ''"))
            .order_by(t.Push.id.desc())
            .limit(limit)
        )
        return tuple(
            IgnoredPush(
                row["received_at"],
                row["door"],
                tuple(json.loads(row["refs"])),
                row["pusher"],
                row["ignored"],
            )
            for row in rows
        )


def _outcome(push_id: int, ignored: str, outcome: str) -> PushOutcome:
    stored = json.loads(outcome)
    return PushOutcome(
        id=push_id,
        evaluations=tuple(RequestedEvaluation(*one) for one in stored["evaluations"]),
        ignored=ignored,
        notes=tuple(stored["notes"]),
        is_known=True,
    )
