"""How logs are kept: packed after their attempt has ended, and for how long."""

from datetime import datetime, timedelta

import structlog

from ciserver.model.errors import StorageAway
from ciserver.model.ports import Clock
from ciserver.service.keeping import Keeping, rest
from ciserver.store.log_keeping import EndedLogs
from ciserver.store.store import Store

_AT_ONCE = 100
_LOOK_AGAIN = timedelta(days=1)
_LOOK_SOON = timedelta(hours=1)
# A shorter time that somebody sets later is in force after this.
_LONGEST_REST = timedelta(days=7)
log = structlog.get_logger()


class LogKeeping:
    """`at_least` is how long logs are kept; None: for good. Those of builds that `keeping` holds
    stay longer.
    """

    def __init__(
        self, store: Store, clock: Clock, keeping: Keeping, *, at_least: timedelta | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._keeping = keeping
        self._at_least = at_least

    def sweep(self) -> None:
        """Pack logs that nobody writes any more, and remove those that nothing holds; may be cut
        off at any time, and called again. Each is a transaction of its own, so that no writer
        waits for more than one.
        """
        while due := self._store.log_keeping.list_due(self._clock.now(), _AT_ONCE):
            for one in due:
                self._see_to(one)
                rest()

    def _see_to(self, logs: EndedLogs) -> None:
        try:
            if logs.removed_at is None and not self._is_removed(logs):
                self._pack(logs)
            else:
                self._remove_files(logs)
        except (OSError, StorageAway) as error:
            log.warning(
                "logs-not-packed", build=logs.build_id, attempt=logs.attempt, why=str(error)
            )
            with self._store.transaction():
                self._store.log_keeping.postpone(logs, self._clock.now() + _LOOK_SOON)

    def _is_removed(self, logs: EndedLogs) -> bool:
        """The rows go first: files that are left are found again by them."""
        expires_at = self._expires_at(logs)
        if not self._keeping.lets_go(logs.build_id, expires_at):
            return False
        with self._store.transaction():
            # Somebody may have kept the build meanwhile.
            if not self._keeping.lets_go(logs.build_id, expires_at):
                return False
            self._store.log_keeping.remove(logs, self._clock.now())
        log.info("logs-removed", build=logs.build_id, attempt=logs.attempt)
        return True

    def _pack(self, logs: EndedLogs) -> None:
        files, steps = self._store.files, self._store.log_keeping.steps(logs)
        size = sum(files.pack_log(logs.build_id, logs.attempt, one) for one in steps)
        with self._store.transaction():
            self._store.log_keeping.count(logs, size, self._next_look(logs))

    def _remove_files(self, logs: EndedLogs) -> None:
        for step in self._store.log_keeping.steps(logs):
            self._store.files.remove_log(logs.build_id, logs.attempt, step)
        with self._store.transaction():
            self._store.log_keeping.forget(logs)

    def _expires_at(self, logs: EndedLogs) -> datetime | None:
        return logs.ended_at + self._at_least if self._at_least else None

    def _next_look(self, logs: EndedLogs) -> datetime:
        now, expires_at = self._clock.now(), self._expires_at(logs)
        if expires_at is None:
            return now + _LONGEST_REST
        return min(max(expires_at, now + _LOOK_AGAIN), now + _LONGEST_REST)
