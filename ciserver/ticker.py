"""What happens without being asked: loops that sleep until they are rung, and a slow clock."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial, wraps

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from ciserver.bells import Bell, Bells
from ciserver.model.errors import Busy
from ciserver.model.ports import Clock
from ciserver.service.nodes import ALIVE, BEAT_SECONDS, FILES
from ciserver.service.services import Services

log = structlog.get_logger()

_ROUNDS, _UPKEEP = "default", "upkeep"  # threads of the scheduler
_AFTER_CRASH_SECONDS = 5.0
_RESTS = 4  # times as long as the step before took
_LONGEST_REST = 0.25  # seconds
SWEEP_SECONDS = 10
RECONCILE_SECONDS = 60
CLEAN_SECONDS = 600
LOOK_SECONDS = 20
# Where pushes follow each other this closely, they are answered first, and those that ask for the
# same share its evaluation.
REST_SECONDS = 0.02


class Loop:
    """Does `step` until nothing is left, then sleeps until the bell rings or `next_due` comes. Rung
    while it works, it rests before it goes on: for `rest_seconds`, and longer where a step takes
    long, so that who rings has the most of the machine.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        bell: Bell,
        clock: Clock,
        next_due: Callable[[], datetime | None],
        rest_seconds: float = 0.0,
    ) -> None:
        self._step = step
        self._rung = threading.Event()
        bell.on_ring(self._rung.set)
        self._clock = clock
        self._next_due = next_due
        self._rest_seconds = rest_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._rung.set()  # whatever waited before the start
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._rung.set()

    def join(self, timeout_seconds: float) -> None:
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                seconds = self._work()
            except Busy as refusal:  # what waits is still there when the store is back
                log.warning("loop-waits", loop=self._thread.name, why=refusal.message)
                seconds = _AFTER_CRASH_SECONDS
            except Exception:
                log.exception("loop-crashed", loop=self._thread.name)
                seconds = _AFTER_CRASH_SECONDS
            if not self._stopping.is_set():  # whose ring may have been taken for another
                self._rung.wait(seconds)

    def _work(self) -> float | None:
        """Work off what is there; answers how long to sleep, None for until rung."""
        self._rung.clear()
        began = time.monotonic()
        while not self._stopping.is_set() and self._step():
            if self._rest_seconds and self._rung.is_set():
                took = time.monotonic() - began
                self._stopping.wait(max(self._rest_seconds, min(_RESTS * took, _LONGEST_REST)))
                self._rung.clear()
            began = time.monotonic()
        due = self._next_due()
        return None if due is None else max(0.01, (due - self._clock.now()).total_seconds())


class Ticker:
    """The loops of evaluations, deliveries, job requests and schedules, and APScheduler for the
    rounds.
    """

    def __init__(
        self,
        services: Services,
        bells: Bells,
        *,
        guard_disk: Callable[[], None],
        sweep_caches: Callable[[], None],
        sweep_files: Callable[[], None],
        care_for_mirrors: Callable[[], None],
        loops: int = 2,
        lease_seconds: float,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._services = services
        self._guard_disk = guard_disk
        self._sweep_caches = sweep_caches
        self._sweep_files = sweep_files
        self._care_for_mirrors = care_for_mirrors
        self._sweep_seconds = sweep_seconds
        self._lease_seconds = lease_seconds
        self._bells = bells
        self._loops = [
            Loop(f"{name}-{index}", step, bell, services.clock, next_due, rest)
            for name, step, bell, next_due, rest in (
                (
                    "evaluations",
                    services.evaluations.evaluate_next,
                    bells.evaluations,
                    services.evaluations.next_due,
                    REST_SECONDS,
                ),
                (
                    "deliveries",
                    services.deliveries.deliver_next,
                    bells.deliveries,
                    services.deliveries.next_due,
                    0.0,
                ),
            )
            for index in range(loops)
        ]
        self._loops.append(
            Loop(
                "requests",
                services.requests.perform_next,
                bells.requests,
                services.clock,
                lambda: None,
            )
        )
        self._loops.append(
            Loop(
                "polls",
                services.polls.check_next,
                bells.polls,
                services.clock,
                services.polls.next_due,
            )
        )
        self._loops.append(
            Loop(
                "schedules",
                lambda: services.schedules.fire_due() > 0,
                bells.schedules,
                services.clock,
                services.schedules.next_due,
            )
        )
        # Few threads, because each that asks the store keeps a connection. What may take long has
        # its own, so that nobody's lease waits for it.
        self._scheduler = BackgroundScheduler(
            executors={
                _ROUNDS: ThreadPoolExecutor(max_workers=2),
                _UPKEEP: ThreadPoolExecutor(max_workers=1),
            },
            timezone="UTC",
        )

    def start(self) -> None:
        self._guard_disk()
        for loop in self._loops:
            loop.start()
        self._every(self._lease_seconds / 6, self._services.leases.look)
        self._every(self._sweep_seconds, self._guard_disk)
        self._every(self._sweep_seconds, self._sweep_caches)
        self._every(RECONCILE_SECONDS, self._reconcile)
        self._every(CLEAN_SECONDS, self._alone(FILES, self._sweep_files), _UPKEEP)
        self._every(CLEAN_SECONDS, self._care_for_mirrors, _UPKEEP)
        self._every(CLEAN_SECONDS, self._alone("uploads", self._services.uploads.sweep), _UPKEEP)
        self._every(
            RECONCILE_SECONDS, self._alone("logs", self._services.log_keeping.sweep), _UPKEEP
        )
        if self._services.nodes.is_shared:
            _round(self._beat)  # at once: others are to know what this one can do
            self._every(BEAT_SECONDS, self._beat)
        self._every(3600, self._services.access.forget_expired, _UPKEEP)
        # Beside the exact moment, so that a clock that was set is noticed.
        self._every(LOOK_SECONDS, self._bells.schedules.ring_here)
        self._scheduler.start()

    def stop(self, timeout_seconds: float = 5) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for loop in self._loops:
            loop.stop()
        for loop in self._loops:
            loop.join(timeout_seconds)

    def _every(self, seconds: float, job: Callable[[], object], threads: str = _ROUNDS) -> None:
        self._scheduler.add_job(
            partial(_round, job),
            "interval",
            executor=threads,
            seconds=seconds,
            coalesce=True,
            misfire_grace_time=None,
        )

    def _reconcile(self) -> None:
        """Ring again here for whatever waits: a lost ring costs a minute, never a build."""
        bells = self._bells
        for bell in (bells.evaluations, bells.deliveries, bells.builds, bells.requests):
            bell.ring_here()

    def _beat(self) -> None:
        self._services.nodes.look()
        self._services.fleet.report(lasts=ALIVE)

    def _alone(self, name: str, job: Callable[[], None]) -> Callable[[], None]:
        """The job, of which servers of one database do one at a time; the others have nothing to
        do meanwhile.
        """

        @wraps(job)
        def round_alone() -> None:
            with self._services.nodes.alone(name) as is_alone:
                if is_alone:
                    job()

        return round_alone


def _round(job: Callable[[], object]) -> None:
    """The next round does what this one cannot while the store is away."""
    try:
        job()
    except Busy as refusal:
        log.warning("round-skipped", round=getattr(job, "__qualname__", ""), why=refusal.message)
