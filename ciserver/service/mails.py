"""Who is mailed when builds end: nobody twice for one build, nor again for what ended with it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ciserver.model.build import TriggerSpec
from ciserver.model.event import Beside, BuildFinished
from ciserver.model.frozen import frozen
from ciserver.model.mail import entries_of, reader_of

MOST_BESIDE = 50
_FIELDS = ("to", "cc")


@frozen
class Mail:
    """What one trigger wants to be mailed; `index` tells it from the others of its build."""

    event: BuildFinished
    index: str
    spec: TriggerSpec


class Mails:
    """The mails about builds that ended of one cause, in the order of their ends. Whoever reads of
    one of them is told of the others in the same mail.
    """

    def __init__(self) -> None:
        self._mails: list[Mail] = []
        self._told: dict[str, int] = {}  # of which build a reader is mailed
        self._beside: dict[str, set[int]] = {}
        self._events: dict[int, BuildFinished] = {}

    def add(self, mail: Mail) -> None:
        left = {name: self._new_in(mail, name) for name in _FIELDS}
        if any(left.values()) or not any(_entries(mail.spec, name) for name in _FIELDS):
            spec = mail.spec
            if any(left[name] != _entries(spec, name) for name in _FIELDS):
                spec = _to(spec, left)
            self._mails.append(replace(mail, spec=spec))

    def list_all(self) -> Iterator[Mail]:
        """One mail for all who read the same; nobody is in two."""
        for mail in self._mails:
            groups = self._groups(mail.spec)
            for beside, entries in groups.items():
                spec = mail.spec if len(groups) == 1 else _to(mail.spec, entries)
                first = tuple(_short(self._events[one]) for one in beside[:MOST_BESIDE])
                event = replace(mail.event, beside=first, beside_total=len(beside))
                yield replace(mail, event=event, spec=spec)
            if not groups:
                yield mail  # it says itself that it has no readers

    def _groups(self, spec: TriggerSpec) -> dict[tuple[int, ...], dict[str, list[str]]]:
        """The readers by the builds that they are told of beside."""
        groups: dict[tuple[int, ...], dict[str, list[str]]] = {}
        for name in _FIELDS:
            for entry in _entries(spec, name):
                beside = tuple(sorted(self._beside.get(reader_of(entry), ())))
                group = groups.setdefault(beside, {one: list[str]() for one in _FIELDS})
                group[name].append(entry)
        return groups

    def _new_in(self, mail: Mail, name: str) -> list[str]:
        return [
            one for one in _entries(mail.spec, name) if self._is_new(reader_of(one), mail.event)
        ]

    def _is_new(self, reader: str, event: BuildFinished) -> bool:
        first = self._told.get(reader)
        if first is None:
            self._told[reader] = event.build_id
        elif first != event.build_id:
            self._beside.setdefault(reader, set()).add(event.build_id)
            self._events[event.build_id] = event
        return first is None


def _entries(spec: TriggerSpec, name: str) -> list[str]:
    return entries_of(spec.options.get(name))


def _to(spec: TriggerSpec, entries: dict[str, list[str]]) -> TriggerSpec:
    options: dict[str, Any] = {**spec.options, **entries}
    return replace(spec, options={key: one for key, one in options.items() if one or key == "to"})


def _short(event: BuildFinished) -> Beside:
    return Beside(event.build_id, event.job, event.system, event.status, event.url)
