"""Jobsets with their inputs, and the secrets by which repositories are read (sealed)."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import peewee

from ciserver.model.account import Sight, Visibility
from ciserver.model.errors import AlreadyExists, NotFound
from ciserver.model.project import (
    DECLARING,
    Credential,
    Input,
    InputType,
    Jobset,
    JobsetMode,
    JobsetSettings,
    Project,
    ScriptDefaults,
)
from ciserver.model.schedule import PgoStrategy
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.projects import THERE
from ciserver.store.seal import Seal
from ciserver.store.sight import listed_projects


class Jobsets:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._db = database
        self._seal = seal

    def add(self, project: Project, name: str, settings: JobsetSettings) -> int:
        """A jobset without inputs. It takes its name as its branch where no other has it, and
        a slug that no other of the owner's jobsets has.
        """
        try:
            return self._db.insert(
                t.Jobset.insert(
                    project=project.id,
                    name=name,
                    branch=None if self._is_branch(name) else name,
                    slug=self._free_slug(project, name),
                    **_columns(settings),
                )
            )
        except peewee.IntegrityError as error:
            raise AlreadyExists(f"the project already has a jobset {name}") from error

    def _is_branch(self, name: str) -> bool:
        if name in _RESERVED_BRANCHES:
            return True
        taken = t.Jobset.select(t.Jobset.id).where(t.Jobset.branch == name)
        return self._db.scalar(taken.limit(1)) is not None

    def _free_slug(self, project: Project, name: str) -> str:
        mine = t.Jobset.select(t.Jobset.id).where(t.Jobset.project == project.id)
        there = (t.Jobset.removed == False) & (t.Jobset.name != DECLARING)  # noqa: E712
        is_first = name != DECLARING and self._db.scalar(mine.where(there).limit(1)) is None
        stem = project.name.removeprefix("~")
        wanted = stem if is_first else f"{stem}-{name}"
        taken = t.Jobset.select(t.Jobset.slug).join(t.Project)
        rows = self._db.rows(
            taken.where(
                t.Project.owner == project.owner,
                t.Jobset.slug.startswith(wanted),
                t.Jobset.removed == False,  # noqa: E712  an expression of SQL
            )
        )
        slugs = {row["slug"] for row in rows}
        return next(
            slug
            for number in itertools.count(1)
            if (slug := wanted if number == 1 else f"{wanted}-{number}") not in slugs
        )

    def change(self, jobset_id: int, name: str, settings: JobsetSettings) -> None:
        """Replace the jobset's name and settings. Raises AlreadyExists."""
        try:
            self._db.change(
                t.Jobset.update(name=name, **_columns(settings)).where(t.Jobset.id == jobset_id)
            )
        except peewee.IntegrityError as error:
            raise AlreadyExists(f"the project already has a jobset {name}") from error

    def remove(self, jobset_id: int) -> None:
        """Take it out of every list, and free its names."""
        self._remove(t.Jobset.id == jobset_id)

    def remove_of_project(self, project_id: int) -> None:
        """All of them."""
        self._remove(t.Jobset.project == project_id)

    def _remove(self, where: Any) -> None:
        # What is watched no more must not be found by its address.
        gone = t.Jobset.select(t.Jobset.id).where(where)
        self._db.change(t.Input.delete().where(t.Input.jobset << gone))
        self._db.change(
            t.Schedule.update(removed=True, next_due_at=None).where(t.Schedule.jobset << gone)
        )
        self._db.change(t.Jobset.update(removed=True, branch=None).where(where))

    def end_one_shot(self, jobset_id: int) -> None:
        """It was evaluated: one that was to be so once is off."""
        modes = (JobsetMode.OFF.value, jobset_id, JobsetMode.ONE_SHOT.value)
        self._db.sql("UPDATE jobsets SET mode = ? WHERE id = ? AND mode = ?", modes)

    def put_away(self, jobset_ids: Iterable[int]) -> None:
        """Switch them off and hide them."""
        self._db.change(
            t.Jobset.update(mode=JobsetMode.OFF, hidden=True, next_check_at=None).where(
                t.Jobset.id << list(jobset_ids)
            )
        )

    def set_pgo_strategy(self, jobset_id: int, strategy: PgoStrategy) -> None:
        self._db.change(t.Jobset.update(pgo_strategy=strategy).where(t.Jobset.id == jobset_id))

    def add_input(
        self, jobset_id: int, one: Input, *, repository_key: str, credential: Credential | None
    ) -> int:
        return self._db.insert(
            t.Input.insert(
                jobset=jobset_id,
                name=one.name,
                type=one.type,
                value=one.value,
                uri=one.uri,
                repository_key=repository_key,
                ref=one.ref,
                watch=json.dumps(one.watch),
                local=one.local,
                refresh_seconds=one.refresh_seconds,
                credential=self._close(credential),
            )
        )

    def remove_inputs(self, jobset_id: int) -> dict[str, Credential]:
        """Remove every input; answers the credentials they had, by address."""
        rows = self._db.rows(t.Input.select().where(t.Input.jobset == jobset_id))
        self._db.change(t.Input.delete().where(t.Input.jobset == jobset_id))
        found = {row["uri"]: self._open(row["credential"]) for row in rows}
        return {uri: one for uri, one in found.items() if one is not None}

    def get(self, jobset_id: int) -> Jobset:
        """Raises NotFound, also for one that was removed."""
        found = self.find(jobset_id)
        if found is None:
            raise NotFound(f"there is no jobset {jobset_id}")
        return found

    def find(self, jobset_id: int) -> Jobset | None:
        """None also for one that was removed."""
        row = self._db.usual_row(_by_id, jobset_id)
        if row is None:
            return None
        return _jobset(row, tuple(map(_input, self._db.usual(_inputs, jobset_id))))

    def find_settings(self, jobset_id: int) -> JobsetSettings | None:
        """None for one that was removed."""
        row = self._db.usual_row(_by_id, jobset_id)
        return _jobset(row, ()).settings if row else None

    def get_by_name(self, project: str, name: str) -> Jobset:
        found = self._jobsets((t.Project.name == project) & (t.Jobset.name == name))
        if not found:
            raise NotFound(f"there is no jobset {project}:{name}")
        return found[0]

    def get_by_branch(self, branch: str) -> Jobset:
        """The jobset of a branch name, or of PROJECT:JOBSET. Raises NotFound."""
        project, colon, name = branch.partition(":")
        if colon:
            return self.get_by_name(project, name)
        found = self._jobsets(t.Jobset.branch == branch)
        if not found:
            raise NotFound(f"there is no branch {branch}")
        return found[0]

    def list_all(self, sight: Sight, project: str | None = None) -> tuple[Jobset, ...]:
        seen = listed_projects(sight)
        return self._jobsets(seen & (t.Project.name == project) if project else seen)

    def list_of_owner(self, sight: Sight, owner: str) -> tuple[Jobset, ...]:
        return self._jobsets(listed_projects(sight) & (t.Project.owner == owner))

    def list_of_project(self, project_id: int) -> tuple[Jobset, ...]:
        inputs = self._db.usual(_inputs_of_project, project_id)
        return _with_inputs(self._db.usual(_of_project, project_id), inputs)

    def list_of_ids(self, jobset_ids: Iterable[int]) -> tuple[Jobset, ...]:
        """By project and name; those that were removed are left out."""
        return self._jobsets(t.Jobset.id << list(jobset_ids))

    def repository_keys(self, project: str) -> dict[str, list[int]]:
        """Normal form of each input's address -> the jobsets that have it as an input."""
        keys: dict[str, list[int]] = {}
        for row in self._db.usual(_repository_keys, project):
            keys.setdefault(row["repository_key"], []).append(row["jobset"])
        return keys

    def credential(self, jobset_id: int, uri: str) -> tuple[Credential | None, bool]:
        """How the jobset's input at this address is read, and whether it is a registered
        local one.
        """
        for row in self._db.usual(_inputs, jobset_id):
            if row["uri"] == uri:
                return self._open(row["credential"]), row["local"]
        return None, False

    def set_credential(self, jobset_id: int, repository_key: str, one: Credential) -> None:
        """How the jobset's input of that repository is read from now on."""
        self._db.change(
            t.Input.update(credential=self._close(one)).where(
                t.Input.jobset == jobset_id, t.Input.repository_key == repository_key
            )
        )

    def list_credentials(self, jobset_id: int) -> tuple[Credential, ...]:
        rows = self._db.usual(_credentials, jobset_id)
        return tuple(Credential(**json.loads(self._seal.open(row["credential"]))) for row in rows)

    def _close(self, credential: Credential | None) -> bytes | None:
        if credential is None:
            return None
        return self._seal.close(json.dumps(vars(credential)))

    def _open(self, sealed: bytes | None) -> Credential | None:
        return Credential(**json.loads(self._seal.open(sealed))) if sealed else None

    def _jobsets(self, where: Any) -> tuple[Jobset, ...]:
        rows = self._db.rows(_in_order(where))
        ids = [row["id"] for row in rows]
        inputs = t.Input.select().where(t.Input.jobset << ids).order_by(t.Input.id)
        return _with_inputs(rows, self._db.rows(inputs))


