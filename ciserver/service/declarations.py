"""Schedules that a recipe declares: those of the default branch are in force, no others."""

from datetime import datetime

from ciserver.model.project import Jobset
from ciserver.model.schedule import Schedule, ScheduleSpec, next_due
from ciserver.store.store import Store

BY_PEOPLE = frozenset({"command", "page", "api"})


def declare_schedules(
    store: Store, jobset: Jobset, specs: tuple[ScheduleSpec, ...], now: datetime
) -> bool:
    """Make the jobset's schedules what its recipes say; those that stay keep their history, their
    next due moment and their pause; what is said twice is one. Within the caller's transaction.
    Answers whether any changed.
    """
    wanted = list(dict.fromkeys(specs))
    removed = 0
    for schedule in store.schedules.list_of_jobset(jobset.id):
        if schedule.declared_by in BY_PEOPLE:
            continue
        spec = _spec_of(schedule)
        if spec in wanted:
            wanted.remove(spec)
        else:
            store.schedules.remove(schedule.id)
            removed += 1
    for spec in wanted:
        store.schedules.add(
            jobset.id,
            spec.kind,
            spec.timing,
            ref="HEAD",
            only_if_changed=spec.only_if_changed,
            last_good=spec.last_good,
            declared_by=spec.file,
            now=now,
            next_due_at=next_due(spec.timing, now),
        )
    return bool(removed or wanted)


def _spec_of(schedule: Schedule) -> ScheduleSpec:
    return ScheduleSpec(
        schedule.kind,
        schedule.timing,
        schedule.only_if_changed,
        schedule.last_good,
        schedule.declared_by,
    )
