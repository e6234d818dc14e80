"""What waits for workers, as those are told of it who have to be told one by one."""

from collections import Counter
from collections.abc import Iterable

from ciserver.model.overview import Claimable
from ciserver.model.ports import Clock, Engine, WorkerState
from ciserver.store.pauses import QUEUE
from ciserver.store.store import Store


class Backlog:
    """Leaves out what none of the workers that are known could take: to tell them of it again and
    again would keep them busy with nothing. A queue that no worker is known for is counted whole,
    for the first one that comes.
    """

    def __init__(self, store: Store, clock: Clock, engine: Engine) -> None:
        self._store = store
        self._clock = clock
        self._engine = engine

    def count(self) -> dict[str, int]:
        """How many builds wait for workers, by SYSTEM/TRUST."""
        if any(one.worker == QUEUE for one in self._store.pauses.list_all(self._clock.now())):
            return {}
        workers = self._engine.state().workers
        counted: Counter[str] = Counter()
        for one in self._store.overviews.list_claimable():
            if _may_be_taken(one, workers):
                counted[one.queue] += one.builds
        return dict(counted)


def _may_be_taken(what: Claimable, workers: Iterable[WorkerState]) -> bool:
    system = what.queue.partition("/")[0]
    known = [one for one in workers if system in one.systems and one.serves(what.queue)]
    return not known or any(
        one.takes(what.image) and one.has(what.labels) and one.is_for(what.project) for one in known
    )
