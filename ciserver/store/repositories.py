"""Which projects and jobsets have a repository as an input, found by its normal form."""

from collections.abc import Iterable
from typing import Any

from ciserver.model.account import Sight
from ciserver.model.project import InputType
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.sight import listed_projects


class Repositories:
    def __init__(self, database: Database) -> None:
        self._db = database

    def projects_of(self, keys: Iterable[str]) -> tuple[str, ...]:
        """The names of the projects that are fed with one of these repositories."""
        query = t.Project.select(t.Project.name).where(t.Project.removed == False)  # noqa: E712
        rows = self._db.rows(_with_input(query.join(t.Jobset), list(keys)).distinct())
        return tuple(sorted(row["name"] for row in rows))

    def jobsets_of(self, sight: Sight, key: str) -> tuple[int, ...]:
        """The jobsets of listed projects that are fed with this repository."""
        query = t.Jobset.select(t.Jobset.id).join(t.Project).where(listed_projects(sight))
        query = query.switch(t.Jobset)
        return tuple(row["id"] for row in self._db.rows(_with_input(query, [key]).distinct()))


def _with_input(query: Any, keys: list[str]) -> Any:
    return query.join(t.Input, on=t.Input.jobset == t.Jobset.id).where(
        t.Jobset.removed == False,  # noqa: E712  an expression of SQL
        t.Input.type == InputType.GIT,
        t.Input.repository_key << keys,
        t.Input.repository_key != "",
    )
