"""Pushes as they came in: the memory that makes a repeated delivery harmless."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.push import Push, PushOutcome, Received, RequestedEvaluation
from ciserver.model.view import IgnoredPush, PushedEvaluation
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.evaluations import evaluation_of, select_evaluations


class Pushes:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, project_id: int, received: Received, *, since: datetime) -> PushOutcome | None:
        """The outcome of the same delivery: the same id, or the same body not before `since`."""
        same_id = (t.Push.door == received.door) & (t.Push.delivery_id == received.delivery_id)
        same_body = (t.Push.body_sha256 == received.body_sha256) & (t.Push.received_at >= since)
        for same in (same_id, same_body):
            row = self._db.row(t.Push.select().where(t.Push.project == project_id, same))
            if row is not None:
                return _outcome(row)
        return None

    def add(self, project_id: int, received: Received, push: Push) -> int:
        return self._db.insert(
            t.Push.insert(
                project=project_id,
                door=received.door,
                delivery_id=received.delivery_id,
                body_sha256=received.body_sha256,
                received_at=received.received_at,
                pusher=push.pusher,
                refs=json.dumps([change.ref for change in push.changes]),
                outcome="{}",
            )
        )

    def settle(self, outcome: PushOutcome) -> None:
        """Write down what became of the push."""
        text = json.dumps(
            {
                "evaluations": [[one.id, one.jobset, one.ref] for one in outcome.evaluations],
                "notes": outcome.notes,
            }
        )
        self._db.change(
            t.Push.update(outcome=text, ignored=outcome.ignored).where(t.Push.id == outcome.id)
        )

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


def _outcome(row: dict[str, Any]) -> PushOutcome:
    stored = json.loads(row["outcome"])
    return PushOutcome(
        id=row["id"],
        evaluations=tuple(RequestedEvaluation(*one) for one in stored["evaluations"]),
        ignored=row["ignored"],
        notes=tuple(stored["notes"]),
        is_known=True,
    )
