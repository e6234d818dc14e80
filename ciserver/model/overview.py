"""What there is on the whole server at a glance: what runs and waits, how jobsets stand, what a
search finds.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from ciserver.model.build import Build, Step
from ciserver.model.evaluation import Evaluation
from ciserver.model.frozen import frozen
from ciserver.model.job import Address
from ciserver.model.ports import BrokerState, WorkerState
from ciserver.model.project import Jobset
from ciserver.model.status import BuildStatus, EvaluationStatus
from ciserver.model.storage import Kept, Waiting
from ciserver.model.view import ProjectSummary


@frozen
class Counts:
    """What an evaluation came to: builds of earlier that it found there are good ones."""

    open: int = 0
    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        return self.open + self.good + self.bad


@frozen
class JobsetStanding:
    """A jobset with what its newest evaluation with builds came to, and what was last heard of it:
    its open evaluations and the newest that ended, newest first.
    """

    jobset: Jobset
    counts: Counts
    newest: tuple[Evaluation, ...]


@frozen
class StepOfBuild:
    build: Build
    step: Step


@frozen
class QueueShare:
    """How many unfinished builds a jobset has for a system, and since when."""

    project: str
    jobset: str
    system: str
    builds: int
    oldest: datetime
    newest: datetime


@frozen
class Claimable:
    """How many builds wait for the same workers."""

    project: str
    queue: str  # SYSTEM/TRUST
    image: str
    labels: tuple[str, ...]
    builds: int


@frozen
class QueueSummary:
    """The unfinished builds by jobset and by system, the largest numbers first; `is_whole` unless
    there are more than were counted.
    """

    jobsets: tuple[QueueShare, ...]
    systems: Mapping[str, int]
    is_whole: bool

    @property
    def total(self) -> int:
        return sum(self.systems.values())


@frozen
class Machine:
    """A worker, why it takes no builds (empty when it does), and how many builds in a row ended at
    once through it.
    """

    worker: WorkerState
    idle_because: str
    faults: int = 0

    @property
    def has_capacity(self) -> bool:
        return not self.idle_because and self.worker.busy < self.worker.slots


# Upper ends in seconds; what lasts longer is beyond the last.
DURATIONS = (
    *(5, 15, 60, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400),
    *(172_800, 259_200, 345_600, 518_400, 604_800, 691_200),
)


@frozen
class Histogram:
    """How many of some durations lie below each of DURATIONS; all of them, and their sum."""

    below: tuple[int, ...] = (0,) * len(DURATIONS)
    count: int = 0
    seconds: float = 0.0

    def plus(self, seconds: float) -> "Histogram":
        below = tuple(
            many + (seconds <= end) for many, end in zip(self.below, DURATIONS, strict=True)
        )
        return Histogram(below, self.count + 1, self.seconds + seconds)


@frozen
class Gauges:
    """The server in numbers. `ended` and `durations` count since its start."""

    builds: Mapping[BuildStatus, int]  # that have not ended
    builds_made: int
    evaluations: Mapping[EvaluationStatus, int]  # that have not ended
    evaluations_made: int
    deliveries_pending: int
    ended: Mapping[BuildStatus, int]
    durations: Mapping[str, Histogram]  # of builds that ended, by worker
    machines: tuple[Machine, ...]
    broker: BrokerState | None
    started_at: datetime
    kept: Kept  # of all projects
    projects_full: int  # that keep as much as they may
    waiting: Waiting  # for the object storage


@frozen
class Found:
    """What a search found; `builds` have the number or revision, `derived` the derivation."""

    projects: tuple[ProjectSummary, ...] = ()
    jobsets: tuple[JobsetStanding, ...] = ()
    jobs: tuple[Address, ...] = ()
    builds: tuple[Build, ...] = ()
    derived: tuple[Build, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.projects or self.jobsets or self.jobs or self.builds or self.derived)


@frozen
class RunnerState:
    """How the engine is, if one runs: what it did since the start of the server and does now."""

    is_up: bool
    started_at: datetime
    now: datetime
    unfinished: int
    claimable: int
    running: int
    ended: int
    machines: tuple[Machine, ...] = field(default=())
