"""Which workers fell silent, and not only for want of somebody who listened."""

from datetime import datetime, timedelta

import structlog

from ciserver.model.ports import Clock
from ciserver.service.builds import Builds
from ciserver.store.store import Store

log = structlog.get_logger(__name__)


class Leases:
    """Looks for leases of `seconds` that ran out, and has to be called every few seconds.

    A lease runs by the clock of the server, and says nothing while no worker could renew it: while
    the server was away or suspended, or its database was, or when its clock was set. After such a
    time everybody gets a whole lease, so that attempts end with their workers and not with the
    server.
    """

    def __init__(self, store: Store, clock: Clock, builds: Builds, *, seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._builds = builds
        self._lease = timedelta(seconds=seconds)
        self._looked_at: datetime | None = None

    def look(self) -> None:
        """Queue the builds of silent workers again. Raises Busy while the database is away."""
        now = self._clock.now()
        if self._has_listened_until(now):
            self._builds.rescue_lost()
        else:
            with self._store.transaction():
                self._store.attempts.renew_all(now + self._lease)
            log.info("leases-run-anew", looked_at=self._looked_at)
        self._looked_at = now

    def _has_listened_until(self, now: datetime) -> bool:
        """Workers renew after a third of a lease, so that no renewal was missed in two thirds."""
        before = self._looked_at
        return before is not None and timedelta(0) <= now - before <= self._lease * 2 / 3
