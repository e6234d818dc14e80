"""Projects, and the secrets that belong to them (sealed)."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.account import Sight, Visibility
from ciserver.model.errors import AlreadyExists, NotFound
from ciserver.model.project import Declaration, InputType, Project, ProjectSettings
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.seal import Seal
from ciserver.store.sight import listed_projects


class Projects:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._db = database
        self._seal = seal
        # By project: the hook secrets as they are stored, and opened. The key is in memory as well.
        self._opened: dict[str, tuple[tuple[bytes, ...], tuple[str, ...]]] = {}

    # -- projects ---------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        owner: str,
        settings: ProjectSettings,
        *,
        signing_secret: str,
        now: datetime,
    ) -> int:
        try:
            return self._db.insert(
                t.Project.insert(
                    name=name,
                    owner=owner,
                    signing_secret=self._seal.close(signing_secret),
                    created_at=now,
                    **_columns(settings),
                )
            )
        except peewee.IntegrityError as error:
            raise name_taken(name) from error

    def change(self, project_id: int, name: str, owner: str, settings: ProjectSettings) -> None:
        """Replace the project's name, owner and settings. Raises AlreadyExists."""
        try:
            self._db.change(
                t.Project.update(name=name, owner=owner, **_columns(settings)).where(
                    t.Project.id == project_id
                )
            )
        except peewee.IntegrityError as error:
            raise name_taken(name) from error

    def set_declared_by(self, project_id: int, evaluation_id: int | None) -> None:
        """Name the evaluation whose declarations are in force; None: no file declares any."""
        self._db.change(
            t.Project.update(declared_by=evaluation_id).where(t.Project.id == project_id)
        )

    def remove(self, project_id: int) -> None:
        """Take it out of every list, and free its name. Its jobsets go first."""
        self._db.change(t.Project.update(removed=True).where(t.Project.id == project_id))

    def find(self, name: str) -> Project | None:
        row = self._db.usual_row(_by_name, name)
        return project_of(row) if row else None

    def find_by_id(self, project_id: int) -> Project | None:
        row = self._db.row(t.Project.select().where(t.Project.id == project_id, THERE))
        return project_of(row) if row else None

    def find_of_jobset(self, jobset_id: int) -> Project | None:
        """The project of a jobset; None when either was removed."""
        row = self._db.usual_row(_of_jobset, jobset_id)
        return project_of(row) if row else None

    def get(self, name: str) -> Project:
        project = self.find(name)
        if project is None:
            raise no_project(name)
        return project

    def list_all(self, sight: Sight) -> tuple[Project, ...]:
        query = t.Project.select().where(listed_projects(sight)).order_by(t.Project.name)
        return tuple(project_of(row) for row in self._db.rows(query))

    def signing_secret(self, name: str) -> str:
        """Also by an old name, since what waits to be sent may know no other. Raises NotFound."""
        secret = t.Project.select(t.Project.signing_secret)
        sealed = self._db.scalar(secret.where(t.Project.name == name, THERE))
        if sealed is None:
            renamed = secret.join(t.ProjectRename, on=t.ProjectRename.project == t.Project.id)
            sealed = self._db.scalar(renamed.where(t.ProjectRename.name == name, THERE))
        if sealed is None:
            raise NotFound(f"there is no project {name}")
        return self._seal.open(sealed)

    def add_hook_secret(self, project_id: int, secret: str, now: datetime) -> int:
        return self._db.insert(
            t.HookSecret.insert(project=project_id, sealed=self._seal.close(secret), created_at=now)
        )

    def hook_secrets(self, project: str) -> tuple[str, ...]:
        """Every secret in force, oldest first; empty for a project that is not there."""
        sealed = tuple(bytes(row["sealed"]) for row in self._db.usual(_hook_secrets, project))
        known = self._opened.get(project)
        if known is None or known[0] != sealed:
            self._opened.pop(project, None)
            known = sealed, tuple(map(self._seal.open, sealed))
            if sealed:
                self._opened[project] = known
        return known[1]


def name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"there is already a project {name}", hint="choose another name")


def no_project(name: str) -> NotFound:
    """The same words for one that is not there and for one that somebody may not see."""
    return NotFound(f"there is no project {name}", hint="see: ciserver list projects")


THERE = t.Project.removed == False  # noqa: E712  an expression of SQL


# The columns that `project_of` takes.
READ = (
    *("id", "name", "owner", "created_at", "declared_by"),
    *("display_name", "description", "homepage", "enabled", "hidden", "visibility"),
    *("declaration_file", "declaration_type", "declaration_value"),
)


def _by_name(name: str) -> Any:
    return t.Project.select().where(t.Project.name == name, THERE)


def _hook_secrets(project: str) -> Any:
    secrets = t.HookSecret.select(t.HookSecret.sealed).join(t.Project)
    return secrets.where(t.Project.name == project, THERE).order_by(t.HookSecret.id)


def _of_jobset(jobset_id: int) -> Any:
    there = t.Jobset.removed == False  # noqa: E712  an expression of SQL
    return t.Project.select().join(t.Jobset).where(t.Jobset.id == jobset_id, there, THERE)


def _columns(settings: ProjectSettings) -> dict[str, Any]:
    columns = asdict(settings)
    declaration = columns.pop("declaration")
    return {**columns, **{f"declaration_{name}": one for name, one in declaration.items()}}


def project_of(row: Mapping[str, Any]) -> Project:
    return Project(
        id=row["id"],
        name=row["name"],
        owner=row["owner"],
        created_at=row["created_at"],
        settings=ProjectSettings(
            display_name=row["display_name"],
            description=row["description"],
            homepage=row["homepage"],
            enabled=bool(row["enabled"]),
            hidden=bool(row["hidden"]),
            visibility=Visibility(row["visibility"]),
            declaration=Declaration(
                row["declaration_file"],
                InputType(row["declaration_type"]),
                row["declaration_value"],
            ),
        ),
        declared_by=row["declared_by"],
    )
