"""What the servers of a database have claimed, and how it is free again when one is dead."""

from collections.abc import Iterable
from typing import Any

import peewee

from ciserver.model.status import EvaluationStatus
from ciserver.store import tables as t
from ciserver.store.database import Database

# As the indexes have it, so that SQLite sees that they may be used.
_EVALUATED = peewee.SQL("status IN ('requested', 'running')") & peewee.SQL("status = 'running'")
_SENT = peewee.SQL("status = 'pending' AND claimed_until IS NOT NULL")


class Claims:
    """`node` is this one."""

    def __init__(self, database: Database, node: str) -> None:
        self._db = database
        self._node = node

    def nodes(self) -> set[str]:
        """Whoever evaluates or delivers something, or was killed meanwhile."""
        return self._names(t.Evaluation, _EVALUATED) | self._names(t.Delivery, _SENT)

    def holds_evaluation(self, evaluation_id: int) -> bool:
        """Whether this node evaluates it: one that was believed dead may find that another does."""
        mine = (t.Evaluation.id == evaluation_id) & (t.Evaluation.claimed_by == self._node)
        query = t.Evaluation.select(t.Evaluation.id).where(mine, t.Evaluation.status == "running")
        return self._db.scalar(query) is not None

    def release_evaluations(self, *, alive: Iterable[str] = ()) -> int:
        """What nodes evaluate, but for these, is free again at once; answers how many."""
        free = t.Evaluation.update(status=EvaluationStatus.REQUESTED, claimed_until=None)
        others = t.Evaluation.claimed_by.not_in(list(alive))
        return self._db.change(free.where(_EVALUATED, others))

    def release_deliveries(self, *, alive: Iterable[str] = ()) -> int:
        """What nodes send, but for these, is due again at once; answers how much."""
        due = t.Delivery.update(claimed_until=None)
        return self._db.change(due.where(_SENT, t.Delivery.claimed_by.not_in(list(alive))))

    def _names(self, table: Any, claimed: Any) -> set[str]:
        query = table.select(table.claimed_by).where(claimed).distinct()
        return {row["claimed_by"] for row in self._db.rows(query)}
