"""How builds ended since the start of this process: kept in memory, to be looked at from outside
again and again.
"""

import threading
from collections import Counter

from ciserver.model.build import Build
from ciserver.model.overview import Histogram
from ciserver.model.status import BuildStatus


class Counters:
    """Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: Counter[BuildStatus] = Counter()
        self._durations: dict[str, Histogram] = {}

    def count(self, build: Build) -> None:
        """A build ended, on a worker or before it came to one."""
        with self._lock:
            self._ended[build.status] += 1
            if build.worker and build.started_at and build.finished_at:
                seconds = (build.finished_at - build.started_at).total_seconds()
                known = self._durations.get(build.worker, Histogram())
                self._durations[build.worker] = known.plus(seconds)

    def ended(self) -> dict[BuildStatus, int]:
        """How many ended in each way."""
        with self._lock:
            return dict(self._ended)

    def durations(self) -> dict[str, Histogram]:
        """How long builds took, by worker."""
        with self._lock:
            return dict(self._durations)
