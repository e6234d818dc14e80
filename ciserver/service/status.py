"""How the server is: what runs and waits, how jobsets stand, its workers, and all in numbers."""

from collections import Counter
from collections.abc import Iterable

from ciserver.model.account import Actor, Right
from ciserver.model.build import Build, Output
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.job import Address
from ciserver.model.overview import (
    Counts,
    Gauges,
    Histogram,
    JobsetStanding,
    Machine,
    QueueShare,
    QueueSummary,
    RunnerState,
    StepOfBuild,
)
from ciserver.model.ports import BrokerState, Clock, Engine
from ciserver.model.project import Jobset
from ciserver.model.status import StepStatus
from ciserver.model.view import BuildFacts, Pause, Told
from ciserver.service.counters import Counters
from ciserver.service.evaluation_lists import Reasons
from ciserver.service.pauses import list_pauses
from ciserver.service.rights import Rights
from ciserver.service.storage import Storage
from ciserver.service.waiting import why_idle, why_unwanted
from ciserver.store.store import Store

MOST_BUILDS = 1_000  # of a list
MOST_PERIODS = 1_000
MOST_COUNTED = 10_000  # unfinished builds, for who does not see everything
BUILDS_WITH_STEPS = 20  # whose steps are the latest
_PERIODS = {"hour": 3_600, "day": 86_400}


