"""What jobsets say of the sources that are sent in to them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ciserver.model.source import SourceSettings, SourceSystem
from ciserver.store import tables as t
from ciserver.store.database import Database


class SourceProjects:
    def __init__(self, database: Database) -> None:
        self._db = database

    # -- settings ---------------------------------------------------------------------------------

    def settings(self, jobset_ids: Iterable[int]) -> dict[int, SourceSettings]:
        """Those of the jobsets that have some."""
        mine = t.SourceSettings
        rows = self._db.rows(mine.select().where(mine.jobset << list(jobset_ids)))
        return {row["jobset"]: _settings(row) for row in rows}

    def set_settings(self, jobset_id: int, settings: SourceSettings) -> None:
        self._put(jobset_id, settings=json.dumps(asdict(settings)))

    def _put(self, jobset_id: int, **values: Any) -> None:
        mine = t.SourceSettings
        self._db.insert(
            mine.insert(jobset=jobset_id, **values)
            .on_conflict(conflict_target=[mine.jobset], update=values)
            .as_rowcount()
        )

    # -- systems ----------------------------------------------------------------------------------

    def systems(self, jobset_id: int) -> tuple[SourceSystem, ...] | None:
        """The systems that the jobset chose, by name; None when it never did."""
        mine = t.SourceSettings
        if not self._db.scalar(mine.select(mine.chosen).where(mine.jobset == jobset_id)):
            return None
        chosen = t.SourceSystem
        query = chosen.select().where(chosen.jobset == jobset_id).order_by(chosen.system)
        return tuple(map(_system, self._db.rows(query)))

    def choose(self, jobset_id: int, systems: Iterable[str]) -> None:
        """From now on it is these; those that it has already stay as they are."""
        self._put(jobset_id, chosen=True)
        for name in systems:
            query = t.SourceSystem.insert(jobset=jobset_id, system=name).on_conflict_ignore()
            self._db.insert(query.as_rowcount())

    def put_system(self, jobset_id: int, system: SourceSystem) -> None:
        """Write down one of the systems that it chose."""
        mine = t.SourceSystem
        values = {
            mine.packages: json.dumps(system.packages),
            mine.comps: system.comps,
            mine.comps_name: system.comps_name,
        }
        whose = {mine.jobset: jobset_id, mine.system: system.system}
        self._db.insert(
            mine.insert({**whose, **values})
            .on_conflict(conflict_target=[mine.jobset, mine.system], update=values)
            .as_rowcount()
        )

    def remove_system(self, jobset_id: int, name: str) -> None:
        mine = t.SourceSystem
        self._db.change(mine.delete().where(mine.jobset == jobset_id, mine.system == name))


def _settings(row: Mapping[str, Any]) -> SourceSettings:
    told = json.loads(row["settings"])
    return SourceSettings(**{**told, "repositories": tuple(told.get("repositories", ()))})


def _system(row: Mapping[str, Any]) -> SourceSystem:
    return SourceSystem(
        row["system"], tuple(json.loads(row["packages"])), row["comps"], row["comps_name"]
    )
