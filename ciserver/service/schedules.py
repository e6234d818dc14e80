"""Schedules: made, shown, and fired exactly once for each due moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from ciserver.git.address import check_ref
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Conflict, Invalid, NotFound
from ciserver.model.evaluation import NO_WISH, Evaluation, Kind, Wish
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.model.project import Jobset
from ciserver.model.push import trust_of
from ciserver.model.request import Action
from ciserver.model.schedule import (
    Firing,
    PgoStrategy,
    Schedule,
    ScheduleKind,
    Timing,
    count_due,
    faults,
    latest_due,
    next_due,
)
from ciserver.model.status import EvaluationStatus
from ciserver.service.audit import Audit
from ciserver.service.declarations import BY_PEOPLE
from ciserver.service.rights import Rights
from ciserver.store.store import Store

log = structlog.get_logger()

# So many are fired in one transaction: enough to be quick, few enough to let others write.
_BATCH = 100
_INSTANT = timedelta(microseconds=1)


@frozen
class FiringView:
    firing: Firing
    evaluation: Evaluation | None

    @property
    def result(self) -> str:
        """What came of it, in words."""
        if self.evaluation is None:
            return self.firing.outcome
        one = self.evaluation
        if one.note:
            return one.note
        if one.complaints:
            return f"{one.status}: {one.complaints[0]}"
        if one.builds_total:
            return f"{one.builds_good} of {one.builds_total} builds good"
        return one.status.value

    @property
    def has_failed(self) -> bool:
        """Whether what was wanted did not come of it; that nothing has changed is no failure."""
        if self.evaluation is None:
            return True
        one = self.evaluation
        has_ended = one.builds_finished == one.builds_total
        return one.status is EvaluationStatus.FAILED or (
            has_ended and one.builds_good < one.builds_total
        )


@frozen
class ScheduleView:
    """A schedule with its newest firings and what is wrong with it, if anything."""

    schedule: Schedule
    firings: tuple[FiringView, ...]
    warnings: tuple[str, ...]


class Schedules:
    """`ring` wakes the evaluators; `wake` tells whoever sleeps until the next due moment that it
    has changed.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rights: Rights,
        audit: Audit,
        *,
        ring: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit
        self._ring = ring
        self._wake = wake

    # -- made -------------------------------------------------------------------------------------

    def add(
        self,
        actor: Actor,
        project: str,
        jobset: str,
        kind: ScheduleKind,
        timing: Timing,
        *,
        ref: str = "HEAD",
        only_if_changed: bool | None = None,
        last_good: bool = False,
        runs_script: bool = False,
        declared_by: str = "command",
    ) -> Schedule:
        """Make a schedule. Raises Invalid with every fault."""
        now = self._clock.now()
        with self._audit.record(
            actor, Action.ADD_SCHEDULE, jobset=f"{project}:{jobset}", kind=kind
        ):
            Rights.require_scope(actor, Right.EDIT.scope)
            found, unknown = self._find_jobset(actor, project, jobset)
            complaints = [*unknown, *faults(timing), *_ref_faults(ref)]
            if found and runs_script and not found.settings.script.script:
                complaints.append(Complaint("script", f"{found.full_name} has no script to run"))
            if found is None or complaints:
                raise Invalid("the schedule cannot be made", complaints=complaints)
            schedule_id = self._store.schedules.add(
                found.id,
                kind,
                timing,
                ref=ref,
                only_if_changed=kind.only_if_changed
                if only_if_changed is None
                else only_if_changed,
                last_good=last_good,
                declared_by=declared_by,
                now=now,
                next_due_at=next_due(timing, now),
                runs_script=runs_script,
            )
        self._wake()
        return self._store.schedules.get(schedule_id)

    def _find_jobset(
        self, actor: Actor, project: str, name: str
    ) -> tuple[Jobset | None, list[Complaint]]:
        try:
            return self._rights.jobset(actor, project, name, Right.EDIT), []
        except NotFound as error:
            return None, [Complaint("jobset", error.message)]

    def remove(self, actor: Actor, schedule_id: int) -> None:
        """Raises NotFound, and Invalid for one that its recipe declares."""
        with self._changing(actor, Action.REMOVE_SCHEDULE, schedule_id) as schedule:
            if schedule.declared_by not in BY_PEOPLE:
                raise Invalid(
                    f"schedule {schedule_id} is declared in {schedule.declared_by}",
                    hint="take it out of the recipe of the default branch, or pause it",
                )
            self._store.schedules.remove(schedule_id)
        self._wake()

    def pause(self, actor: Actor, schedule_id: int, *, paused: bool) -> Schedule:
        """Fire no more, or go on with the next due moment; one that is overdue stays so when it
        was not paused. Raises NotFound.
        """
        with self._changing(actor, Action.CHANGE_SCHEDULE, schedule_id) as schedule:
            if schedule.paused != paused:
                due = None if paused else next_due(schedule.timing, self._clock.now())
                self._store.schedules.pause(schedule_id, paused=paused, next_due_at=due)
        self._wake()
        return self._store.schedules.get(schedule_id)

    def set_pgo_strategy(
        self, actor: Actor, project: str, jobset: str, strategy: PgoStrategy
    ) -> Jobset:
        """How the jobset makes its PGO builds. Raises NotFound."""
        with self._audit.record(
            actor, Action.CHANGE_JOBSET, jobset=f"{project}:{jobset}", pgo_strategy=strategy
        ):
            found = self._rights.jobset(actor, project, jobset, Right.EDIT)
            self._store.jobsets.set_pgo_strategy(found.id, strategy)
        return self._store.jobsets.get_by_name(project, jobset)

    # -- fired ------------------------------------------------------------------------------------

    def fire(self, actor: Actor, schedule_id: int) -> int:
        """Fire now, whatever the clock says and whether or not something changed; answers the
        evaluation. Raises NotFound, and Conflict where the jobset wants no PGO builds at all.
        """
        now = self._clock.now()
        fired = self._changing(actor, Action.FIRE_SCHEDULE, schedule_id, Right.EVALUATE)
        with fired as schedule:
            self._refuse_unwanted(schedule)
            evaluation_id = self._request(schedule, now, actor.name, chooses=False)
            self._store.schedules.add_firing(
                Firing(schedule.id, now, now, missed=0, evaluation_id=evaluation_id, outcome="")
            )
        self._ring()
        return evaluation_id

    @contextmanager
    def _changing(
        self, actor: Actor, action: Action, schedule_id: int, right: Right = Right.EDIT
    ) -> Iterator[Schedule]:
        """One recorded change of a schedule that the actor may make."""
        schedule = self._seen(actor, schedule_id)
        jobset = f"{schedule.project}:{schedule.jobset}"
        with self._audit.record(actor, action, jobset=jobset, schedule=schedule_id):
            self._rights.project(actor, schedule.project, right)
            yield schedule

    def _seen(self, actor: Actor, schedule_id: int) -> Schedule:
        """Raises NotFound, also for one of a project that the actor may not see."""
        schedule = self._store.schedules.get(schedule_id)
        try:
            self._rights.project(actor, schedule.project)
        except NotFound:
            raise NotFound(f"there is no schedule {schedule_id}") from None
        return schedule

    def _refuse_unwanted(self, schedule: Schedule) -> None:
        strategy = self._store.jobsets.get(schedule.jobset_id).pgo_strategy
        if schedule.kind is ScheduleKind.PGO and strategy is PgoStrategy.NONE:
            name = f"{schedule.project}:{schedule.jobset}"
            raise Conflict(
                f"the PGO strategy of {name} is none",
                hint=f"change it: ciserver schedule pgo-strategy {name} manual",
            )

    def fire_due(self) -> int:
        """Fire what is due. Moments that were missed together are fired once. Answers how many
        schedules moved on; safe to call as often as one likes, from several servers.
        """
        now, fired = self._clock.now(), 0
        while due := self._store.schedules.list_due(now, _BATCH):
            with self._store.transaction():
                moved = sum(self._fire_one(one, now) for one in due)
            fired += moved
            self._ring()
            if not moved:
                break
        return fired

    def next_due(self) -> datetime | None:
        """When the next schedule is due."""
        return self._store.schedules.next_due()

    def _fire_one(self, schedule: Schedule, now: datetime) -> bool:
        first = schedule.next_due_at
        if first is None:
            return False
        due = _due(schedule.timing, first, now)
        # Of two servers one moves it on.
        if not self._store.schedules.move_on(schedule, due.following):
            return False
        outcome = due.fault or self._obstacle(schedule)
        firing = Firing(schedule.id, due.at, now, due.missed, None, outcome)
        # The row is unique: a moment that comes again, the clock having been set back, is over.
        if not self._store.schedules.add_firing(firing):
            return True
        if not outcome:
            self._store.schedules.link(firing, self._request(schedule, now, "", chooses=True))
        log.info("schedule-fired", schedule=schedule.id, due_at=due.at.isoformat(), outcome=outcome)
        return True

    def _obstacle(self, schedule: Schedule) -> str:
        """Why a due schedule requests nothing; empty when nothing is in the way."""
        obstacle = self._idle_reason(schedule)
        if obstacle:
            return obstacle
        under_way = self._store.schedules.find_under_way(schedule.id)
        return f"the firing before it still runs (evaluation {under_way})" if under_way else ""

    def _idle_reason(self, schedule: Schedule) -> str:
        project_is_on, jobset_is_on, strategy = self._store.schedules.switches(schedule.jobset_id)
        name = f"{schedule.project}:{schedule.jobset}"
        if not project_is_on:
            return f"project {schedule.project} is disabled"
        if not jobset_is_on:
            return f"jobset {name} is disabled"
        if schedule.kind is ScheduleKind.PGO and strategy is not PgoStrategy.PERIODIC:
            return f"the PGO strategy of {name} is {strategy}"
        return ""

    def _request(self, schedule: Schedule, now: datetime, by: str, *, chooses: bool) -> int:
        ref = self._ref(schedule)
        return self._store.evaluations.request(
            schedule.jobset_id,
            kind=Kind(schedule.kind.value),
            ref=ref,
            revision="",
            options=(),
            requested_by=by or f"schedule {schedule.id}",
            push_id=None,
            now=now,
            schedule_id=schedule.id if chooses else None,
            trust=trust_of(ref),
            wish=Wish(script=True) if schedule.runs_script else NO_WISH,
        )

    def _ref(self, schedule: Schedule) -> str:
        """A script is run at what its jobset names, unless the schedule names something."""
        if schedule.runs_script and schedule.ref == "HEAD":
            source = self._store.jobsets.get(schedule.jobset_id).source
            return source.ref if source else schedule.ref
        return schedule.ref

    # -- shown ------------------------------------------------------------------------------------

    def list_all(self, actor: Actor) -> tuple[ScheduleView, ...]:
        sight = self._rights.sight(actor)
        return tuple(self._view(one, 1) for one in self._store.schedules.list_all(sight))

    def list_of_jobset(self, actor: Actor, jobset: Jobset) -> tuple[ScheduleView, ...]:
        return tuple(self._view(one, 1) for one in self._store.schedules.list_of_jobset(jobset.id))

    def show(self, actor: Actor, schedule_id: int) -> ScheduleView:
        """One schedule with its history. Raises NotFound."""
        return self._view(self._seen(actor, schedule_id), 50)

    def _view(self, schedule: Schedule, firings: int) -> ScheduleView:
        shown = tuple(
            FiringView(
                one,
                self._store.evaluations.get(one.evaluation_id) if one.evaluation_id else None,
            )
            for one in self._store.schedules.list_firings(schedule.id, firings)
        )
        return ScheduleView(schedule, shown, tuple(self._warnings(schedule, shown)))

    def _warnings(self, schedule: Schedule, firings: tuple[FiringView, ...]) -> list[str]:
        warnings = []
        if not schedule.paused and schedule.next_due_at is None:
            warnings.append("it is never due")
        idle = self._idle_reason(schedule)
        if idle:
            warnings.append(idle)
        newest = firings[0].evaluation if firings else None
        if newest and newest.skipped and not newest.builds_total:
            warnings.append(
                f"no job of the recipe is built for kind {schedule.kind} (evaluation {newest.id})"
            )
        return warnings


@frozen
class _Due:
    """The newest moment that is due, how many before it were missed, and the one that follows."""

    at: datetime
    missed: int
    following: datetime | None
    fault: str = ""


def _due(timing: Timing, first: datetime, now: datetime) -> _Due:
    """One whose time zone is known no more is not due again, and holds up no other."""
    try:
        newest = latest_due(timing, first - _INSTANT, now) or first
        missed = count_due(timing, first - _INSTANT, newest) - 1
        return _Due(newest, max(0, missed), next_due(timing, now))
    except Invalid as error:
        return _Due(first, 0, None, "; ".join(map(str, error.complaints)))


def _ref_faults(ref: str) -> list[Complaint]:
    if ref == "HEAD":
        return []
    try:
        check_ref(ref)
    except Invalid as error:
        return [Complaint("ref", error.message)]
    return []
