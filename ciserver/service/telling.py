"""Puts what triggers want told into the outbox, wherever the trigger was written."""

import hashlib
import json
import secrets
from collections.abc import Callable

from ciserver.model.build import TriggerSpec
from ciserver.model.event import Event
from ciserver.model.mail import entries_of
from ciserver.model.ports import Clock
from ciserver.store.store import Store

MAIL = "email"  # a jobset may send none


class Telling:
    """`ring` wakes whoever sends what is in the outbox."""

    def __init__(self, store: Store, clock: Clock, *, ring: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._ring = ring

    def tell(self, event: Event, spec: TriggerSpec, occasion: str, *, skipped: str = "") -> None:
        """Within the transaction of what happened. The same trigger is told once of an occasion;
        with a reason for which it is `skipped`, it is only seen that it was to be told.
        """
        self._store.outbox.add_once(
            f"msg_{secrets.token_hex(16)}",
            dedupe_key=f"{occasion}:{_digest(spec)}",
            action=spec.action,
            target=_target(spec),
            options=spec.options,
            event=event,
            now=self._clock.now(),
            skipped=skipped,
        )
        if not skipped:
            self._store.after_commit(self._ring)


def _digest(spec: TriggerSpec) -> str:
    text = json.dumps([spec.action, spec.condition, spec.options], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _target(spec: TriggerSpec) -> str:
    if "url" in spec.options:
        return str(spec.options["url"])
    return ", ".join(one for name in ("to", "cc") for one in entries_of(spec.options.get(name)))
