"""Job groups: builds that somebody joined, to be told of the end of all of them together."""

from datetime import datetime

from ciserver.model.build import Build, TriggerSpec
from ciserver.model.frozen import frozen


@frozen
class JobGroup:
    """A build is in one group, or in none. `ended_at` is when all of them had ended for the first
    time: what becomes of them later is no end of the group.
    """

    id: int
    owner: str
    note: str
    triggers: tuple[TriggerSpec, ...]
    created_at: datetime
    ended_at: datetime | None = None


@frozen
class JobGroupView:
    """A group with its builds, in the order of their ids."""

    group: JobGroup
    builds: tuple[Build, ...]
