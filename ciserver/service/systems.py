"""The systems that builds are made for: which there are, and whether anything new is made for them.

What the workers of this server run is known by itself; administrators keep the rest.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ciserver.model.account import Actor
from ciserver.model.errors import AlreadyExists, Complaint, Conflict, Invalid
from ciserver.model.request import Action
from ciserver.model.view import System
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.store import Store

_NAME = re.compile(r"(?=.{1,100}$)[A-Za-z0-9_][A-Za-z0-9_.+]*(-[A-Za-z0-9_.+]+)+")
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SCOPE = "users:write"
_LONGEST = 200
_MOST = 100
_UNUSABLE = "the system cannot be kept"


class Systems:
    """Changes are for administrators: they raise NotSignedIn and Forbidden. `ring_engine` wakes
    whoever runs builds.
    """

    def __init__(
        self, store: Store, rights: Rights, audit: Audit, *, ring_engine: Callable[[], None]
    ) -> None:
        self._store = store
        self._rights = rights
        self._audit = audit
        self._ring_engine = ring_engine

    def list_all(self) -> tuple[System, ...]:
        """Every system, active or not, in the order in which they became known."""
        return self._store.systems.list_all()

    def get(self, name: str) -> System:
        """Raises NotFound."""
        return self._store.systems.get_by_name(name)

    @staticmethod
    def may_change(actor: Actor) -> bool:
        """Whether the actor may add, change and remove systems."""
        return actor.is_admin and actor.has_scope(_SCOPE)

    def add(
        self,
        actor: Actor,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        images: Iterable[str] = (),
        active: bool = True,
    ) -> System:
        """Raises Invalid with every fault, AlreadyExists."""
        wanted = System(0, name, active=active, labels=labels or {}, images=tuple(images))
        with self._audit.record(actor, Action.ADD_SYSTEM, system=name):
            self._rights.require_admin(actor, _SCOPE)
            _check([*_name_faults(name), *_faults(wanted)])
            if any(one.name == name for one in self._store.systems.list_all()):
                raise AlreadyExists(f"the system {name} is there already")
            self._store.systems.add(name)
            made = replace(wanted, id=self._store.systems.get_by_name(name).id)
            self._store.systems.change(made)
        return made

    def change(
        self,
        actor: Actor,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        images: Iterable[str] | None = None,
        active: bool | None = None,
    ) -> System:
        """Change what is given. For one that is not active nothing new is begun: what waits for it
        waits on, what runs goes on. Raises Invalid with every fault, NotFound.
        """
        given = {"labels": labels, "images": images, "active": active}
        told = {key: value for key, value in given.items() if value is not None}
        with self._audit.record(actor, Action.CHANGE_SYSTEM, system=name, **told):
            self._rights.require_admin(actor, _SCOPE)
            before = self._store.systems.get_by_name(name)
            changed = replace(
                before,
                labels=before.labels if labels is None else dict(labels),
                images=before.images if images is None else tuple(images),
                active=before.active if active is None else active,
            )
            _check(_faults(changed))
            self._store.systems.change(changed)
        self._store.after_commit(self._ring_engine)
        return changed

    def remove(self, actor: Actor, name: str) -> None:
        """Forget a system for which nothing was ever built. What a worker here runs is known again
        at the next start. Raises Conflict, NotFound.
        """
        with self._audit.record(actor, Action.REMOVE_SYSTEM, system=name):
            self._rights.require_admin(actor, _SCOPE)
            system = self._store.systems.get_by_name(name)
            if self._store.systems.is_used(name):
                raise Conflict(
                    f"builds were made for {name}, or projects chose it",
                    hint=f"nothing new is made for it after: ciserver system set {name} --inactive",
                )
            self._store.systems.remove(system.id)


def _check(faults: Iterable[Complaint]) -> None:
    found = list(faults)
    if found:
        raise Invalid(_UNUSABLE, complaints=found)


def _name_faults(name: str) -> Iterator[Complaint]:
    if not _NAME.fullmatch(name):
        fault = "must have two parts or more with '-' between, such as x86_64-linux"
        yield Complaint("name", f"{fault}: at most 100 of letters, digits, '_', '.' and '+'")


def _faults(system: System) -> Iterator[Complaint]:
    line = f"must be one line of 1 to {_LONGEST} characters"
    for name, value in system.labels.items():
        if not _LABEL.fullmatch(name):
            fault = "is no name for a label: at most 64 letters, digits, '_', '.' and '-'"
            yield Complaint(f"labels.{name}", fault)
        elif not _is_line(value):
            yield Complaint(f"labels.{name}", line)
    for index, image in enumerate(system.images):
        if not _is_line(image):
            yield Complaint(f"images[{index}]", line)
    for field, many in (("labels", len(system.labels)), ("images", len(system.images))):
        if many > _MOST:
            yield Complaint(field, f"must be at most {_MOST}")


def _is_line(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and text.isprintable()
