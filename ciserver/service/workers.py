"""The credentials of workers on other machines."""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from ciserver.model.account import Actor
from ciserver.model.errors import Complaint, Invalid, NotFound, NotSignedIn
from ciserver.model.ports import Clock
from ciserver.model.request import Action
from ciserver.model.worker import LABEL, LABEL_RULE, MOST_LABELS, Queue, Worker, queue_of
from ciserver.service.access import name_complaints
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.store import Store

WORKER_PREFIX = "csw_"
LOCAL = "local"  # what the workers inside of a server are called, and begin with
_SCOPE = "users:write"
_TOUCH_EVERY = timedelta(minutes=1)
_MOST_QUEUES = 100
_MOST_PROJECTS = 100


class Workers:
    """Administrators give and take credentials: the others get NotSignedIn and Forbidden."""

    def __init__(self, store: Store, clock: Clock, rights: Rights, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit

    def add(
        self,
        actor: Actor,
        name: str,
        queues: tuple[str, ...],
        *,
        labels: tuple[str, ...] = (),
        projects: tuple[str, ...] = (),
    ) -> str:
        """Let a worker of this name claim builds of these queues, each SYSTEM/TRUST, also of those
        that ask for these labels, and of these projects alone if any are named. Answers its
        credential, which is shown now and never again. Raises Invalid with every fault,
        AlreadyExists.
        """
        given = {"queues": queues, "labels": labels, "projects": projects}
        told = {key: list(value) for key, value in given.items() if value}
        with self._audit.record(actor, Action.ADD_WORKER, worker=name, **told):
            self._rights.require_admin(actor, _SCOPE)
            made = self._checked(Worker(name, (), self._clock.now(), None), **given)
            text = _new_credential()
            self._store.workers.add(made, _hash(text))
            self._store.systems.add(*dict.fromkeys(one.system for one in made.queues))
        return text

    def change(
        self,
        actor: Actor,
        name: str,
        *,
        queues: tuple[str, ...] | None = None,
        labels: tuple[str, ...] | None = None,
        projects: tuple[str, ...] | None = None,
    ) -> Worker:
        """Give a worker these in the place of those before; what it runs goes on. Raises Invalid
        with every fault, NotFound.
        """
        given = {"queues": queues, "labels": labels, "projects": projects}
        told = {key: list(value) for key, value in given.items() if value is not None}
        with self._audit.record(actor, Action.CHANGE_WORKER, worker=name, **told):
            self._rights.require_admin(actor, _SCOPE)
            changed = self._checked(self._store.workers.get(name), **given)
            self._store.workers.change(changed)
            self._store.systems.add(*dict.fromkeys(one.system for one in changed.queues))
        return changed

    def renew(self, actor: Actor, name: str) -> str:
        """Another credential for a worker, shown now and never again. The one before is believed
        until the new one is used for the first time. Raises NotFound.
        """
        with self._audit.record(actor, Action.RENEW_WORKER, worker=name):
            self._rights.require_admin(actor, _SCOPE)
            self._store.workers.get(name)
            text = _new_credential()
            self._store.workers.renew(name, _hash(text))
        return text

    def list_all(self, actor: Actor) -> tuple[Worker, ...]:
        self._rights.require_admin(actor, _SCOPE)
        return self._store.workers.list_all()

    def remove(self, actor: Actor, name: str) -> None:
        """Believe its credential no more: it claims nothing, and what it runs is lost with the
        lease and run again elsewhere. Raises NotFound.
        """
        with self._audit.record(actor, Action.REMOVE_WORKER, worker=name):
            self._rights.require_admin(actor, _SCOPE)
            if not self._store.workers.remove(name):
                raise NotFound(f"there is no worker {name}", hint="see: worker-credential list")

    def recognize(self, credential: str) -> Worker:
        """The worker behind a credential. Raises NotSignedIn."""
        found = self._store.workers.find(_hash(credential)) if credential else None
        if found is None:
            raise NotSignedIn(
                "the worker's credential is unknown",
                hint="make one on the server: ciserver worker-credential add",
            )
        now, (worker, is_next) = self._clock.now(), found
        if is_next or worker.last_seen_at is None or now - worker.last_seen_at > _TOUCH_EVERY:
            with self._store.transaction():
                self._store.workers.touch(worker.name, now)
                if is_next:
                    self._store.workers.take_next(worker.name)
        return worker

    def _checked(
        self,
        worker: Worker,
        *,
        queues: tuple[str, ...] | None,
        labels: tuple[str, ...] | None,
        projects: tuple[str, ...] | None,
    ) -> Worker:
        """The worker with what it is given. Raises Invalid with every fault."""
        faults = _name_faults(worker.name)
        if queues is not None:
            read = {text: queue_of(text) for text in queues}
            faults += _queue_faults(read)
            worker = replace(worker, queues=tuple(one for one in read.values() if one))
        if labels is not None:
            faults += _label_faults(labels)
            worker = replace(worker, labels=tuple(dict.fromkeys(labels)))
        if projects is not None:
            found = {name: self._store.projects.find(name) for name in projects}
            faults += [
                Complaint("projects", f"there is no project {name}")
                for name, project in found.items()
                if project is None
            ]
            known = {one.id: one.name for one in found.values() if one}
            worker = replace(worker, projects=known)
            if len(found) > _MOST_PROJECTS:
                faults.append(Complaint("projects", f"must be at most {_MOST_PROJECTS}"))
        if faults:
            raise Invalid("the worker cannot be kept so", complaints=faults)
        return worker


def _name_faults(name: str) -> list[Complaint]:
    faults = name_complaints("name", name)
    if name.startswith(LOCAL):
        faults.append(Complaint("name", f"must not begin with {LOCAL}: so are the server's own"))
    return faults


def _queue_faults(read: Mapping[str, Queue | None]) -> Iterator[Complaint]:
    for text, queue in read.items():
        if queue is None:
            yield Complaint("queues", f"{text!r} must be SYSTEM/trusted or SYSTEM/untrusted")
    if not 0 < len(read) <= _MOST_QUEUES:
        yield Complaint("queues", f"must be 1 to {_MOST_QUEUES}")


def _label_faults(labels: tuple[str, ...]) -> Iterator[Complaint]:
    for text in labels:
        if not re.fullmatch(LABEL, text):
            yield Complaint("labels", f"{text[:80]!r} must be {LABEL_RULE}")
    if len(labels) > MOST_LABELS:
        yield Complaint("labels", f"must be at most {MOST_LABELS}")


def _new_credential() -> str:
    return WORKER_PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
