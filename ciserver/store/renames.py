"""What projects and jobsets were once called. Only what is there is found."""

from typing import Any

from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.projects import THERE


class Renames:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add_project(self, project_id: int, old: str) -> None:
        """The project is not called so any more; whatever else was before it is forgotten."""
        self._db.insert(
            t.ProjectRename.insert(name=old, project=project_id)
            .on_conflict(
                conflict_target=[t.ProjectRename.name],
                update={t.ProjectRename.project: project_id},
            )
            .as_rowcount()
        )

    def forget_project(self, name: str) -> None:
        """A project is called so now: whoever asks for the name means that one."""
        self._db.change(t.ProjectRename.delete().where(t.ProjectRename.name == name))

    def find_project(self, name: str) -> str | None:
        """What the project that was once called so is called now."""
        return self._name(
            t.ProjectRename.select(t.Project.name)
            .join(t.Project)
            .where(t.ProjectRename.name == name, THERE)
        )

    def add_jobset(self, project_id: int, jobset_id: int, old: str) -> None:
        mine = t.JobsetRename
        self._db.insert(
            mine.insert(project=project_id, name=old, jobset=jobset_id)
            .on_conflict(conflict_target=[mine.project, mine.name], update={mine.jobset: jobset_id})
            .as_rowcount()
        )

    def forget_jobset(self, project_id: int, name: str) -> None:
        mine = t.JobsetRename
        self._db.change(mine.delete().where(mine.project == project_id, mine.name == name))

    def find_jobset(self, project_id: int, name: str) -> str | None:
        mine = t.JobsetRename
        return self._name(
            mine.select(t.Jobset.name)
            .join(t.Jobset, on=mine.jobset == t.Jobset.id)
            .where(
                mine.project == project_id,
                mine.name == name,
                t.Jobset.removed == False,  # noqa: E712
            )
        )

    def _name(self, query: Any) -> str | None:
        row = self._db.row(query)
        return str(row["name"]) if row else None
