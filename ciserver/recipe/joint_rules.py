"""The rules of a manifest that look at several values at once.

They look at what was written, not at what was accepted of it, so that a fault in one place hides
none in another. What has a wrong type is passed over here: its type is the fault.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from ciserver.model.errors import Complaint, Invalid
from ciserver.model.mail import MOST_READERS, entries_of
from ciserver.model.schedule import SHORTEST_SECONDS, faults
from ciserver.recipe.complaints import Location, field_name, repeated
from ciserver.recipe.schema import ScheduleEntry
from ciserver.recipe.sources import parse_source


def joint_faults(keys: dict[str, Any]) -> Iterator[Complaint]:
    for key, rule in _RULES.items():
        if key in keys:
            yield from rule(keys)


def trigger_faults(keys: dict[str, Any]) -> Iterator[Complaint]:
    for place, trigger in _entries(keys, "triggers", dict):
        if trigger.get("action") == "email":
            readers = [*entries_of(trigger.get("to")), *entries_of(trigger.get("cc"))]
            field = field_name((*place, "to"))
            if all(trigger.get(key, []) == [] for key in ("to", "cc")):
                yield Complaint(field, "is required when there is no cc")
            elif len(readers) > MOST_READERS:
                yield Complaint(
                    field, f"must with cc have at most {MOST_READERS} addresses, not {len(readers)}"
                )


def _impossible_times(keys: dict[str, Any]) -> Iterator[Complaint]:
    for place, written in _entries(keys, "schedules", dict):
        entry, is_whole = _right_part(written)
        for fault in faults(entry.timing):
            if fault.field or is_whole:
                yield _in_minutes(field_name(place), fault)


def _right_part(written: dict[Any, Any]) -> tuple[ScheduleEntry, bool]:
    """The schedule without what has a fault of its own, and whether that is all of it."""
    try:
        return ScheduleEntry.model_validate(written), True
    except ValidationError as error:
        wrong = {one["loc"][0] for one in error.errors()}
        right = {key: value for key, value in written.items() if key not in wrong}
        return ScheduleEntry.model_validate(right), False


def _in_minutes(place: str, fault: Complaint) -> Complaint:
    """An interval is written in minutes and kept in seconds."""
    if fault.field == "every_seconds":
        return Complaint(f"{place}.every", f"must be at least {SHORTEST_SECONDS // 60} minute")
    field = f"{place}.{fault.field}" if fault.field else place
    return Complaint(field, fault.message.replace("every_seconds", "every"))


def _entries(keys: dict[str, Any], key: str, kind: type) -> list[tuple[Location, Any]]:
    """The entries of that type in a list, each with its place."""
    entries = keys.get(key)
    if not isinstance(entries, list):
        return []
    return [((key, place), one) for place, one in enumerate(entries) if type(one) is kind]


def _odd_tasks(keys: dict[str, Any]) -> Iterator[Complaint]:
    tasks = _entries(keys, "tasks", dict)
    for place, task in tasks:
        if len(task) != 1:
            yield Complaint(field_name(place), "must have exactly one name with its script")
    yield from repeated(
        "the name", (((*place, name), name) for place, task in tasks for name in task)
    )


def _repeated_artifacts(keys: dict[str, Any]) -> Iterator[Complaint]:
    artifacts = _entries(keys, "artifacts", str)
    return repeated(
        "the file name", ((place, PurePosixPath(path).name) for place, path in artifacts)
    )


def _repeated_sources(keys: dict[str, Any]) -> Iterator[Complaint]:
    return repeated("the directory", _directories(_entries(keys, "sources", str)))


def _repeated_caches(keys: dict[str, Any]) -> Iterator[Complaint]:
    return repeated("the key", _cache_keys(_entries(keys, "cache", dict)))


def _cache_keys(entries: list[tuple[Location, Any]]) -> Iterator[tuple[Location, str]]:
    for place, entry in entries:
        if isinstance(entry.get("key"), str):
            yield (*place, "key"), entry["key"]


def _arch_twice(keys: dict[str, Any]) -> Iterator[Complaint]:
    if "systems" in keys:
        yield Complaint("systems", "says more than arch; leave arch out")


def _directories(sources: list[tuple[Location, Any]]) -> Iterator[tuple[Location, str]]:
    for place, text in sources:
        try:
            yield place, parse_source(text).directory
        except Invalid:
            continue


# Each by the key without which it has nothing to look at: most manifests have few of them.
_RULES = {
    "tasks": _odd_tasks,
    "artifacts": _repeated_artifacts,
    "sources": _repeated_sources,
    "cache": _repeated_caches,
    "arch": _arch_twice,
    "triggers": trigger_faults,
    "schedules": _impossible_times,
}
