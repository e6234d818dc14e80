"""What mails may say of builds that were sent in as a whole, and of groups of them."""

from collections.abc import Iterator
from typing import Any

from ciserver.model.build import SETUP
from ciserver.model.event import BuildFinished, GroupFinished, GroupMember
from ciserver.model.status import BuildStatus, StepStatus
from triggers.text import lines, one_line
from triggers.wording import BROKEN, in_words, mark_of, readable, word_of

TASKS_SHOWN = 100
MEMBERS_SHOWN = 100
_NOTE_LINES, _NOTE_WIDTH = 50, 500


def submission_values(event: BuildFinished) -> dict[str, Any]:
    """Tasks whose names begin with `_` are nobody's business."""
    tasks = list(_tasks(event))
    return {
        "called": _called(event.tags, event.project),
        "id": event.build_id,
        "word": word_of(event.status),
        "is_good": event.is_good,
        "is_broken": event.status in BROKEN,
        "duration": in_words(event.duration_seconds),
        "finished_at": readable(event.finished_at),
        "detail": one_line(event.detail, 1000),
        "canceled_by": one_line(event.canceled_by, 100),
        "note": lines(event.note, _NOTE_LINES, _NOTE_WIDTH),
        "url": event.url,
        "tasks": tasks[:TASKS_SHOWN],
        "tasks_omitted": len(tasks[TASKS_SHOWN:]),
    }


def _tasks(event: BuildFinished) -> Iterator[dict[str, str]]:
    begun = [(one.name, one.status, one.log_url) for one in event.steps if one.name != SETUP]
    unstarted = [(name, str(StepStatus.PENDING), "") for name in event.unstarted]
    for name, status, log_url in (*begun, *unstarted):
        if not name.startswith("_"):
            yield {
                "name": one_line(name, 128),
                "status": status,
                "mark": mark_of(status),
                "log_url": log_url,
            }


def group_values(event: GroupFinished) -> dict[str, Any]:
    return {
        "id": event.group_id,
        "project": one_line(event.project, 250),
        "owner": one_line(event.owner, 100),
        "word": word_of(event.status),
        "is_good": event.is_good,
        "finished_at": readable(event.finished_at),
        "note": lines(event.note, _NOTE_LINES, _NOTE_WIDTH),
        "members": [_member(one, event.project) for one in event.members[:MEMBERS_SHOWN]],
        "members_omitted": len(event.members[MEMBERS_SHOWN:]),
    }


def _member(one: GroupMember, project: str) -> dict[str, Any]:
    is_good = BuildStatus(one.status).is_good
    return {
        "id": one.build_id,
        "called": _called(one.tags, project),
        "word": word_of(one.status),
        "mark": mark_of(StepStatus.SUCCEEDED if is_good else StepStatus.FAILED),
        "url": one.url,
    }


def _called(tags: tuple[str, ...], project: str) -> str:
    """Submitted builds all have one name; people tell theirs apart by tags."""
    return one_line("/".join(tags) or project, 150)
