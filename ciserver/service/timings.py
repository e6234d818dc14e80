"""How long it takes: from queue to worker, and from a push until all of its builds have ended."""

from collections import defaultdict
from datetime import datetime

from ciserver.model.account import Actor
from ciserver.model.project import Jobset
from ciserver.model.timing import PushTime, WaitTimes
from ciserver.service.rights import Rights
from ciserver.store.store import Store

BLOCK_MINUTES = 15
_BLOCKS = 9  # the last is for two hours and more
_BUILDS = 10_000
_WAITING = 500
_PUSHES = 60


class Timings:
    """Of what the actor may see of a jobset that they see."""

    def __init__(self, store: Store, rights: Rights) -> None:
        self._store = store
        self._rights = rights

    def waits(self, actor: Actor, jobset: Jobset, since: datetime, until: datetime) -> WaitTimes:
        """Of the builds that started in this time; of very many, of the newest."""
        sight = self._rights.sight_of(actor, jobset)
        counts: dict[str, list[int]] = defaultdict(lambda: [0] * _BLOCKS)
        for one in self._store.timings.waits(sight, jobset.id, since, until, limit=_BUILDS):
            counts[one.system][min(int(one.seconds / 60 / BLOCK_MINUTES), _BLOCKS - 1)] += 1
        return WaitTimes(
            since,
            until,
            BLOCK_MINUTES,
            {system: tuple(counts[system]) for system in sorted(counts)},
            self._store.listings.waiting(sight, jobset.id, limit=_WAITING),
        )

    def pushes(self, actor: Actor, jobset: Jobset) -> tuple[PushTime, ...]:
        """The newest pushes of which every build has ended, oldest first."""
        sight = self._rights.sight_of(actor, jobset)
        return self._store.timings.pushes(sight, jobset.id, limit=_PUSHES)[::-1]