_RESERVED_BRANCHES = frozenset({"jobs", "branches", DECLARING})


def _columns(settings: JobsetSettings) -> dict[str, Any]:
    columns = asdict(settings)
    return {**columns, **columns.pop("script"), "recipe_path": json.dumps(settings.recipe_path)}


def _input(row: Mapping[str, Any]) -> Input:
    return Input(
        **{name: row[name] for name in ("name", "value", "uri", "ref", "refresh_seconds")},
        type=InputType(row["type"]),
        watch=tuple(json.loads(row["watch"])),
        local=bool(row["local"]),
    )


def _select_jobsets() -> Any:
    """Those that were not removed, with what `_jobset` needs of their projects."""
    return (
        t.Jobset.select(
            t.Jobset,
            t.Project.name.alias("project_name"),
            t.Project.owner,
            t.Project.enabled.alias("project_enabled"),
            t.Project.visibility,
        )
        .join(t.Project)
        .where(THERE, t.Jobset.removed == False)  # noqa: E712  an expression of SQL
    )


def _by_id(jobset_id: int) -> Any:
    return _select_jobsets().where(t.Jobset.id == jobset_id)


def _in_order(where: Any) -> Any:
    return _select_jobsets().where(where).order_by(t.Project.name, t.Jobset.name)


