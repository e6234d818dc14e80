"""The engine of a worker that is called for one build at a time, and brings its own threads."""

import threading
from collections.abc import Callable
from dataclasses import replace

from ciserver.executor.local import LocalEngine
from ciserver.model.build import Offer, Work
from ciserver.model.worker import queue_of


class NoRoom(Exception):
    """Nothing is begun here right now: all slots are busy, or the engine is paused or drains."""


class CalledEngine(LocalEngine):
    """Runs each build in the thread of whoever calls. That thread has to outlive the build: a
    sandbox dies with the thread that started it. `on_change` is told when there may be room again,
    or none any more; it must return at once.
    """

    _told: Callable[[], None] | None = None
    _is_paused = False  # by the server

    def on_change(self, told: Callable[[], None]) -> None:
        self._told = told

    def start(self) -> None:
        """Nothing is claimed until somebody calls."""

    def ring(self) -> None:
        """Say that something changed; that there is work is told by `run_one`."""
        if self._told is not None:
            self._told()

    def pause(self, reason: str) -> None:
        super().pause(reason)
        self.ring()

    @property
    def slots(self) -> int:
        """How many builds may run at once."""
        return self._slots

    @property
    def has_room(self) -> bool:
        """Whether a build may begin here."""
        with self._changed:
            return self._may_begin()

    def run_one(self, queue: str, *, claimed: Callable[[Work], None]) -> Work | None:
        """Take the best build of a queue, SYSTEM/TRUST, and run it to its end; None when there is
        none. `claimed` is told as soon as it is this worker's. Raises NoRoom, and what a claim
        raises.
        """
        with self._changed:
            if not self._may_begin():
                raise NoRoom
            self._claiming += 1
        work = None
        try:
            work = self._reporter.claim(self._offer_of(queue))
        finally:
            self._settle_claim(work)
            self.ring()
        if work is not None:
            claimed(work)
            self._run(work)
            self.ring()
        return work

    def heed(self, *, is_paused: bool) -> None:
        """Leave what is to be done to others meanwhile: a message would be taken for nothing."""
        with self._changed:
            self._is_paused = is_paused
        self.ring()

    def drain(self, timeout_seconds: float, hurry: threading.Event | None = None) -> None:
        with self._changed:
            self._draining = True
        self.ring()
        super().drain(timeout_seconds, hurry)
        with self._changed:
            self._settled.wait_for(self._has_no_build)

    def _may_begin(self) -> bool:
        is_free = len(self._running) + self._claiming < self._slots
        return is_free and not (self._paused or self._is_paused or self._draining)

    def _offer_of(self, queue: str) -> Offer:
        read = queue_of(queue)
        systems = (read.system,) if read else ()
        return replace(self._offer_now(), systems=systems, queues=(queue,))
