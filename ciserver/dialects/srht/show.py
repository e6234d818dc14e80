"""Values as builds.sr.ht's JSON."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from ciserver.dialects.srht.words import STATE, TASK_STATE
from ciserver.model.build import Build, Job, Product
from ciserver.model.job_group import JobGroupView
from ciserver.model.links import Links
from ciserver.model.status import StepStatus
from ciserver.model.view import BuildView, Submitted

PAGE = 50

One = TypeVar("One")


def job(one: Submitted, made_of: Job, base: str) -> dict[str, Any]:
    build = one.build
    return {
        "id": build.id,
        "status": STATE[build.status],
        "setup_log": f"{base}/logs/{build.id}/log" if _has_worker(one) else None,
        "tasks": list(_tasks(one, made_of, base)),
        "note": one.note or build.subject or None,
        "runner": build.worker or None,
        "tags": "/".join(one.tags) or None,
        "owner": _owner(build.requested_by or build.project),
    }


def group(view: JobGroupView) -> dict[str, Any]:
    return {
        "id": view.group.id,
        "note": view.group.note or None,
        "owner": _owner(view.group.owner),
        "jobs": [{"id": one.id, "status": STATE[one.status]} for one in view.builds],
    }


def artifact(one: Product, build: Build, links: Links) -> dict[str, Any]:
    return {
        "id": one.id,
        "created": _moment(build.finished_at or build.updated_at),
        "path": one.path,
        "name": one.name,
        "url": links.product(build.id, one.id, one.name),
        "size": one.size,
    }


def page(results: Sequence[dict[str, Any]], following: int | None, total: int) -> dict[str, Any]:
    return {
        "next": None if following is None else str(following),
        "results": list(results),
        "total": total,
        "results_per_page": PAGE,
    }


def page_of(
    every: Sequence[One], show: Callable[[One], dict[str, Any]], start: int | None
) -> dict[str, Any]:
    """The page of a whole list that begins at the id `start`, the highest id first."""
    shown = sorted(map(show, every), key=lambda one: int(one["id"]), reverse=True)
    rest = [one for one in shown if start is None or one["id"] <= start]
    following = rest[PAGE]["id"] if len(rest) > PAGE else None
    return page(rest[:PAGE], following, len(shown))


def submitted(view: BuildView) -> Submitted:
    return Submitted(view.build, view.steps, view.note, view.tags)


def _tasks(one: Submitted, made_of: Job, base: str) -> Iterator[dict[str, Any]]:
    if _has_worker(one):
        for step in one.steps:
            if step.number:
                log = f"{base}/logs/{step.build_id}/{quote(step.name, safe='')}/log"
                yield {"name": step.name, "status": TASK_STATE[step.status], "log": log}
        return
    # A rerun that waits has tasks of an earlier attempt, which say nothing about this one.
    for task in made_of.tasks:
        yield {"name": task.name, "status": TASK_STATE[StepStatus.PENDING], "log": None}


def _has_worker(one: Submitted) -> bool:
    return bool(one.steps) and not one.build.status.is_waiting


def _owner(name: str) -> dict[str, str]:
    return {"canonical_name": f"~{name}", "name": name}


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")
