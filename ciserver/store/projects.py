"""Projects, their jobsets and inputs, and the secrets that belong to them (sealed)."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.errors import AlreadyExists, NotFound
from ciserver.model.project import Credential, Input, Jobset, Project
from ciserver.model.schedule import PgoStrategy
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.seal import Seal


class Projects:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._db = database
        self._seal = seal

    def add(self, name: str, *, description: str, signing_secret: str, now: datetime) -> int:
        try:
            return self._db.insert(
                t.Project.insert(
                    name=name,
                    description=description,
                    signing_secret=self._seal.close(signing_secret),
                    created_at=now,
                )
            )
        except peewee.IntegrityError as error:
            raise AlreadyExists(f"there is already a project {name}") from error

    def find(self, name: str) -> Project | None:
        row = self._db.row(_PROJECTS.where(t.Project.name == name))
        return Project(**row) if row else None

    def get(self, name: str) -> Project:
        project = self.find(name)
        if project is None:
            raise NotFound(f"there is no project {name}", hint="see: ciserver list projects")
        return project

    def list_all(self) -> tuple[Project, ...]:
        return tuple(Project(**row) for row in self._db.rows(_PROJECTS.order_by(t.Project.name)))

    def signing_secret(self, name: str) -> str:
        sealed = self._db.scalar(
            t.Project.select(t.Project.signing_secret).where(t.Project.name == name)
        )
        if sealed is None:
            raise NotFound(f"there is no project {name}")
        return self._seal.open(sealed)

    def add_hook_secret(self, project_id: int, secret: str, now: datetime) -> int:
        return self._db.insert(
            t.HookSecret.insert(project=project_id, sealed=self._seal.close(secret), created_at=now)
        )

    def hook_secrets(self, project: str) -> tuple[str, ...]:
        """Every secret in force, oldest first; empty for a project that is not there."""
        rows = self._db.rows(
            t.HookSecret.select(t.HookSecret.sealed)
            .join(t.Project)
            .where(t.Project.name == project)
            .order_by(t.HookSecret.id)
        )
        return tuple(self._seal.open(row["sealed"]) for row in rows)

    def add_jobset(
        self, project_id: int, name: str, *, recipe_input: str, recipe_path: Iterable[str]
    ) -> int:
        try:
            return self._db.insert(
                t.Jobset.insert(
                    project=project_id,
                    name=name,
                    recipe_input=recipe_input,
                    recipe_path=json.dumps(list(recipe_path)),
                )
            )
        except peewee.IntegrityError as error:
            raise AlreadyExists(f"the project already has a jobset {name}") from error

    def set_pgo_strategy(self, jobset_id: int, strategy: PgoStrategy) -> None:
        self._db.change(t.Jobset.update(pgo_strategy=strategy).where(t.Jobset.id == jobset_id))

    def add_input(
        self, jobset_id: int, one: Input, *, repository_key: str, credential: Credential | None
    ) -> int:
        return self._db.insert(
            t.Input.insert(
                jobset=jobset_id,
                name=one.name,
                uri=one.uri,
                repository_key=repository_key,
                ref=one.ref,
                watch=json.dumps(one.watch),
                local=one.local,
                credential=self._close(credential),
            )
        )

    def get_jobset(self, jobset_id: int) -> Jobset:
        found = self._jobsets(t.Jobset.id == jobset_id)
        if not found:
            raise NotFound(f"there is no jobset {jobset_id}")
        return found[0]

    def find_jobset(self, project: str, name: str) -> Jobset:
        found = self._jobsets((t.Project.name == project) & (t.Jobset.name == name))
        if not found:
            raise NotFound(f"there is no jobset {project}:{name}")
        return found[0]

    def list_jobsets(self, project: str | None = None) -> tuple[Jobset, ...]:
        return self._jobsets(t.Project.name == project if project else t.Jobset.id > 0)

    def repository_keys(self, project: str) -> dict[str, list[int]]:
        """Normal form of each input's address -> the jobsets that have it as an input."""
        rows = self._db.rows(
            t.Input.select(t.Input.repository_key, t.Input.jobset)
            .join(t.Jobset)
            .join(t.Project)
            .where(t.Project.name == project)
        )
        keys: dict[str, list[int]] = {}
        for row in rows:
            keys.setdefault(row["repository_key"], []).append(row["jobset"])
        return keys

    def credential(self, jobset_id: int, uri: str) -> tuple[Credential | None, bool]:
        """How the jobset's input at this address is read, and whether it is a registered
        local one.
        """
        row = self._db.row(
            t.Input.select(t.Input.credential, t.Input.local).where(
                t.Input.jobset == jobset_id, t.Input.uri == uri
            )
        )
        if row is None:
            return None, False
        return self._open(row["credential"]), bool(row["local"])

    def set_credential(self, jobset_id: int, repository_key: str, one: Credential) -> None:
        """How the jobset's input of that repository is read from now on."""
        self._db.change(
            t.Input.update(credential=self._close(one)).where(
                t.Input.jobset == jobset_id, t.Input.repository_key == repository_key
            )
        )

    def list_credentials(self, jobset_id: int) -> tuple[Credential, ...]:
        rows = self._db.rows(
            t.Input.select(t.Input.credential).where(
                t.Input.jobset == jobset_id, t.Input.credential.is_null(is_null=False)
            )
        )
        return tuple(Credential(**json.loads(self._seal.open(row["credential"]))) for row in rows)

    def _close(self, credential: Credential | None) -> bytes | None:
        if credential is None:
            return None
        return self._seal.close(json.dumps(vars(credential)))

    def _open(self, sealed: bytes | None) -> Credential | None:
        return Credential(**json.loads(self._seal.open(sealed))) if sealed else None

    def _jobsets(self, where: Any) -> tuple[Jobset, ...]:
        rows = self._db.rows(
            t.Jobset.select(t.Jobset, t.Project.name.alias("project_name"))
            .join(t.Project)
            .where(where)
            .order_by(t.Project.name, t.Jobset.name)
        )
        inputs: dict[int, list[Input]] = {row["id"]: [] for row in rows}
        for row in self._db.rows(
            t.Input.select().where(t.Input.jobset << list(inputs)).order_by(t.Input.id)
        ):
            inputs[row["jobset"]].append(_input(row))
        return tuple(_jobset(row, tuple(inputs[row["id"]])) for row in rows)


_PROJECTS = t.Project.select(
    t.Project.id,
    t.Project.name,
    t.Project.description,
    t.Project.enabled,
    t.Project.created_at,
)


def _input(row: Mapping[str, Any]) -> Input:
    return Input(
        name=row["name"],
        uri=row["uri"],
        ref=row["ref"],
        watch=tuple(json.loads(row["watch"])),
        local=bool(row["local"]),
    )


def _jobset(row: Mapping[str, Any], inputs: tuple[Input, ...]) -> Jobset:
    return Jobset(
        id=row["id"],
        project_id=row["project"],
        project=row["project_name"],
        name=row["name"],
        enabled=bool(row["enabled"]),
        pgo_strategy=PgoStrategy(row["pgo_strategy"]),
        recipe_input=row["recipe_input"],
        recipe_path=tuple(json.loads(row["recipe_path"])),
        inputs=inputs,
    )
