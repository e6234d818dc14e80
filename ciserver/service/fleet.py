"""All workers together: those of this machine, and those elsewhere that listen for work."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from ciserver.model.errors import Busy
from ciserver.model.ports import Clock, Engine, EngineState, WorkerState

_HEARD_OF = timedelta(seconds=60)


class Fleet:
    """Implements model.ports.Engine. Each waiting listener holds a thread of the server, so there
    is a budget for them; every `look_seconds` it is seen whether somebody still listens.
    """

    def __init__(self, clock: Clock, *, listeners: int, look_seconds: float = 1.0) -> None:
        self._clock = clock
        self._budget = threading.BoundedSemaphore(listeners)
        self._look_seconds = look_seconds
        self._here: Engine | None = None
        self._changed = threading.Condition()
        self._rings = 0
        self._epoch = secrets.token_hex(8)  # of this process: an earlier one counted for itself
        self._elsewhere: dict[str, tuple[WorkerState, datetime]] = {}

    def run_beside(self, engine: Engine) -> None:
        """Name the engine of this machine."""
        self._here = engine

    def ring(self) -> None:
        """Say that the queue has work, to everybody."""
        if self._here is not None:
            self._here.ring()
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def stop(self, build_id: int) -> None:
        """At once where the build runs here; a worker elsewhere hears of it when it renews."""
        if self._here is not None:
            self._here.stop(build_id)

    def state(self) -> EngineState:
        here = self._here.state().workers if self._here is not None else ()
        since = self._clock.now() - _HEARD_OF
        with self._changed:
            heard = {name: one for name, one in self._elsewhere.items() if one[1] > since}
            self._elsewhere = heard
        return EngineState((*here, *(state for state, _ in heard.values())))

    def listen(
        self,
        state: WorkerState,
        heard: str,
        *,
        wait_seconds: float,
        has_left: Callable[[], bool] = bool,
    ) -> str:
        """Wait until the bell has rung since `heard`, an earlier answer, but not for a worker who
        `has_left`. Raises Busy when too many wait already.
        """
        end = time.monotonic() + wait_seconds
        self._note(state)
        with self._waiting(), self._changed:
            while (now := f"{self._epoch}-{self._rings}") == heard and not has_left():
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, self._look_seconds))
        self._note(state)
        return now

    def _note(self, state: WorkerState) -> None:
        with self._changed:
            self._elsewhere[state.name] = state, self._clock.now()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        if not self._budget.acquire(blocking=False):
            raise Busy("too many workers listen right now", hint="ask again in some seconds")
        try:
            yield
        finally:
            self._budget.release()
