"""All workers together: those of this machine, and those elsewhere that listen for work."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from ciserver.model.errors import Busy
from ciserver.model.ports import BrokerState, Clock, Engine, EngineState, WorkerState
from ciserver.store.store import Store

_HEARD_OF = timedelta(seconds=60)
_TOLD_AGAIN = timedelta(seconds=20)
_REMEMBERED = timedelta(days=1)
_MOST_SERVERS = 16  # whose rings a listener remembers


class Heard(NamedTuple):
    """What a listener is told: what it heard of the bell, and which of its builds were canceled."""

    bell: str
    canceled: tuple[int, ...]


class Fleet:
    """Implements model.ports.Engine. Each waiting listener holds a thread of the server, so there
    is a budget for them; every `look_seconds` it is seen whether somebody still listens.

    How workers are is in rows: a worker may listen at any server of the database, and be asked
    about at another. `ring` rings the bell of builds, `ring_stop` that of builds that are to stop;
    both are heard here as well, by `wake` and `stop_here`. `worker_of` answers which worker runs a
    build, empty when none does.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        listeners: int,
        ring: Callable[[], None],
        ring_stop: Callable[[int], None],
        worker_of: Callable[[int], str],
        look_seconds: float = 1.0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ring = ring
        self._ring_stop = ring_stop
        self._worker_of = worker_of
        self._budget = threading.BoundedSemaphore(listeners)
        self._look_seconds = look_seconds
        self._here: Engine | None = None
        self._broker: Callable[[], BrokerState] | None = None
        self._changed = threading.Condition()
        self._rings = 0
        self._epoch = secrets.token_hex(8)  # of this process: an earlier one counted for itself
        self._written: dict[str, tuple[WorkerState, datetime]] = {}  # in rows, and since when
        self._canceled: dict[str, set[int]] = {}  # of workers that listen here, until told

    def run_beside(self, engine: Engine) -> None:
        """Name the engine of this machine."""
        self._here = engine

    def hear_of(self, broker: Callable[[], BrokerState]) -> None:
        """Name who knows how the message broker is."""
        self._broker = broker

    def ring(self) -> None:
        """Say that the queue has work, to everybody."""
        self._ring()

    def wake(self) -> None:
        """The bell of builds was rung, here or on another server."""
        if self._here is not None:
            self._here.ring()
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def stop(self, build_id: int) -> None:
        """At once where the build runs on a server. A worker elsewhere is told as soon as it
        listens, wherever it does; one that misses it hears of it when it renews.
        """
        self._ring_stop(build_id)

    def stop_here(self, build_id: int) -> None:
        """Stop it if it runs here, or is run by a worker that listens here."""
        if self._here is not None:
            self._here.stop(build_id)
        worker = ""
        with suppress(Busy):
            worker = self._worker_of(build_id)
        with self._changed:
            if worker in self._written:
                self._canceled.setdefault(worker, set()).add(build_id)
                self._changed.notify_all()

    def state(self) -> EngineState:
        here = self._here.state().workers if self._here is not None else ()
        known = {one.name for one in here}
        rows = self._store.workers.states(self._clock.now())
        since = self._clock.now() - _HEARD_OF
        with self._changed:
            self._written = {name: one for name, one in self._written.items() if one[1] > since}
            known_here = self._written
            self._canceled = {n: ids for n, ids in self._canceled.items() if n in known_here}
        broker = self._broker() if self._broker is not None else None
        return EngineState((*here, *(one for one in rows if one.name not in known)), broker)

    def report(self, *, lasts: timedelta) -> None:
        """Tell other servers how the workers of this machine are, for as long as it lasts."""
        now = self._clock.now()
        with self._store.transaction(beside=True):
            for one in self._here.state().workers if self._here is not None else ():
                self._store.workers.tell(one, now + lasts)
            self._store.workers.forget_states(now - _REMEMBERED)

    def listen(
        self,
        state: WorkerState,
        heard: str,
        *,
        wait_seconds: float,
        has_left: Callable[[], bool] = bool,
    ) -> Heard:
        """Wait until the bell has rung since `heard`, the one of an earlier answer, or a build of
        this worker was canceled, but not for a worker who `has_left`. Raises Busy when too many
        wait already.
        """
        end = time.monotonic() + wait_seconds
        self._note(state)
        with self._waiting(), self._changed:
            while not has_left():
                told = self._told(state.name, heard)
                left = end - time.monotonic()
                if told.bell != heard or told.canceled or left <= 0:
                    self._canceled.pop(state.name, None)
                    break
                self._changed.wait(min(left, self._look_seconds))
            else:
                told = Heard(heard, ())
        self._note(state)
        return told

    def _told(self, worker: str, heard: str) -> Heard:
        return Heard(self._heard_now(heard), tuple(sorted(self._canceled.get(worker, ()))))

    def _heard_now(self, heard: str) -> str:
        """What a listener has heard of every server that it listened at: so it is told of a ring
        that it heard elsewhere once more at most.
        """
        known = dict(one.rpartition("-")[::2] for one in heard.split(",") if one)
        if self._epoch not in known:
            known = dict([*known.items()][-_MOST_SERVERS + 1 :])
        known[self._epoch] = str(self._rings)
        return ",".join("-".join(one) for one in known.items())

    def _note(self, state: WorkerState) -> None:
        """Into its row, where that says something else or is about to be believed no more."""
        now = self._clock.now()
        told, at = self._written.get(state.name, (None, now))
        if told == state and now - at < _TOLD_AGAIN:
            return
        with self._store.transaction(beside=True):
            self._store.workers.tell(state, now + _HEARD_OF)
        with self._changed:
            self._written[state.name] = state, now

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        if not self._budget.acquire(blocking=False):
            raise Busy("too many workers listen right now", hint="ask again in some seconds")
        try:
            yield
        finally:
            self._budget.release()
