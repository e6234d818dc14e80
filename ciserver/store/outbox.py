"""The outbox: what must leave the house waits here, written with the fact that caused it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.account import Sight
from ciserver.model.delivery import Delivery, DeliveryTry
from ciserver.model.errors import NotFound
from ciserver.model.event import BuildFinished, Event, event_from_json
from ciserver.model.status import DeliveryStatus
from ciserver.store import tables as t
from ciserver.store.database import Database, marks
from ciserver.store.fields import to_microseconds


class Outbox:
    """`node` claims, among the servers of the database."""

    def __init__(self, database: Database, node: str) -> None:
        self._db = database
        self._node = node

    def add_once(
        self,
        delivery_id: str,
        *,
        dedupe_key: str,
        action: str,
        target: str,
        options: Mapping[str, Any],
        event: Event,
        now: datetime,
        skipped: str = "",
    ) -> None:
        """Write a delivery, unless one with this key is there; with a reason for which it is
        `skipped`, it is never sent.
        """
        values = {
            "id": delivery_id,
            **{f"{name}_id": number for name, number in event.about.items()},
            "attempt": event.attempt if isinstance(event, BuildFinished) else 0,
            "dedupe_key": dedupe_key,
            "action": action,
            "target": target,
            "options": json.dumps(dict(options)),
            "event": event.to_json(),
            "status": (DeliveryStatus.SKIPPED if skipped else DeliveryStatus.PENDING).value,
            "tries": 0,
            "due_at": to_microseconds(now),
            "claimed_by": "",
            "created_at": to_microseconds(now),
            "detail": skipped,
        }
        self._db.sql(
            f"INSERT INTO deliveries ({', '.join(values)}) VALUES ({marks(tuple(values))})"  # noqa: S608  our own words
            " ON CONFLICT DO NOTHING",
            tuple(values.values()),
        )

    def claim(self, now: datetime, until: datetime) -> Delivery | None:
        """Take the delivery that is due longest; nobody else gets it before `until`."""
        row = self._db.row(
            t.Delivery.select()
            .where(
                t.Delivery.status == "pending",
                t.Delivery.due_at <= now,
                t.Delivery.claimed_until.is_null() | (t.Delivery.claimed_until < now),
            )
            .order_by(t.Delivery.due_at)
        )
        if row is None:
            return None
        claimed = t.Delivery.update(claimed_until=until, claimed_by=self._node)
        self._db.change(claimed.where(t.Delivery.id == row["id"]))
        return _delivery(row)

    def next_due(self) -> datetime | None:
        """When the next delivery that nobody is sending is due."""
        row = self._db.row(
            t.Delivery.select(t.Delivery.due_at)
            .where(t.Delivery.status == "pending", t.Delivery.claimed_until.is_null())
            .order_by(t.Delivery.due_at)
        )
        return row["due_at"] if row else None

    def settle(
        self,
        tried: DeliveryTry,
        *,
        status: DeliveryStatus,
        due_at: datetime | None = None,
    ) -> None:
        """Write down one try and what it means for the delivery. Tries are numbered here: when a
        person sent it again meanwhile, two are under way.
        """
        made = peewee.fn.COUNT(t.DeliveryTry.number)
        mine = t.DeliveryTry.delivery == tried.delivery_id
        number = 1 + int(self._db.scalar(t.DeliveryTry.select(made).where(mine)))
        changes: dict[str, Any] = {
            "status": status,
            "tries": number,
            "detail": tried.detail,
            "claimed_until": None,
        }
        if due_at is not None:
            changes["due_at"] = due_at
        if status is DeliveryStatus.SENT:
            changes["sent_at"] = tried.at
        self._db.change(t.Delivery.update(**changes).where(t.Delivery.id == tried.delivery_id))
        self._db.insert(
            t.DeliveryTry.insert(
                delivery=tried.delivery_id,
                number=number,
                at=tried.at,
                ok=tried.ok,
                detail=tried.detail,
                duration_seconds=tried.duration_seconds,
            ).as_rowcount()
        )

    def resend(self, delivery_id: str, now: datetime) -> None:
        """Due again at once, whatever became of it; the id stays."""
        self._db.change(
            t.Delivery.update(status=DeliveryStatus.PENDING, due_at=now, claimed_until=None).where(
                t.Delivery.id == delivery_id
            )
        )

    def get(self, delivery_id: str) -> Delivery:
        row = self._db.row(t.Delivery.select().where(t.Delivery.id == delivery_id))
        if row is None:
            raise NotFound(
                f"there is no delivery {delivery_id}", hint="see: ciserver delivery list"
            )
        return _delivery(row)

    def list_newest(self, sight: Sight, limit: int) -> tuple[Delivery, ...]:
        """Only of one's own projects: whom a build tells is not everybody's business."""
        query = t.Delivery.select(t.Delivery)
        if not sight.everything:
            own = t.Jobset.select(t.Jobset.id).where(t.Jobset.project << list(sight.projects))
            query = (
                query.join(t.Build, peewee.JOIN.LEFT_OUTER)
                .switch(t.Delivery)
                .join(
                    t.Evaluation,
                    peewee.JOIN.LEFT_OUTER,
                    on=t.Delivery.evaluation == t.Evaluation.id,
                )
                .where((t.Build.jobset << own) | (t.Evaluation.jobset << own))
            )
        newest = query.order_by(t.Delivery.created_at.desc(), t.Delivery.id.desc())
        rows = self._db.rows(newest.limit(limit))
        return tuple(_delivery(row) for row in rows)

    def list_of_build(self, build_id: int) -> tuple[Delivery, ...]:
        return tuple(_delivery(row) for row in self._db.usual(_of_build, build_id))

    def list_tries(self, delivery_id: str) -> tuple[DeliveryTry, ...]:
        rows = self._db.rows(
            t.DeliveryTry.select()
            .where(t.DeliveryTry.delivery == delivery_id)
            .order_by(t.DeliveryTry.number)
        )
        return tuple(
            DeliveryTry(
                row["delivery"],
                row["number"],
                row["at"],
                bool(row["ok"]),
                row["detail"],
                row["duration_seconds"],
            )
            for row in rows
        )

    def count_pending(self) -> int:
        return int(
            self._db.scalar(
                t.Delivery.select(peewee.fn.COUNT(t.Delivery.id)).where(
                    t.Delivery.status == "pending"
                )
            )
        )


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        id=row["id"],
        action=row["action"],
        target=row["target"],
        options=json.loads(row["options"]),
        event=event_from_json(row["event"]),
        status=DeliveryStatus(row["status"]),
        tries=row["tries"],
        due_at=row["due_at"],
        created_at=row["created_at"],
        sent_at=row["sent_at"],
        detail=row["detail"],
    )


def _of_build(build_id: int) -> Any:
    mine = t.Delivery
    return mine.select().where(mine.build == build_id).order_by(mine.created_at, mine.id)
