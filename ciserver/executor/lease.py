"""Keeping leases, and how whoever runs a build learns that it has to stop."""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

import structlog

from ciserver.model.build import Lease
from ciserver.model.errors import LeaseLost
from ciserver.model.ports import Reporter

log = structlog.get_logger(__name__)


class StopReason(StrEnum):
    CANCELED = "canceled"
    DRAINING = "draining"
    LOST = "lost"


class Stop:
    """An event that a poll loop can wait on, with the reason. The first reason stays, but a lost
    lease outranks it: nothing may be reported then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closed = False
        self._reason: StopReason | None = None

    @property
    def reason(self) -> StopReason | None:
        return self._reason

    def set(self, reason: StopReason = StopReason.CANCELED) -> None:
        """Ask for the stop, from any thread. No effect after `close`."""
        with self._lock:
            if self._closed:
                return
            if self._reason is None or reason is StopReason.LOST:
                self._reason = reason
            os.eventfd_write(self._file, 1)

    def is_set(self) -> bool:
        return self._reason is not None

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_SOONER = 5  # what was not renewed is tried again so much sooner


@dataclass(eq=False)
class _Held:
    lease: Lease
    stop: Stop
    every: float
    due: float


class LeaseKeeper:
    """Renews the leases of all builds of one runner in one thread, whatever their own threads
    are blocked in. The thread begins with the first lease and ends with `close`.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._changed = threading.Condition()
        self._held: list[_Held] = []
        self._looks_at = math.inf  # when the thread looks by itself, perhaps for one let go of
        self._thread: threading.Thread | None = None
        self._closing = False

    @contextmanager
    def hold(self, lease: Lease, stop: Stop, *, seconds: float) -> Iterator[None]:
        """Keep a lease of so many seconds for the length of the block: it outlasts two renewals
        that failed. `stop` is set when it is lost or when somebody asked for cancellation.
        """
        every = seconds / 3
        held = _Held(lease, stop, every, time.monotonic() + every)
        with self._changed:
            self._held.append(held)
            self._ensure_thread()
            if held.due < self._looks_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(held)

    def close(self) -> None:
        """End the thread. The keeper may be used again."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._closing = True
            self._changed.notify()
        if thread:
            thread.join()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._closing = False
            self._thread = threading.Thread(target=self._loop, name="leases", daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while (due := self._next_due()) is not None:
            for held in due:
                self._renew(held)

    def _next_due(self) -> list[_Held] | None:
        """Wait until a renewal is due; None at the end."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                due = [held for held in self._held if held.due <= now]
                if due:
                    return due
                self._looks_at = min((held.due for held in self._held), default=math.inf)
                self._changed.wait(self._looks_at - now if self._held else None)
        return None

    def _renew(self, held: _Held) -> None:
        held.due = time.monotonic() + held.every
        try:
            if self._reporter.renew(held.lease):
                held.stop.set(StopReason.CANCELED)
        except LeaseLost:
            held.stop.set(StopReason.LOST)
        except Exception:
            held.due = time.monotonic() + held.every / _SOONER
            log.exception("lease-not-renewed", build=held.lease.build_id)
