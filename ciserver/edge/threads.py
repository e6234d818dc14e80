"""Threads for requests, one of which looks for them: what waitress calls a dispatcher."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)
PATIENCE = 0.005  # seconds that a request may hold up all others
_IDLE_SECONDS = 60.0


class Task(Protocol):
    """A request that has come in, or more of one."""

    def service(self) -> None: ...

    def cancel(self) -> None: ...


class RequestThreads:
    """One thread leads: it looks for requests and serves them itself, one after the other. So most
    cost no change of threads, and threads do not compete for the interpreter. Where a request takes
    longer than others should wait, or says that it is going to wait, it goes on in its thread, and
    another one leads from then on.

    At most so many requests are served at once, and one thread more looks for others. Each that
    ever worked keeps a connection to the database and memory of its own, so there are as many as
    are needed at once: the one that worked last is the next to lead, and one that was not needed
    for a minute ends.

    `look` adds what tasks there are, and waits for some at most as long as it likes; `wake` ends
    such a wait. A thread that ends calls `leave`.
    """

    def __init__(
        self,
        most: int,
        look: Callable[[], None],
        wake: Callable[[], None],
        leave: Callable[[], None],
        *,
        patience: float = PATIENCE,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._most, self._look, self._wake, self._leave = most, look, wake, leave
        self._patience, self._idle_seconds = patience, idle_seconds
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)  # a thread has ended, for `shutdown`
        self._waiting: deque[Task] = deque()
        self._idle: list[threading.Lock] = []  # each is released to call its thread
        self._running = self._started = 0
        self._leader = 0  # which thread
        self._count = self._serving = 0  # the number of what the leader serves; 0: it looks
        self._is_serving = threading.Event()  # rung when it began while nobody watched
        self._over = threading.Event()
        self._fault: BaseException | None = None

    def run(self) -> None:
        """Have requests served until `shutdown`, and see that none holds up the others. Raises what
        `look` raised.
        """
        with self._lock:
            self._appoint()
        while not self._over.is_set():
            if not self._serving:
                self._is_serving.clear()
                if not self._serving:
                    self._is_serving.wait()
            seen = self._serving
            self._over.wait(self._patience)
            if seen and seen == self._serving:
                with self._lock:
                    if seen == self._serving:
                        self._appoint()
        if self._fault:
            raise self._fault

    def add_task(self, task: Task) -> None:
        """Let it be served after those that came before."""
        self._waiting.append(task)

    def hand_over(self) -> None:
        """Called by a request that is going to wait, so that others need not wait with it."""
        me = threading.get_ident()
        if self._leader == me:
            with self._lock:
                if self._leader == me:  # and nobody found meanwhile that it takes too long
                    self._appoint()

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Let threads end what they do, for so many seconds; what waits is canceled."""
        until = time.monotonic() + timeout
        with self._lock:
            self._end_all()
            self._wake()
            while self._running and (left := until - time.monotonic()) > 0:
                self._settled.wait(left)
            if self._running:
                log.warning("requests-still-open", count=self._running)
            waiting = [*self._waiting] if cancel_pending else []
            self._waiting.clear()
        for task in waiting:
            task.cancel()
        return bool(waiting)

    def _appoint(self) -> None:
        """Have another thread lead."""
        if self._idle:
            self._idle.pop().release()
        else:
            name = f"request-{self._started + 1}"
            try:
                threading.Thread(target=self._work, name=name, daemon=True).start()
            except RuntimeError:
                log.warning("no-thread-for-requests", running=self._running)
                return
            self._started += 1
            self._running += 1
        self._leader = self._serving = 0

    def _work(self) -> None:
        is_needed = True
        try:
            while is_needed:
                self._lead()
                is_needed = self._rest()
        except BaseException as error:
            log.exception("looking-for-requests-broke")
            self._fault = error
            with self._lock:
                self._end_all()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._leave()
        except Exception:
            log.exception("leaving-broke")
        with self._lock:
            self._running -= 1
            self._settled.notify_all()
            if self._waiting and not self._over.is_set():
                self._wake()  # for what waited until there is room for another thread

    def _lead(self) -> None:
        """Look for requests and serve them, as long as this thread leads."""
        me = threading.get_ident()
        with self._lock:
            self._leader = me
        while not self._over.is_set():
            while self._waiting and self._has_another():
                self._count += 1
                self._serving = self._count
                if not self._is_serving.is_set():
                    self._is_serving.set()
                self._serve(self._waiting.popleft())
                with self._lock:
                    if self._leader != me:
                        return
                    self._serving = 0
                if self._over.is_set():
                    return
            self._look()

    def _has_another(self) -> bool:
        """Whether there is, or may be, another thread to lead: otherwise this one only looks."""
        return bool(self._idle) or self._running <= self._most

    def _serve(self, task: Task) -> None:
        try:
            task.service()
        except Exception:
            log.exception("request-broke")

    def _rest(self) -> bool:
        """Wait until this thread shall lead; False when it is needed no more."""
        called = threading.Lock()
        called.acquire()
        with self._lock:
            if self._over.is_set():
                return False
            self._idle.append(called)
            if self._waiting:
                self._wake()  # the leader may have waited for another thread
        if not called.acquire(timeout=self._idle_seconds):
            with self._lock:
                if called in self._idle:
                    self._idle.remove(called)
                    return False
        return True

    def _end_all(self) -> None:
        self._over.set()
        self._is_serving.set()
        for called in self._idle:
            called.release()
        self._idle.clear()