def _of_project(project_id: int) -> Any:
    return _in_order(t.Project.id == project_id)


def _inputs(jobset_id: int) -> Any:
    return t.Input.select().where(t.Input.jobset == jobset_id).order_by(t.Input.id)


def _inputs_of_project(project_id: int) -> Any:
    inputs = t.Input.select().join(t.Jobset).where(t.Jobset.project == project_id)
    return inputs.order_by(t.Input.id)


def _repository_keys(project: str) -> Any:
    return (
        t.Input.select(t.Input.repository_key, t.Input.jobset)
        .join(t.Jobset)
        .join(t.Project)
        .where(t.Project.name == project, THERE, t.Input.repository_key != "")
    )


def _credentials(jobset_id: int) -> Any:
    return t.Input.select(t.Input.credential).where(
        t.Input.jobset == jobset_id, t.Input.credential.is_null(is_null=False)
    )


def _with_inputs(
    rows: Iterable[Mapping[str, Any]], inputs: Iterable[Mapping[str, Any]]
) -> tuple[Jobset, ...]:
    of_jobset: dict[int, list[Input]] = {}
    for one in inputs:
        of_jobset.setdefault(one["jobset"], []).append(_input(one))
    return tuple(_jobset(row, tuple(of_jobset.get(row["id"], ()))) for row in rows)


def _jobset(row: Mapping[str, Any], inputs: tuple[Input, ...]) -> Jobset:
    return Jobset(
        id=row["id"],
        project_id=row["project"],
        project=row["project_name"],
        owner=row["owner"],
        name=row["name"],
        branch=row["branch"] or "",
        slug=row["slug"],
        inputs=inputs,
        pgo_strategy=PgoStrategy(row["pgo_strategy"]),
        project_enabled=bool(row["project_enabled"]),
        visibility=Visibility(row["visibility"]),
        paused=bool(row["paused"]),
        checked_at=row["checked_at"],
        settings=JobsetSettings(
            description=row["description"],
            mode=JobsetMode(row["mode"]),
            hidden=bool(row["hidden"]),
            recipe_input=row["recipe_input"],
            recipe_path=tuple(json.loads(row["recipe_path"])),
            check_interval_seconds=row["check_interval_seconds"],
            reuse_results=bool(row["reuse_results"]),
            shares=row["shares"],
            keep_evaluations=row["keep_evaluations"],
            tell_by_mail=bool(row["tell_by_mail"]),
            mail_to=row["mail_to"],
            script=ScriptDefaults(row["script"], row["parameters"], row["timeout_minutes"]),
        ),
    )
