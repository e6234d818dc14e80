"""The JSON that a webhook carries.

    {"type": "build.finished",
     "timestamp": "2026-01-31T12:00:00+00:00",
     "data": {
       "project": "site", "jobset": "main", "job": "test",
       "build": {"id", "number", "attempt", "url", "status", "reason", "detail",
                 "previous_status", "is_change", "kind", "system", "image", "requested_by",
                 "canceled_by", "queued_at", "started_at", "finished_at", "duration_seconds",
                 "cached"},
       "evaluation": {"url"},
       "source": {"ref", "revision", "subject", "author"},
       "steps": [{"name", "status", "log_url"}],
       "steps_omitted": 0}}

    {"type": "group.finished",
     "timestamp": "2026-01-31T12:00:00+00:00",
     "data": {
       "group": {"id", "owner", "note", "status"},
       "builds": [{"id", "job", "status", "url"}],
       "builds_omitted": 0}}

Times are ISO 8601 in UTC, or null where the thing never happened; other unknown texts are empty.
Foreign texts are one line each and clipped, so that all this stays under 20 kB. Keys in the words
of another system may stand beside these three.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ciserver.model.delivery import Delivery
from ciserver.model.errors import RemoteFailure
from ciserver.model.event import BuildFinished, Event, GroupFinished, StepSummary, stamp
from ciserver.model.status import StepStatus
from triggers.text import one_line

BODY_LIMIT = 20_000  # bytes; receivers commonly refuse or cut what is much larger
NAME_LIMIT = 100
TEXT_LIMIT = 250
DETAIL_LIMIT = 1000
_MOST_TELLING = {StepStatus.FAILED, StepStatus.LOST, StepStatus.CANCELED}


def body_of(delivery: Delivery, beside: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """The body for a delivery; the same bytes at each try. Raises RemoteFailure for an event that
    is neither of a build nor of a group.
    """
    event = delivery.event
    document: dict[str, Any] = {
        "type": event.type,
        "timestamp": event.finished_at or stamp(delivery.created_at),
    }
    document["data"] = _told(event, BODY_LIMIT - len(_encode(document)) - len(',"data":'))
    return _encode({**beside, **document})


def _told(event: Event, room: int) -> dict[str, Any]:
    match event:
        case BuildFinished():
            parts = _parts(event)
            _add_steps(parts, event.steps, room - len(_encode(parts)))
        case GroupFinished():
            parts = _group(event)
            _add_builds(parts, event, room - len(_encode(parts)))
        case _:
            raise RemoteFailure(f"webhooks are not told of {event.type}", temporary=False)
    return parts


def _group(event: GroupFinished) -> dict[str, Any]:
    return {
        "group": {
            "id": event.group_id,
            "owner": _name(event.owner),
            "note": one_line(event.note, TEXT_LIMIT),
            "status": event.status,
        },
        "builds": [],
        "builds_omitted": 0,
    }


def _add_builds(parts: dict[str, Any], event: GroupFinished, room: int) -> None:
    """As many builds as there is room for, the first ones."""
    rows = [
        {"id": one.build_id, "job": _name(one.job), "status": one.status, "url": one.url}
        for one in event.members
    ]
    room -= len(str(len(rows)))
    for row in rows:
        room -= len(_encode(row)) + 1
        if room < 0:
            break
        parts["builds"].append(row)
    parts["builds_omitted"] = len(rows) - len(parts["builds"])


def _parts(event: BuildFinished) -> dict[str, Any]:
    return {
        "project": _name(event.project),
        "jobset": _name(event.jobset),
        "job": _name(event.job),
        "build": _build(event),
        "evaluation": {"url": event.evaluation_url},
        "source": {
            "ref": one_line(event.ref, TEXT_LIMIT),
            "revision": _name(event.revision),
            "subject": one_line(event.subject, TEXT_LIMIT),
            "author": _name(event.author),
        },
        "steps": [],
        "steps_omitted": 0,
    }


def _build(event: BuildFinished) -> dict[str, Any]:
    return {
        "id": event.build_id,
        "number": event.number,
        "attempt": event.attempt,
        "url": event.url,
        "status": event.status,
        "reason": event.reason,
        "detail": one_line(event.detail, DETAIL_LIMIT),
        "previous_status": event.previous_status,
        "is_change": event.is_change,
        "kind": event.kind,
        "system": _name(event.system),
        "image": _name(event.image),
        "requested_by": _name(event.requested_by),
        "canceled_by": _name(event.canceled_by),
        "queued_at": event.queued_at or None,
        "started_at": event.started_at or None,
        "finished_at": event.finished_at or None,
        "duration_seconds": event.duration_seconds,
        "cached": event.cached,
    }


def _add_steps(parts: dict[str, Any], steps: tuple[StepSummary, ...], room: int) -> None:
    """As many steps as there is room for: those that went wrong first, shown in their order."""
    rows = [_step(step) for step in steps]
    room -= len(str(len(rows)))
    kept = set()
    for index in sorted(range(len(rows)), key=lambda one: steps[one].status not in _MOST_TELLING):
        room -= len(_encode(rows[index])) + 1
        if room < 0:
            break
        kept.add(index)
    parts["steps"] = [rows[index] for index in sorted(kept)]
    parts["steps_omitted"] = len(rows) - len(kept)


def _step(step: StepSummary) -> dict[str, str]:
    return {"name": _name(step.name), "status": step.status, "log_url": step.log_url}


def _name(text: str) -> str:
    return one_line(text, NAME_LIMIT)


def _encode(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode()
