"""What webhooks are told in the words of builds.sr.ht: a job, or a group of them, that ended."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ciserver.dialects.srht.words import STATE, TASK_STATE
from ciserver.model.build import SETUP
from ciserver.model.event import BuildFinished, Event, GroupFinished
from ciserver.model.status import BuildStatus, StepStatus

_LONGEST_NOTE = 4096
_MOST_TASKS = 100  # a receiver that wants more than these asks for the job


def webhook_keys(event: Event, *, base: str) -> dict[str, Any]:
    """The keys of a job as GET would show it, without its tags; none for other events. `base` is
    the address of this server.
    """
    match event:
        case BuildFinished():
            return _job(event, base)
        case GroupFinished():
            return _group(event)
        case _:
            return {}


def _job(event: BuildFinished, base: str) -> dict[str, Any]:
    return {
        "id": event.build_id,
        "status": STATE[BuildStatus(event.status)],
        "setup_log": f"{base}/logs/{event.build_id}/log" if event.steps else None,
        "tasks": list(_tasks(event, base))[:_MOST_TASKS],
        "note": _text(event.note or event.subject),
        "runner": event.worker or None,
        "owner": _owner(event.requested_by or event.project),
    }


def _tasks(event: BuildFinished, base: str) -> Iterator[dict[str, Any]]:
    for step in event.steps:
        if step.name != SETUP:
            log = f"{base}/logs/{event.build_id}/{quote(step.name, safe='')}/log"
            yield {
                "name": step.name,
                "status": TASK_STATE[StepStatus(step.status)],
                "log": log,
            }
    for name in event.unstarted:
        yield {"name": name, "status": TASK_STATE[StepStatus.PENDING], "log": None}


def _group(event: GroupFinished) -> dict[str, Any]:
    return {
        "id": event.group_id,
        "status": STATE[BuildStatus(event.status)],
        "note": _text(event.note),
        "owner": _owner(event.owner),
        "jobs": [
            {"id": one.build_id, "status": STATE[BuildStatus(one.status)]} for one in event.members
        ],
    }


def _text(note: str) -> str | None:
    """At most what a note may have: a commit's subject has no limit, and need not be Unicode."""
    return note[:_LONGEST_NOTE].encode("utf-8", "replace").decode() or None


def _owner(name: str) -> dict[str, str]:
    name = name.removeprefix("~")
    return {"canonical_name": f"~{name}", "name": name}
