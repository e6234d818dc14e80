"""Drains the outbox: claim what is due, call its trigger, mark it sent, postpone or bury it."""

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import structlog

from ciserver.model.account import Actor
from ciserver.model.delivery import Delivery, DeliveryTry
from ciserver.model.errors import Conflict, RemoteFailure
from ciserver.model.ports import Clock, Trigger
from ciserver.model.request import Action
from ciserver.model.status import DeliveryStatus
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.store import Store

log = structlog.get_logger()

# When to try again after the first, second ... failure; the delivery is buried after the last.
DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
_LEASE = timedelta(minutes=2)


class Deliveries:
    """`jitter` answers a factor around 1, so that receivers that come back are not all met at
    once.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        triggers: Mapping[str, Trigger],
        *,
        ring: Callable[[], None],
        jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1),  # noqa: S311  no secret
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._triggers = triggers
        self._ring = ring
        self._jitter = jitter

    def deliver_next(self) -> bool:
        """Make one try for the delivery that is due longest. False when none is due."""
        now = self._clock.now()
        with self._store.transaction():
            delivery = self._store.outbox.claim(now, now + _LEASE)
        if delivery is None:
            return False
        try:
            detail = self._trigger_of(delivery).deliver(delivery)
        except RemoteFailure as failure:
            self._failed(delivery, now, failure)
        except Exception as error:  # one of the four loops: nothing may stop the others
            log.exception("delivery-crashed", delivery=delivery.id)
            crash = RemoteFailure(f"the trigger crashed: {type(error).__name__}", temporary=True)
            self._failed(delivery, now, crash)
        else:
            self._settle(delivery, now, DeliveryStatus.SENT, detail)
        return True

    def next_due(self) -> datetime | None:
        return self._store.outbox.next_due()

    def recover(self, *, alive: Iterable[str] = ()) -> int:
        """At start: what a killed server was sending is due again, but for what other nodes that
        are alive send; receivers know it by its id.
        """
        with self._store.transaction():
            return self._store.claims.release_deliveries(alive=alive)

    def resend(self, actor: Actor, delivery_id: str) -> Delivery:
        """Send a delivery again now, whatever became of it. Raises NotSignedIn or Forbidden before
        it looks, then NotFound, Forbidden for strangers, or Conflict for what is never sent.
        """
        with self._audit.refusals(actor, Action.RESEND_DELIVERY, delivery=delivery_id):
            self._rights.require_scope(actor, "deliveries:write")
        found = self._store.outbox.get(delivery_id)
        event = found.event
        with self._audit.record(actor, Action.RESEND_DELIVERY, **event.about, delivery=delivery_id):
            self._rights.check_event_of_member(actor, event)
            if found.status is DeliveryStatus.SKIPPED:
                raise Conflict(
                    f"delivery {delivery_id} is never sent: {found.detail}",
                    hint="push the commit to a branch, and its triggers are run",
                )
            self._store.outbox.resend(delivery_id, self._clock.now())
        self._ring()
        return self._store.outbox.get(delivery_id)

    def _trigger_of(self, delivery: Delivery) -> Trigger:
        trigger = self._triggers.get(delivery.action)
        if trigger is None:
            raise RemoteFailure(
                f"this server has no trigger {delivery.action}",
                temporary=False,
                hint="install it, then: ciserver delivery resend",
            )
        return trigger

    def _failed(self, delivery: Delivery, began: datetime, failure: RemoteFailure) -> None:
        detail = failure.message + (f" ({failure.hint})" if failure.hint else "")
        if not failure.temporary or failure.disable or delivery.tries >= len(DELAYS):
            self._settle(delivery, began, DeliveryStatus.BURIED, detail)
            log.warning("delivery-buried", delivery=delivery.id, why=detail)
            return
        delay = DELAYS[delivery.tries] * self._jitter()
        if failure.retry_after_seconds is not None:
            delay = max(delay, timedelta(seconds=min(failure.retry_after_seconds, 86_400)))
        due_at = self._clock.now() + delay
        self._settle(delivery, began, DeliveryStatus.PENDING, detail, due_at)

    def _settle(
        self,
        delivery: Delivery,
        began: datetime,
        status: DeliveryStatus,
        detail: str,
        due_at: datetime | None = None,
    ) -> None:
        took = (self._clock.now() - began).total_seconds()
        tried = DeliveryTry(
            delivery.id,
            delivery.tries + 1,
            began,
            status is DeliveryStatus.SENT,
            detail[:2000],
            took,
        )
        with self._store.transaction():
            self._store.outbox.settle(tried, status=status, due_at=due_at)
