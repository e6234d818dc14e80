"""Logs are read while they are written: by range, or by waiting for what comes next."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO

from ciserver.model.build import Step
from ciserver.model.errors import Busy, Gone
from ciserver.model.status import StepStatus
from ciserver.model.view import LogChunk
from ciserver.store.store import Store

CHUNK_LIMIT = 1024 * 1024


class Logs:
    """Each waiting reader holds a thread of the server, so there is a budget for them. A waiting
    one is rung; every `look_seconds` it is seen whether somebody still listens. `ring` rings the
    bell of logs about a build, which is heard here as well, by `wake`.
    """

    def __init__(
        self,
        store: Store,
        *,
        followers: int,
        ring: Callable[[int], None],
        look_seconds: float = 1.0,
    ) -> None:
        self._store = store
        self._ring = ring
        self._look_seconds = look_seconds
        self._budget = threading.BoundedSemaphore(followers)
        self._lock = threading.Lock()
        self._waiting: dict[int, list[threading.Event]] = defaultdict(list)

    def announce(self, build_id: int) -> None:
        """Something of this build's logs or steps is new."""
        self._ring(build_id)

    def wake(self, build_id: int) -> None:
        """The bell of logs was rung about this build, here or on another server."""
        with self._lock:
            for event in self._waiting.get(build_id, ()):
                event.set()

    def read(
        self,
        build_id: int,
        attempt: int,
        step: int,
        *,
        offset: int,
        wait_seconds: float = 0,
        has_left: Callable[[], bool] = bool,
    ) -> LogChunk:
        """At most 1 MiB of a step's log from `offset`. With nothing there yet, wait for it, but
        not for a reader who `has_left`.
        Raises NotFound, Gone when it was removed, and Busy when too many readers wait already.
        """
        chunk = self._read(build_id, attempt, step, offset)
        if not chunk.size:
            self._check_there(build_id, attempt)
        if chunk.content or chunk.complete or not wait_seconds:
            return chunk
        end = time.monotonic() + wait_seconds
        with self._follower(build_id) as changed:
            while True:
                changed.clear()
                # Looked at after enlisting: what came in between would ring for nobody.
                chunk = self._read(build_id, attempt, step, offset)
                left = end - time.monotonic()
                if chunk.content or chunk.complete or left <= 0 or has_left():
                    return chunk
                changed.wait(min(left, self._look_seconds))

    def open(self, build_id: int, step: Step) -> IO[bytes] | None:
        """The whole log as a file; None when nothing was written yet. Raises Gone."""
        try:
            return self._store.files.open_log(
                build_id, step.attempt, step.number, live=not step.has_ended
            )
        except FileNotFoundError:
            self._check_there(build_id, step.attempt)
            return None

    def size(self, build_id: int, step: Step) -> int:
        """How many bytes of the log there are now."""
        return self._store.files.log_size(
            build_id, step.attempt, step.number, live=not step.has_ended
        )

    def count_lines(self, build_id: int, step: Step, end: int) -> int:
        """How many line feeds stand before `end`."""
        return self._store.files.count_log_lines(
            build_id, step.attempt, step.number, end, live=not step.has_ended
        )

    def removed_at(self, build_id: int, attempt: int) -> datetime | None:
        """When the logs of an attempt were removed, if they were."""
        return self._store.log_keeping.removed_at(build_id, attempt)

    def _check_there(self, build_id: int, attempt: int) -> None:
        """Asked where a log is empty. Raises Gone for one that was removed."""
        if at := self.removed_at(build_id, attempt):
            raise removed(build_id, at)

    def tail(self, build_id: int, step: Step, limit: int) -> tuple[LogChunk, int]:
        """The last `limit` bytes of a log, and the number of the line they begin in. Raises Gone
        when it was removed.
        """
        size = self.size(build_id, step)
        if not size:
            self._check_there(build_id, step.attempt)
        offset = max(0, size - limit)
        line = 1 + self.count_lines(build_id, step, offset)
        live = not step.has_ended
        content = self._store.files.read_log(
            build_id, step.attempt, step.number, offset, size - offset, live=live
        )
        complete = not live and offset + len(content) >= size
        return LogChunk(offset, content, size, complete), line

    @contextmanager
    def _follower(self, build_id: int) -> Iterator[threading.Event]:
        if not self._budget.acquire(blocking=False):
            raise Busy("too many readers follow logs right now", hint="read again without waiting")
        event = threading.Event()
        with self._lock:
            self._waiting[build_id].append(event)
        try:
            yield event
        finally:
            with self._lock:
                mine = self._waiting.get(build_id, [])
                if event in mine:
                    mine.remove(event)
                if not mine:
                    self._waiting.pop(build_id, None)
            self._budget.release()

    def _read(self, build_id: int, attempt: int, step: int, offset: int) -> LogChunk:
        # The status before the bytes: a step that had ended writes no more.
        found = self._store.builds.get_step(build_id, attempt, step)
        live = not found.has_ended and not self._never_begins(found)
        content = self._store.files.read_log(
            build_id, attempt, step, offset, CHUNK_LIMIT, live=live
        )
        size = self._store.files.log_size(build_id, attempt, step, live=live)
        return LogChunk(offset, content, size, not live and offset + len(content) >= size)

    def _never_begins(self, step: Step) -> bool:
        """Whether its attempt has ended before it, as when the setup failed."""
        if step.status is not StepStatus.PENDING:
            return False
        attempts = self._store.builds.list_attempts(step.build_id)
        return any(one.number == step.attempt and one.finished_at for one in attempts)


def removed(build_id: int, at: datetime) -> Gone:
    return Gone(f"the log of build {build_id} was removed on {at:%Y-%m-%d}: it was old enough")
