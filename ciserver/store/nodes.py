"""The servers of a database that are alive, and which files and keys they say they have."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ciserver.model.node import Node
from ciserver.store import tables as t
from ciserver.store.database import Database


class Nodes:
    """Each writes its own row, as often as it is alive, so none waits for a writer's turn."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def beat(self, node: Node, now: datetime, until: datetime) -> bool:
        """It is alive until then. False when another one has its name, and is alive."""
        mine = t.Node
        written = (
            mine.insert(**asdict(node), until=until)
            .on_conflict(
                conflict_target=[mine.name],
                preserve=[mine.place, mine.storage, mine.signs_with, mine.until],
                where=(mine.place == node.place) | (mine.until < now),
            )
            .as_rowcount()
        )
        return bool(self._db.change(written))

    def list_alive(self, now: datetime) -> tuple[Node, ...]:
        rows = self._db.rows(t.Node.select().where(t.Node.until >= now).order_by(t.Node.name))
        return tuple(_node(row) for row in rows)

    def remove(self, node: Node) -> None:
        """It is alive no more."""
        mine = (t.Node.name == node.name) & (t.Node.place == node.place)
        self._db.change(t.Node.delete().where(mine))

    def forget(self, before: datetime) -> None:
        """Those that have been dead since then."""
        self._db.change(t.Node.delete().where(t.Node.until < before))


def _node(row: Mapping[str, Any]) -> Node:
    return Node(row["name"], row["place"], row["storage"], row["signs_with"])