class Status:
    """Lists have what the actor may see; `reasons` tells why builds wait. The numbers of the whole
    server are for everybody: they name nothing.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        reasons: Reasons,
        counters: Counters,
        storage: Storage,
        *,
        most_counted: int = MOST_COUNTED,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._reasons = reasons
        self._counters = counters
        self._storage = storage
        self._most_counted = most_counted
        self._started_at = clock.now()
        self._engine: Engine | None = None

    def run_on(self, engine: Engine) -> None:
        """Name the engine that runs builds."""
        self._engine = engine

    # -- the queue --------------------------------------------------------------------------------

    def unfinished(self, actor: Actor, *, limit: int = MOST_BUILDS) -> tuple[Build, ...]:
        """What runs and waits, in the order of the queue."""
        return self._store.overviews.list_unfinished(
            self._rights.sight(actor), limit=min(limit, MOST_BUILDS)
        )

    def count_unfinished(self, actor: Actor) -> int:
        """How many builds run and wait; who does not see everything is told of MOST_COUNTED at
        most.
        """
        return self._store.overviews.count_unfinished(
            self._rights.sight(actor), most=self._most_counted
        )

    def queue_summary(self, actor: Actor) -> QueueSummary:
        """The first MOST_COUNTED of what runs and waits, by jobset and by system."""
        shares = self._store.overviews.share_queue(
            self._rights.sight(actor), most=self._most_counted
        )
        systems: Counter[str] = Counter()
        for one in shares:
            systems[one.system] += one.builds
        return QueueSummary(
            tuple(sorted(_by_jobset(shares), key=lambda one: -one.builds)),
            dict(systems.most_common()),
            is_whole=systems.total() < self._most_counted,
        )

    def facts(self, actor: Actor, builds: Iterable[Build]) -> tuple[BuildFacts, ...]:
        """What lists tell of builds that have not ended, in a bounded number of statements."""
        builds = tuple(builds)
        reasons = self._reasons(actor, builds)
        return tuple(
            BuildFacts(one, (), Output(), Told(), reasons.get(one.id, "")) for one in builds
        )

    # -- steps ------------------------------------------------------------------------------------

    def running_steps(self, actor: Actor) -> tuple[StepOfBuild, ...]:
        """Every step that runs, by the number of its build."""
        builds = self._store.builds.list_running(self._rights.sight(actor))
        return tuple(one for one in self._steps(builds) if one.step.status is StepStatus.RUNNING)

    def latest_steps(self, actor: Actor) -> tuple[StepOfBuild, ...]:
        """The steps of the builds that ended last, the newest first."""
        sight = self._rights.sight(actor)
        builds = self._store.ended.list_builds(sight, limit=BUILDS_WITH_STEPS)
        steps = [one for one in self._steps(builds) if one.step.finished_at]
        steps.sort(key=lambda one: (one.step.finished_at, one.build.id, one.step.number))
        return tuple(reversed(steps))

    def _steps(self, builds: tuple[Build, ...]) -> list[StepOfBuild]:
        steps = self._store.builds.steps_of(builds)
        return [StepOfBuild(one, step) for one in builds for step in steps[one.id]]

    # -- counted ----------------------------------------------------------------------------------

    def count_ended(
        self, actor: Actor, period: str, periods: int, place: Address, system: str = ""
    ) -> tuple[int, ...]:
        """How many builds ended in each of the newest hours or days in which any did, oldest
        first: at most MOST_PERIODS, as far as the builds that ended last tell. Raises Invalid.
        """
        if period not in _PERIODS:
            fault = Complaint("period", f"must be {' or '.join(_PERIODS)}")
            raise Invalid("the builds cannot be counted", complaints=[fault])
        return self._store.ended.count(
            self._rights.sight(actor),
            place,
            system=system,
            seconds=_PERIODS[period],
            periods=min(periods, MOST_PERIODS),
        )

    # -- jobsets ----------------------------------------------------------------------------------

    def jobsets_of(self, actor: Actor, project: str) -> tuple[JobsetStanding, ...]:
        """How the jobsets of a project stand; hidden ones are for those who have rights there.
        Raises NotFound.
        """
        found = self._rights.project(actor, project)
        jobsets = self._store.jobsets.list_of_project(found.id)
        if not any(
            self._rights.may_in(actor, right, project) for right in Right if right is not Right.READ
        ):
            jobsets = tuple(one for one in jobsets if not one.settings.hidden)
        return self.standings(actor, jobsets)

    def standings(self, actor: Actor, jobsets: Iterable[Jobset]) -> tuple[JobsetStanding, ...]:
        """How jobsets stand that the actor sees, in a bounded number of statements."""
        jobsets = tuple(jobsets)
        ids, sight = [one.id for one in jobsets], self._rights.sight_of(actor, *jobsets)
        heard = self._store.overviews.heard(sight, ids)
        counts = self._store.overviews.current(sight, ids)
        return tuple(
            JobsetStanding(one, counts.get(one.id, Counts()), heard[one.id]) for one in jobsets
        )

    # -- the server -------------------------------------------------------------------------------

    def machines(self, actor: Actor) -> tuple[Machine, ...]:
        """The workers, by name; none where no engine runs builds."""
        if self._engine is None:
            return ()
        pauses = {one.worker: one for one in self._pauses(actor)}
        inactive, faults = self._store.systems.inactive(), self._store.worker_faults.totals()
        return tuple(
            Machine(
                one,
                why_idle(one, pauses) or why_unwanted(one, inactive),
                faults.get(one.name, 0),
            )
            for one in sorted(self._engine.state().workers, key=lambda one: one.name)
        )

    def _pauses(self, actor: Actor) -> tuple[Pause, ...]:
        return list_pauses(self._store, actor, self._clock.now())

    def broker(self) -> BrokerState | None:
        """The message broker that tells workers of builds; None where there is none."""
        return self._engine.state().broker if self._engine is not None else None

    def runner(self, actor: Actor) -> RunnerState:
        """How the engine is."""
        machines = self.machines(actor)
        unfinished = self._store.overviews.count_open()
        return RunnerState(
            is_up=self._engine is not None,
            started_at=self._started_at,
            now=self._clock.now(),
            unfinished=sum(unfinished.values()),
            claimable=self._store.overviews.count_claimable(),
            running=sum(many for status, many in unfinished.items() if not status.is_waiting),
            ended=sum(self._counters.ended().values()),
            machines=machines,
        )

    def gauges(self, actor: Actor) -> Gauges:
        """The server in numbers, in a bounded number of statements that indexes answer."""
        overviews = self._store.overviews
        return Gauges(
            builds=overviews.count_open(),
            builds_made=overviews.count_made(),
            evaluations=overviews.count_open_evaluations(),
            evaluations_made=overviews.count_evaluations(),
            deliveries_pending=self._store.outbox.count_pending(),
            ended=self._counters.ended(),
            durations=self._counters.durations(),
            machines=self.machines(actor),
            broker=self.broker(),
            started_at=self._started_at,
            kept=self._storage.totals(),
            projects_full=len(self._storage.list_full()),
            waiting=self._store.files.waiting(),
        )

    def running_durations(self, actor: Actor) -> dict[str, Histogram]:
        """For how long the steps that run have been running, by worker."""
        found: dict[str, Histogram] = {}
        now = self._clock.now()
        for one in self.running_steps(actor):
            if one.step.started_at:
                known = found.get(one.build.worker, Histogram())
                seconds = (now - one.step.started_at).total_seconds()
                found[one.build.worker] = known.plus(seconds)
        return found


def _by_jobset(shares: Iterable[QueueShare]) -> Iterable[QueueShare]:
    """Over all systems."""
    found: dict[tuple[str, str], QueueShare] = {}
    for one in shares:
        known = found.get((one.project, one.jobset), one)
        both = known.builds + one.builds if known is not one else one.builds
        found[one.project, one.jobset] = QueueShare(
            *(one.project, one.jobset, "", both),
            *(min(known.oldest, one.oldest), max(known.newest, one.newest)),
        )
    return found.values()
