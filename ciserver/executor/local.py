"""The engine inside the server: slots that wait for the bell and run one build at a time each."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from ciserver.executor.lease import Stop, StopReason
from ciserver.model.build import OWN_IMAGES, Lease, Offer, Work
from ciserver.model.errors import LeaseLost
from ciserver.model.ports import EngineState, Reporter, WorkerState

log = structlog.get_logger(__name__)


_HURRY_SECONDS = 0.5  # within which it is noticed


class RunsBuilds(Protocol):
    """The part of a Runner that an engine needs."""

    def run(self, work: Work, stop: Stop) -> None: ...


class LocalEngine:
    """Claims and runs builds in this process while there are any.

    Slot threads live until `drain`: a sandbox dies with the thread that started it.
    """

    def __init__(
        self,
        reporter: Reporter,
        runner: RunsBuilds,
        offer: Offer,
        *,
        slots: int,
        retry_seconds: float = 5.0,
        images: Callable[[], tuple[str, ...]] = tuple,
        takes_any_image: bool = True,
    ) -> None:
        """`images` answers those that are here now."""
        self._reporter = reporter
        self._runner = runner
        self._offer = offer
        self._slots = slots
        self._images = images
        self._takes_any_image = takes_any_image
        self._retry_seconds = retry_seconds
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # something to do for a slot
        self._settled = threading.Condition(lock)  # something ended, for `drain`
        self._threads: list[threading.Thread] = []
        self._running: dict[Lease, Stop] = {}
        self._claiming = 0
        self._rung = False
        self._retry_at: float | None = None
        self._paused = ""
        self._draining = False
        self._gives_back = False

    def start(self) -> None:
        """Begin to claim: at once, and then whenever the bell rings."""
        self._threads = [
            threading.Thread(target=self._slot, name=f"slot-{number}", daemon=True)
            for number in range(1, self._slots + 1)
        ]
        for thread in self._threads:
            thread.start()
        self.ring()

    def ring(self) -> None:
        """Say that the queue has work. May be called too often; returns at once."""
        with self._changed:
            self._rung = True
            self._changed.notify()

    def stop(self, build_id: int) -> None:
        """Ask for cancellation at once. No effect when the build is not running here."""
        with self._changed:
            for lease, stop in self._running.items():
                if lease.build_id == build_id:
                    stop.set(StopReason.CANCELED)

    def check(self, build_id: int) -> None:
        """Ask the reporter at once whether a build that runs here has to stop, as its next renewal
        would.
        """
        with self._changed:
            held = [(one, stop) for one, stop in self._running.items() if one.build_id == build_id]
        for lease, stop in held:
            try:
                if self._reporter.renew(lease):
                    stop.set(StopReason.CANCELED)
            except LeaseLost:
                stop.set(StopReason.LOST)
            except Exception:
                log.exception("lease-not-renewed", build=build_id)  # the next renewal tells it

    def heed(self, *, is_paused: bool) -> None:
        """The server says whether it gives this worker builds. Nothing comes of it here: a claim
        finds none then.
        """

    def drain(self, timeout_seconds: float, hurry: threading.Event | None = None) -> None:
        """Claim nothing more, let what runs finish until the timeout, or until there is a `hurry`,
        then give it back to the queue. Returns when no build is left here.
        """
        until = time.monotonic() + timeout_seconds
        with self._changed:
            self._draining = True
            self._changed.notify_all()
            while not self._has_no_build() and not (hurry and hurry.is_set()):
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._settled.wait(min(left, _HURRY_SECONDS))
            self._gives_back = True
            for stop in self._running.values():
                stop.set(StopReason.DRAINING)
        for thread in self._threads:
            thread.join()
        self._threads = []

    @property
    def is_idle(self) -> bool:
        """No build is claimed here."""
        with self._changed:
            return self._has_no_build()

    def pause(self, reason: str) -> None:
        """Claim nothing for now, as while the disk is full; waiting builds show the reason."""
        with self._changed:
            self._paused = reason

    def resume(self) -> None:
        with self._changed:
            self._paused = ""
        self.ring()

    def state(self) -> EngineState:
        images = self._images()
        with self._changed:
            busy = len(self._running) + self._claiming
            offer = self._offer
            here = WorkerState(
                offer.worker,
                offer.systems,
                self._slots,
                busy,
                self._paused,
                images,
                self._takes_any_image,
                offer.queues,
                offer.labels,
            )
        return EngineState((here,))

    def _has_no_build(self) -> bool:
        return not self._running and not self._claiming

    def _slot(self) -> None:
        while self._wait_for_bell():
            while work := self._claim():
                # Where there was one there may be more, for a neighbour who is idle.
                self.ring()
                self._run(work)

    def _wait_for_bell(self) -> bool:
        """True when it is time to claim, False when the engine drains."""
        with self._changed:
            while not self._draining:
                late = self._retry_at is not None and time.monotonic() >= self._retry_at
                if (self._rung or late) and not self._paused:
                    self._rung, self._retry_at = False, None
                    return True
                self._changed.wait(self._until_retry())
        return False

    def _until_retry(self) -> float | None:
        if self._retry_at is None or self._paused:
            return None
        return max(0.0, self._retry_at - time.monotonic())

    def _claim(self) -> Work | None:
        """The next build, already known to `stop` and `drain`; None when there is nothing to do."""
        with self._changed:
            if self._paused or self._draining:
                return None
            self._claiming += 1
        work = None
        try:
            work = self._reporter.claim(self._offer_now())
        except Exception:
            log.exception("claim-failed", worker=self._offer.worker)
            self._retry_at = time.monotonic() + self._retry_seconds
        finally:
            self._settle_claim(work)
        return work

    def _offer_now(self) -> Offer:
        if self._takes_any_image:
            return self._offer
        return replace(self._offer, images=(*OWN_IMAGES, *self._images()))

    def _settle_claim(self, work: Work | None) -> None:
        with self._changed:
            self._claiming -= 1
            if work:
                stop = self._running[work.lease] = Stop()
                if self._gives_back:
                    stop.set(StopReason.DRAINING)
            self._settled.notify_all()

    def _run(self, work: Work) -> None:
        stop = self._running[work.lease]
        try:
            self._runner.run(work, stop)
        except Exception:
            # The lease runs out and the build is tried again; the slot has to live on.
            log.exception("build-broke", build=work.lease.build_id)
        finally:
            with self._changed:
                del self._running[work.lease]
                self._settled.notify_all()
            stop.close()
