"""The systems that builds are made for, under numbers that never change."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import peewee

from ciserver.model.errors import NotFound
from ciserver.model.view import System
from ciserver.store import tables as t
from ciserver.store.database import Database

_INACTIVE = t.System.active == False  # noqa: E712  an expression of SQL


class Systems:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, *names: str) -> None:
        """Know these systems from now on; no effect on those that are known."""
        for name in names:
            self._db.insert(t.System.insert(name=name).on_conflict_ignore().as_rowcount())

    def list_all(self) -> tuple[System, ...]:
        rows = self._db.rows(t.System.select().order_by(t.System.id))
        return tuple(map(_system, rows))

    def get(self, system_id: int) -> System:
        """Raises NotFound."""
        return self._found(t.System.id == system_id, system_id)

    def get_by_name(self, name: str) -> System:
        """Raises NotFound."""
        return self._found(t.System.name == name, name)

    def _found(self, condition: Any, wanted: object) -> System:
        row = self._db.row(t.System.select().where(condition))
        if row is None:
            raise NotFound(f"there is no system {wanted}", hint="see: ciserver system list")
        return _system(row)

    def change(self, system: System) -> None:
        """Give the system of this number what is stated here, but for its name."""
        self._db.change(
            t.System.update(
                active=system.active,
                labels=json.dumps(dict(system.labels)),
                images=json.dumps(system.images),
            ).where(t.System.id == system.id)
        )

    def remove(self, system_id: int) -> None:
        self._db.change(t.System.delete().where(t.System.id == system_id))

    def is_used(self, name: str) -> bool:
        """Whether anything was built for a system, or some jobset chose it."""
        return any(
            self._db.scalar(table.select(peewee.Value(1)).where(table.system == name).limit(1))
            for table in (t.Lane, t.SourceSystem)
        )

    def inactive(self, names: Iterable[str] | None = None) -> frozenset[str]:
        """Those that are not active, of these or of all."""
        query = t.System.select(t.System.name).where(_INACTIVE)
        if names is not None:
            query = query.where(t.System.name << list(names))
        return frozenset(row["name"] for row in self._db.rows(query))


def _system(row: Mapping[str, Any]) -> System:
    return System(
        row["id"],
        row["name"],
        active=bool(row["active"]),
        labels=json.loads(row["labels"]),
        images=tuple(json.loads(row["images"])),
    )
