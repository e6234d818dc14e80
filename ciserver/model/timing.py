"""How long builds wait, and pushes take until all of their builds have ended."""

from datetime import datetime

from ciserver.model.build import Build
from ciserver.model.frozen import frozen


@frozen
class Wait:
    """A build that was queued and then started."""

    system: str
    seconds: float


@frozen
class WaitTimes:
    """How long the builds waited that started in a time: for each system, how many there were in
    each block of so many minutes; the last block has whatever waited longer. `waiting` are those
    that still do.
    """

    since: datetime
    until: datetime
    block_minutes: int
    systems: dict[str, tuple[int, ...]]
    waiting: tuple[Build, ...]

    @property
    def total(self) -> int:
        return sum(map(sum, self.systems.values()))


@frozen
class PushTime:
    """An evaluation whose builds have all ended; `ended_at` is the end of the last of them."""

    evaluation_id: int
    revision: str
    subject: str
    requested_at: datetime
    ended_at: datetime
    builds: int
    good: int

    @property
    def is_green(self) -> bool:
        return self.good == self.builds

    @property
    def seconds(self) -> float:
        return max(0.0, (self.ended_at - self.requested_at).total_seconds())
