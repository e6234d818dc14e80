"""Threads for requests: what waitress calls a dispatcher."""

import threading
import time
from collections import deque
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Task(Protocol):
    """A request that has come in, or more of one."""

    def service(self) -> None: ...

    def cancel(self) -> None: ...


class RequestThreads:
    """So many threads at most. One is started when all others are busy, and the one that was busy
    last is the next to work: each that ever worked keeps a connection to the database and memory
    of its own, so a server has as many as it needs at once, and not as many as it may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)  # a thread has ended, for `shutdown`
        self._waiting: deque[Task] = deque()
        self._idle: list[_Turn] = []
        self._running = 0
        self._is_over = False

    def add_task(self, task: Task) -> None:
        """Let it be served at once, or by the first thread that is free."""
        with self._lock:
            if self._idle:
                self._idle.pop().give(task)
            elif self._running < self._most:
                self._running += 1
                name = f"request-{self._running}"
                threading.Thread(target=self._serve, args=(task,), name=name, daemon=True).start()
            else:
                self._waiting.append(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Let threads end what they do, for so many seconds; what waits is canceled."""
        until = time.monotonic() + timeout
        with self._lock:
            self._is_over = True
            for turn in self._idle:
                turn.give(None)
            self._idle.clear()
            while self._running and (left := until - time.monotonic()) > 0:
                self._settled.wait(left)
            if self._running:
                log.warning("requests-still-open", count=self._running)
            waiting = [*self._waiting] if cancel_pending else []
            self._waiting.clear()
        for task in waiting:
            task.cancel()
        return bool(waiting)

    def _serve(self, first: Task) -> None:
        task: Task | None = first
        while task is not None:
            try:
                task.service()
            except Exception:
                log.exception("request-broke")
            task = self._next()

    def _next(self) -> Task | None:
        with self._lock:
            if self._is_over:
                self._end()
                return None
            if self._waiting:
                return self._waiting.popleft()
            turn = _Turn()
            self._idle.append(turn)
        task = turn.take()
        if task is None:
            with self._lock:
                self._end()
        return task

    def _end(self) -> None:
        self._running -= 1
        self._settled.notify_all()


class _Turn:
    """An idle thread's wait for its next task, or for the end."""

    def __init__(self) -> None:
        self._given = threading.Lock()
        self._given.acquire()
        self._task: Task | None = None

    def give(self, task: Task | None) -> None:
        self._task = task
        self._given.release()

    def take(self) -> Task | None:
        self._given.acquire()
        return self._task
