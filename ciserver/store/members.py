"""Who has rights in which project, and what was shared by name."""

import json
from collections.abc import Iterable
from typing import Any

from ciserver.model.account import Member, Right
from ciserver.store import tables as t
from ciserver.store.database import Database


class Members:
    def __init__(self, database: Database) -> None:
        self._db = database

    def rights(self, project_id: int, user: str) -> frozenset[Right]:
        """What a member may do; nothing for somebody who is none."""
        row = self._db.usual_row(_rights_of, project_id, user)
        return _rights(row["rights"]) if row else frozenset()

    def list_of_project(self, project_id: int) -> tuple[Member, ...]:
        rows = self._db.rows(
            t.Member.select().where(t.Member.project == project_id).order_by(t.Member.user)
        )
        return tuple(Member(row["user"], _rights(row["rights"])) for row in rows)

    def set(self, project_id: int, user: str, rights: Iterable[Right]) -> None:
        """Give exactly these rights; none at all ends the membership."""
        text = json.dumps(sorted(rights))
        self._db.change(
            t.Member.delete().where(t.Member.project == project_id, t.Member.user == user)
        )
        if text != "[]":
            self._db.insert(t.Member.insert(project=project_id, user=user, rights=text))

    def projects_of(self, user: str) -> tuple[int, ...]:
        """Every project that the user owns or is a member of."""
        owned = t.Project.select(t.Project.id).where(t.Project.owner == user)
        joined = t.Member.select(t.Member.project.alias("id")).where(t.Member.user == user)
        return tuple(sorted(row["id"] for row in self._db.rows(owned | joined)))

    def share(self, evaluation_id: int, user: str, *, may_write: bool) -> None:
        """Let one more person see, or also change, what an evaluation built."""
        self._db.insert(
            t.Grant.insert(evaluation=evaluation_id, user=user, may_write=may_write)
            .on_conflict(
                conflict_target=[t.Grant.evaluation, t.Grant.user],
                update={t.Grant.may_write: may_write},
            )
            .as_rowcount()
        )

    def may_write_shared(self, evaluation_id: int, user: str) -> bool | None:
        """Whether what was shared may also be changed; None where nothing was shared."""
        row = self._db.usual_row(_grant, evaluation_id, user)
        return bool(row["may_write"]) if row else None


def _rights_of(project_id: int, user: str) -> Any:
    mine = t.Member
    return mine.select(mine.rights).where(mine.project == project_id, mine.user == user)


def _grant(evaluation_id: int, user: str) -> Any:
    mine = t.Grant
    return mine.select(mine.may_write).where(mine.evaluation == evaluation_id, mine.user == user)


def _rights(text: str) -> frozenset[Right]:
    return frozenset(Right(one) for one in json.loads(text))
