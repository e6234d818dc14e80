"""Job requests: every change that somebody asked for, with its outcome."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.account import Sight, Visibility
from ciserver.model.errors import NotFound
from ciserver.model.request import Action, JobRequest, RequestStatus
from ciserver.store import tables as t
from ciserver.store.database import Database

# In the statement's text, not as a parameter: so SQLite sees that the partial index answers it.
_PENDING = t.JobRequest.status == peewee.SQL("'pending'")


class Requests:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        action: Action,
        who: str,
        what: Mapping[str, Any],
        now: datetime,
        *,
        project_id: int | None = None,
        asked_as: str = "",
    ) -> int:
        """A request that waits to be performed."""
        return self._db.insert(
            t.JobRequest.insert(
                action=action,
                asked_as=asked_as,
                who=who,
                what=json.dumps(what, sort_keys=True),
                project=project_id,
                requested_at=now,
                status=RequestStatus.PENDING,
            )
        )

    def wait_for(self, request_id: int, evaluation_id: int) -> None:
        """The request is complete when that evaluation is."""
        self._db.change(
            t.JobRequest.update(evaluation=evaluation_id).where(t.JobRequest.id == request_id)
        )

    def list_waiting_for(self, evaluation_id: int) -> tuple[JobRequest, ...]:
        return tuple(_request(row) for row in self._db.usual(_waiting_for, evaluation_id))

    def drop_waiting(self, jobset_id: int, now: datetime) -> None:
        """What was asked of a jobset that is removed cannot be had any more."""
        mine = t.Evaluation.select(t.Evaluation.id).where(t.Evaluation.jobset == jobset_id)
        self._db.change(
            t.JobRequest.update(
                status=RequestStatus.FAILED, completed_at=now, message="its jobset was removed"
            ).where(_PENDING, t.JobRequest.evaluation << mine)
        )

    def complete(
        self,
        request_id: int,
        status: RequestStatus,
        now: datetime,
        *,
        message: str = "",
        created: Iterable[int] = (),
    ) -> None:
        self._db.change(
            t.JobRequest.update(
                status=status,
                completed_at=now,
                message=message,
                created=json.dumps(list(created)),
            ).where(t.JobRequest.id == request_id)
        )

    def oldest(self) -> JobRequest | None:
        """The oldest one that waits to be performed. Asked within the transaction that performs
        it, nobody else can have it: the next one to write waits until that is over.
        """
        row = self._db.row(
            t.JobRequest.select()
            .where(_PENDING, t.JobRequest.evaluation.is_null())
            .order_by(t.JobRequest.id)
        )
        return _request(row) if row else None

    def get(self, sight: Sight, request_id: int) -> JobRequest:
        row = self._db.row(_listed(sight).where(t.JobRequest.id == request_id))
        if row is None:
            raise NotFound(f"there is no job request {request_id}")
        return _request(row)

    def list_newest(
        self,
        sight: Sight,
        *,
        limit: int,
        offset: int = 0,
        actions: Iterable[Action] = (),
    ) -> tuple[JobRequest, ...]:
        """Newest first; of some actions where they are named."""
        query = _listed(sight).order_by(t.JobRequest.id.desc()).limit(limit).offset(offset)
        named = list(actions)
        if named:
            query = query.where(t.JobRequest.action << named)
        return tuple(_request(row) for row in self._db.rows(query))


def _listed(sight: Sight) -> Any:
    """Those about what everybody sees, about one's projects, and one's own."""
    query = t.JobRequest.select(t.JobRequest).join(t.Project, peewee.JOIN.LEFT_OUTER)
    if sight.everything:
        return query
    seen = (t.Project.visibility == Visibility.PUBLIC) | (t.Project.id << list(sight.projects))
    return query.where(seen | (t.JobRequest.who == sight.user) if sight.user else seen)


def _waiting_for(evaluation_id: int) -> Any:
    return t.JobRequest.select().where(_PENDING, t.JobRequest.evaluation == evaluation_id)


def _request(row: Mapping[str, Any]) -> JobRequest:
    return JobRequest(
        id=row["id"],
        action=Action(row["action"]),
        asked_as=row["asked_as"],
        who=row["who"],
        what=json.loads(row["what"]),
        requested_at=row["requested_at"],
        status=RequestStatus(row["status"]),
        completed_at=row["completed_at"],
        message=row["message"],
        created=tuple(json.loads(row["created"])),
    )
