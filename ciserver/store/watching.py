"""What a project watches: all that is asked of it by a push, in one question."""

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import peewee

from ciserver.model.project import JobsetMode
from ciserver.model.watching import WatchedInput, WatchingJobset, WatchingProject
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.projects import THERE, no_project


class Watching:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, project: str) -> WatchingProject:
        """Raises NotFound."""
        rows = self._db.usual(_watching, project)
        if not rows:
            raise no_project(project)
        jobsets = groupby(rows, itemgetter("jobset")) if rows[0]["jobset"] else ()
        return WatchingProject(
            rows[0]["id"], project, rows[0]["enabled"], tuple(_jobset(some) for _, some in jobsets)
        )


def _jobset(inputs: Iterable[Mapping[str, Any]]) -> WatchingJobset:
    rows = list(inputs)
    first, watched = rows[0], tuple(_input(row) for row in rows if row["input"])
    return WatchingJobset(
        id=first["jobset"],
        name=first["jobset_name"],
        mode=JobsetMode(first["mode"]),
        source=next((one for one in watched if one.name == first["recipe_input"]), None),
        inputs=watched,
    )


def _input(row: Mapping[str, Any]) -> WatchedInput:
    return WatchedInput(
        row["input"], row["ref"], tuple(json.loads(row["watch"])), row["repository_key"]
    )


def _watching(project: str) -> Any:
    outer = peewee.JOIN.LEFT_OUTER
    is_there = t.Jobset.removed == False  # noqa: E712  an expression of SQL
    return (
        t.Project.select(
            t.Project.id,
            t.Project.enabled,
            t.Jobset.id.alias("jobset"),
            t.Jobset.name.alias("jobset_name"),
            t.Jobset.mode,
            t.Jobset.recipe_input,
            t.Input.name.alias("input"),
            t.Input.ref,
            t.Input.watch,
            t.Input.repository_key,
        )
        .join(t.Jobset, outer, on=(t.Jobset.project == t.Project.id) & is_there)
        .join(t.Input, outer, on=t.Input.jobset == t.Jobset.id)
        .where(t.Project.name == project, THERE)
        .order_by(t.Jobset.name, t.Input.id)
    )
