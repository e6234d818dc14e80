"""Pausing: the queue, a worker or a jobset takes no builds until somebody resumes it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.ports import Clock
from ciserver.model.request import Action
from ciserver.model.view import Pause
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.pauses import QUEUE
from ciserver.store.store import Store

_LONGEST_REASON = 200


class Pauses:
    """What runs goes on. `ring_engine` wakes whoever runs builds."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        *,
        ring_engine: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._ring_engine = ring_engine

    def pause(self, actor: Actor, *, worker: str = QUEUE, paused: bool, reason: str = "") -> None:
        """The whole queue, or one worker; whoever waits is told the reason. A worker that the
        server put out of work begins anew when it is resumed. Raises NotSignedIn, Forbidden,
        Invalid.
        """
        action = Action.PAUSE if paused else Action.RESUME
        with self._audit.record(actor, action, worker=worker or "*"):
            self._rights.require_admin(actor, Right.CANCEL.scope)
            if paused:
                _check_reason(reason)
                self._store.pauses.add(worker, actor.name, reason, self._clock.now())
            else:
                self._store.pauses.remove(worker)
                self._store.worker_faults.forget(worker)
        self._store.after_commit(self._ring_engine)

    @staticmethod
    def may_pause(actor: Actor) -> bool:
        """Whether the actor may pause the queue and workers."""
        return actor.is_admin and actor.has_scope(Right.CANCEL.scope)

    def is_paused(self, worker: str) -> bool:
        """Whether the worker, or the whole queue, takes no builds."""
        return self._store.queue.is_paused(worker, self._clock.now())

    def pause_jobset(self, actor: Actor, project: str, name: str, *, paused: bool) -> None:
        """The builds of a jobset wait; pushes are still evaluated. Raises NotFound, Forbidden."""
        action = Action.PAUSE if paused else Action.RESUME
        with self._audit.record(actor, action, jobset=f"{project}:{name}"):
            jobset = self._rights.jobset(actor, project, name, Right.EDIT)
            self._store.pauses.set_jobset(jobset.id, paused=paused)
        self._store.after_commit(self._ring_engine)

    def list_all(self, actor: Actor) -> tuple[Pause, ...]:
        """What is paused, the whole queue first; administrators are told by whom."""
        return list_pauses(self._store, actor, self._clock.now())


def _check_reason(reason: str) -> None:
    if len(reason) > _LONGEST_REASON or not reason.isprintable():
        fault = f"must be one line of at most {_LONGEST_REASON} characters"
        raise Invalid("it cannot be paused", complaints=[Complaint("reason", fault)])


def list_pauses(store: Store, actor: Actor, now: datetime) -> tuple[Pause, ...]:
    """What is paused, as far as somebody is told."""
    is_told = actor.is_admin and actor.has_scope(Right.READ.scope)
    found = store.pauses.list_all(now)
    return tuple(replace(one, by=one.by if is_told else "") for one in found)
