"""The systems that builds are made for, under numbers that never change."""

from ciserver.model.errors import NotFound
from ciserver.model.view import System
from ciserver.store import tables as t
from ciserver.store.database import Database


class Systems:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, name: str) -> None:
        """Know a system from now on; no effect when it is known."""
        self._db.insert(t.System.insert(name=name).on_conflict_ignore().as_rowcount())

    def list_all(self) -> tuple[System, ...]:
        return tuple(
            System(**row) for row in self._db.rows(t.System.select().order_by(t.System.id))
        )

    def get(self, system_id: int) -> System:
        row = self._db.row(t.System.select().where(t.System.id == system_id))
        if row is None:
            raise NotFound(f"there is no system {system_id}")
        return System(**row)
