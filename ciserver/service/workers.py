"""The credentials of workers on other machines."""

import hashlib
import secrets
from datetime import timedelta

from ciserver.model.account import Actor
from ciserver.model.errors import Complaint, Invalid, NotFound, NotSignedIn
from ciserver.model.ports import Clock
from ciserver.model.request import Action
from ciserver.model.worker import Queue, Worker, queue_of
from ciserver.service.access import name_complaints
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.store import Store

WORKER_PREFIX = "csw_"
LOCAL = "local"  # what the workers inside of a server are called, and begin with
_SCOPE = "users:write"
_TOUCH_EVERY = timedelta(minutes=1)
_MOST_QUEUES = 100


class Workers:
    """Administrators give and take credentials: the others get NotSignedIn and Forbidden."""

    def __init__(self, store: Store, clock: Clock, rights: Rights, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit

    def add(self, actor: Actor, name: str, queues: tuple[str, ...]) -> str:
        """Let a worker of this name claim builds of these queues, each SYSTEM/TRUST; answers its
        credential, which is shown now and never again. Raises Invalid with every fault,
        AlreadyExists.
        """
        with self._audit.record(actor, Action.ADD_WORKER, worker=name, queues=list(queues)):
            self._rights.require_admin(actor, _SCOPE)
            known = _checked(name, queues)
            text = WORKER_PREFIX + secrets.token_urlsafe(32)
            self._store.workers.add(name, _hash(text), known, self._clock.now())
            self._store.systems.add(*dict.fromkeys(one.system for one in known))
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
        now = self._clock.now()
        if found.last_seen_at is None or now - found.last_seen_at > _TOUCH_EVERY:
            with self._store.transaction():
                self._store.workers.touch(found.name, now)
        return found


def _checked(name: str, queues: tuple[str, ...]) -> tuple[Queue, ...]:
    """Raises Invalid with every fault."""
    faults = name_complaints("name", name)
    if name.startswith(LOCAL):
        faults.append(Complaint("name", f"must not begin with {LOCAL}: so are the server's own"))
    read = {text: queue_of(text) for text in queues}
    faults += [
        Complaint("queues", f"{text!r} must be SYSTEM/trusted or SYSTEM/untrusted")
        for text, queue in read.items()
        if queue is None
    ]
    if not 0 < len(read) <= _MOST_QUEUES:
        faults.append(Complaint("queues", f"must be 1 to {_MOST_QUEUES}"))
    if faults:
        raise Invalid("the worker cannot be added", complaints=faults)
    return tuple(one for one in read.values() if one)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
