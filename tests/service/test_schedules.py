"""Schedules fire exactly once for each due moment, whatever happens to clocks and servers.

`CISERVER_FAULTS=long` simulates a whole year; `CISERVER_FAULTS_SEED` repeats a run by the seed it
printed.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
from bisect import bisect_right
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import peewee
import pytest
from support.clock import StillClock
from support.factories import ADMIN, ALL, Factory, make_job
from support.postgresql import on_both
from support.waiting import until

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import ANONYMOUS, Actor
from ciserver.model.errors import Forbidden, Invalid, NotFound, NotSignedIn
from ciserver.model.evaluation import Kind, SkippedJob
from ciserver.model.schedule import PgoStrategy, ScheduleKind, Timing
from ciserver.model.status import BuildStatus, EvaluationStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts
from ciserver.wiring import make_parts

LONG = os.environ.get("CISERVER_FAULTS") == "long"
HOURLY = Timing(every_seconds=3600)
NIGHTLY, PGO, PERIODIC = ScheduleKind.NIGHTLY, ScheduleKind.PGO, ScheduleKind.PERIODIC
NOON = StillClock().now()


@pytest.fixture
def schedules(services):
    return services.schedules


@pytest.fixture
def add(schedules, make):
    """Adds a schedule, of a jobset of its own and due every full hour; answers its id."""

    def add(timing=HOURLY, *, jobset=None, kind=NIGHTLY, **rest):
        jobset = jobset or make.jobset()
        return schedules.add(ADMIN, jobset.project, jobset.name, kind, timing, **rest).id

    return add


@pytest.fixture
def history(schedules):
    """The firings of a schedule, oldest first."""

    def history(schedule_id):
        return [one.firing for one in reversed(schedules.show(ADMIN, schedule_id).firings)]

    return history


def settle(store, now):
    """End every evaluation that is open, as one that made no builds."""
    for one in store.evaluations.list_open(ALL, 1000):
        store.evaluations.finish(one.id, EvaluationStatus.SUCCEEDED, now)


def hour(number):
    return NOON.replace(hour=number)


# -- exactly once ---------------------------------------------------------------------------------


def test_nothing_is_fired_before_it_is_due(add, schedules, clock, history):
    """Neither at once nor a moment before, and without schedules nothing happens."""
    assert (schedules.fire_due(), schedules.next_due()) == (0, None)
    one = add()
    clock.forward(minutes=59, seconds=59, microseconds=999_999)
    assert (schedules.fire_due(), schedules.next_due()) == (0, hour(13))
    assert history(one) == []


def test_a_due_moment_is_an_evaluation_and_a_row(add, schedules, clock, store, history):
    """The evaluation is of the schedule's kind and ref and says which schedule asked for it."""
    one = add(kind=PGO, ref="refs/heads/stable")
    clock.forward(hours=1, seconds=3)
    assert schedules.fire_due() == 1
    (firing,) = history(one)
    assert (firing.due_at, firing.fired_at, firing.missed) == (hour(13), clock.now(), 0)
    evaluation = store.evaluations.get(firing.evaluation_id)
    assert (evaluation.kind, evaluation.ref, evaluation.revision) == (
        Kind.PGO,
        "refs/heads/stable",
        "",
    )
    assert (evaluation.schedule_id, evaluation.requested_by) == (one, f"schedule {one}")
    assert schedules.next_due() == hour(14)


def test_looking_again_fires_nothing(add, schedules, clock, store, history):
    """However often somebody looks, a due moment is one firing and one evaluation."""
    one = add()
    clock.forward(hours=1)
    assert [schedules.fire_due() for _ in range(3)] == [1, 0, 0]
    assert len(history(one)) == len(store.evaluations.list_open(ALL, 10)) == 1


def test_what_was_missed_runs_once(add, schedules, clock, store, history):
    """A server that was off for five hours fires the newest moment and counts the four before."""
    one = add()
    clock.forward(hours=5, minutes=20)
    assert schedules.fire_due() == 1
    (firing,) = history(one)
    assert (firing.due_at, firing.missed) == (hour(17), 4)
    assert len(store.evaluations.list_open(ALL, 10)) == 1
    assert schedules.next_due() == hour(18)


def test_many_are_fired_in_one_go(add, schedules, clock, make, history):
    """More than fit into one transaction, each once."""
    jobset = make.jobset()
    ids = [add(jobset=jobset) for _ in range(120)]
    clock.forward(hours=1)
    assert schedules.fire_due() == 120
    assert {len(history(one)) for one in ids} == {1}


@pytest.mark.parametrize(
    "steps",
    [
        [30, 30, 30, -60, 30, 30, 30, 30, 30],  # back, as in 13:30, 12:30, 13:00 once more
        [60, -60, 60, -60, 60, 60, 60],
        [30, 60, 30, 30, 60],  # forward, and it stays so
        [30, 120, -60, 30, 30, 30, 30],  # forward by mistake, and back again
    ],
)
def test_a_clock_that_is_set(add, schedules, clock, store, history, steps):
    """No moment of those that the clock has shown is left out, and none is fired twice."""
    one, latest = add(), NOON
    for minutes in steps:
        latest = max(latest, clock.forward(minutes=minutes))
        schedules.fire_due()
        settle(store, clock.now())
    fired = history(one)
    assert sum(1 + firing.missed for firing in fired) == (latest - NOON) // timedelta(hours=1)
    assert len({firing.due_at for firing in fired}) == len(fired)
    assert all(firing.evaluation_id for firing in fired)


def test_a_moment_that_comes_again_is_over(add, schedules, clock, store, history):
    """Paused and resumed after the clock was set back, it is due at the same moment once more:
    nothing is requested, and the moment after it is fired.
    """
    one = add()
    clock.forward(hours=1)
    schedules.fire_due()
    settle(store, clock.now())
    clock.forward(minutes=-10)
    for paused in (True, False):
        schedules.pause(ADMIN, one, paused=paused)
    assert schedules.next_due() == hour(13)
    clock.forward(minutes=10)
    schedules.fire_due()
    assert store.evaluations.list_open(ALL, 10) == ()
    assert schedules.next_due() == hour(14)
    clock.forward(hours=1)
    schedules.fire_due()
    assert [firing.due_at for firing in history(one)] == [hour(13), hour(14)]


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", date(2026, 3, 29)),
        ("Europe/Berlin", date(2026, 10, 25)),
        ("America/New_York", date(2026, 3, 8)),
        ("America/New_York", date(2026, 11, 1)),
    ],
)
def test_both_changes_of_the_clocks(add, schedules, clock, store, history, zone, change):
    """A time that is skipped in spring and one that is repeated in autumn are fired once a day."""
    begin = datetime.combine(change - timedelta(days=1), time(), ZoneInfo(zone))
    clock.forward(seconds=(begin - clock.now()).total_seconds())
    one = add(Timing(cron="30 1,2 * * *", zone=zone))
    for _ in range(2 * 24 * 3):
        clock.forward(minutes=30)
        schedules.fire_due()
        settle(store, clock.now())
    days = Counter(firing.due_at.astimezone(ZoneInfo(zone)).date() for firing in history(one))
    assert days == {change + timedelta(days=day): 2 for day in (-1, 0, 1)}


# -- several servers, and servers that are killed -------------------------------------------------


@pytest.fixture
def many(add, make, clock):
    """More schedules than are fired in one transaction, all due."""
    jobset = make.jobset()
    ids = [add(jobset=jobset) for _ in range(120)]
    clock.forward(hours=1)
    return ids


def check_each_fired_once(store, ids):
    (evaluations,) = store.database.sql("SELECT COUNT(*) FROM evaluations").fetchone()
    assert evaluations == len(ids)
    firings = [store.schedules.list_firings(one, 10) for one in ids]
    assert {len(one) for one in firings} == {1}
    assert len({one.evaluation_id for (one,) in firings}) == len(ids)


@on_both
def test_two_servers_and_their_threads(parts, many, clock, store):
    """Four threads of two servers over one data directory: each moment is fired by one."""
    other = make_parts(parts.settings, DataDirectory(parts.data.root), clock=clock)
    moved, start = [], threading.Barrier(4)

    def fire(one):
        start.wait()
        moved.append(one.services.schedules.fire_due())
        one.store.database.close()

    threads = [threading.Thread(target=fire, args=(one,)) for one in (parts, other) * 2]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    other.store.database.close()
    assert len(moved) == 4
    assert sum(moved) == len(many)
    check_each_fired_once(store, many)


FIRE = """
import sys
from datetime import datetime
from pathlib import Path
from ciserver.config import Database, Settings
from ciserver.datadir import DataDirectory
from ciserver.wiring import make_parts

class Clock:
    def now(self):
        return datetime.fromisoformat(sys.argv[2])

settings = Settings(database=Database(sys.argv[3]))
parts = make_parts(settings, DataDirectory(Path(sys.argv[1])), clock=Clock())
print("ready", flush=True)
sys.stdin.readline()
parts.services.schedules.fire_due()
"""


def start_firing(parts, now):
    """A process of its own that is ready to fire what is due."""
    url = parts.settings.database.url
    command = [sys.executable, "-c", FIRE, str(parts.data.root), now.isoformat(), url]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert made.stdout.readline() == "ready\n"
    return made


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


@on_both
def test_two_processes(parts, many, clock, store):
    """Processes that fire at the same time: each moment is fired by one."""
    processes = [start_firing(parts, clock.now()) for _ in range(2)]
    for one in processes:
        go(one)
    for one in processes:
        one.communicate(timeout=30)
        assert one.returncode == 0
    check_each_fired_once(store, many)


@on_both
def test_a_process_that_is_killed_in_the_midst(parts, many, clock, store, schedules):
    """What it fired it fired whole, and the next one fires the rest and no more."""
    process = start_firing(parts, clock.now())
    go(process)
    until(lambda: store.database.sql("SELECT COUNT(*) FROM firings").fetchone()[0])
    process.kill()
    process.communicate(timeout=30)
    schedules.fire_due()
    check_each_fired_once(store, many)


@pytest.mark.usefixtures("sqlite_alone")
@pytest.mark.parametrize(
    "step", ["UPDATE ON schedules", "INSERT ON evaluations", "UPDATE ON firings"]
)
def test_a_step_that_breaks(add, schedules, clock, store, history, step):
    """Whichever step of a firing fails, nothing of it is left, and it is fired once later."""
    one = add()
    clock.forward(hours=1)
    store.database.sql(
        f"CREATE TRIGGER fault BEFORE {step} BEGIN SELECT RAISE(ABORT, 'fault'); END"
    )
    with pytest.raises(peewee.IntegrityError, match="fault"):
        schedules.fire_due()
    assert history(one) == []
    assert store.evaluations.list_open(ALL, 10) == ()
    store.database.sql("DROP TRIGGER fault")
    assert schedules.fire_due() == 1
    check_each_fired_once(store, [one])


def test_a_bell_that_breaks(parts, many, schedules, store):
    """What was fired before the evaluators could be woken is not fired again."""
    broken = [OSError("the bell is broken")]

    def ring():
        if broken:
            raise broken.pop()

    parts.bells.evaluations.on_ring(ring)
    with pytest.raises(OSError, match="bell"):
        schedules.fire_due()
    schedules.fire_due()
    check_each_fired_once(store, many)


def test_a_time_zone_that_is_gone_holds_up_no_other(add, schedules, clock, store, history):
    """A schedule whose zone the machine knows no more says so and is due no more."""
    lost, other = add(), add()
    gone = store.schedules.get(lost)
    store.database.sql(
        "UPDATE schedules SET timing = replace(timing, 'UTC', 'Mars/Base') WHERE id = ?", (gone.id,)
    )
    clock.forward(hours=1)
    assert schedules.fire_due() == 2
    assert history(other)[0].evaluation_id
    (firing,) = history(lost)
    assert firing.evaluation_id is None
    assert "'Mars/Base' is not a known time zone" in firing.outcome
    assert schedules.show(ADMIN, lost).warnings == ("it is never due",)


# -- paused, removed, under way, idle -------------------------------------------------------------


def test_a_paused_one_does_not_fire(add, schedules, clock, history):
    """What comes due meanwhile is not made up for: it goes on with the next due moment."""
    one = add()
    assert schedules.pause(ADMIN, one, paused=True).paused
    clock.forward(hours=3, minutes=5)
    assert (schedules.fire_due(), schedules.next_due()) == (0, None)
    resumed = schedules.pause(ADMIN, one, paused=False)
    assert (resumed.paused, resumed.next_due_at) == (False, hour(16))
    clock.forward(hours=1)
    schedules.fire_due()
    assert [(each.due_at, each.missed) for each in history(one)] == [(hour(16), 0)]


def test_to_resume_what_is_not_paused_changes_nothing(add, schedules, clock, history):
    """A moment that is overdue stays so."""
    one = add()
    clock.forward(hours=2)
    assert schedules.pause(ADMIN, one, paused=False).next_due_at == hour(13)
    schedules.fire_due()
    assert [each.missed for each in history(one)] == [1]


def test_a_removed_one_is_gone_but_its_history(add, schedules, clock, store):
    """It does not fire and is in no list; what it fired stays in the store."""
    one = add()
    clock.forward(hours=1)
    schedules.fire_due()
    schedules.remove(ADMIN, one)
    clock.forward(hours=1)
    assert (schedules.fire_due(), schedules.next_due()) == (0, None)
    assert schedules.list_all(ADMIN) == ()
    for ask in (schedules.show, schedules.remove, schedules.fire):
        with pytest.raises(NotFound):
            ask(ADMIN, one)
    assert len(store.schedules.list_firings(one, 10)) == 1


def test_no_second_evaluation_while_one_is_open(add, schedules, clock, store, history):
    """The due moment is written down with the reason; the next one after the end is built."""
    one = add()
    clock.forward(hours=1)
    schedules.fire_due()
    clock.forward(hours=1)
    schedules.fire_due()
    settle(store, clock.now())
    clock.forward(hours=1)
    schedules.fire_due()
    first, between, last = history(one)
    assert between.evaluation_id is None
    assert between.outcome == f"the firing before it still runs (evaluation {first.evaluation_id})"
    assert (between.due_at, between.missed) == (hour(14), 0)
    assert last.evaluation_id not in {None, first.evaluation_id}


def test_no_second_evaluation_while_a_build_is_open(
    add, schedules, clock, store, history, services
):
    """Builds of the last firing count as much as its evaluation."""
    one = add()
    clock.forward(hours=1)
    schedules.fire_due()
    (fired,) = history(one)
    job = make_job()
    with store.transaction():
        texts = Texts(store.queue.add_text(job_to_json(job)))
        store.queue.add(store.evaluations.get(fired.evaluation_id), job, texts, clock.now())
        store.evaluations.count_builds(fired.evaluation_id, total=1)
        store.evaluations.finish(fired.evaluation_id, EvaluationStatus.SUCCEEDED, clock.now())
    clock.forward(hours=1)
    schedules.fire_due()
    (build,) = store.builds.list_of_evaluation(fired.evaluation_id)
    assert services.builds.cancel(ADMIN, build.id).status is BuildStatus.CANCELED
    clock.forward(hours=1)
    schedules.fire_due()
    assert [bool(each.evaluation_id) for each in history(one)] == [True, False, True]


@pytest.mark.parametrize("what", ["project", "jobset"])
def test_what_is_disabled_builds_nothing(add, schedules, clock, store, make, history, what):
    """The reason is a warning at once, and what came of the due moment."""
    jobset = make.jobset("hello")
    one = add(jobset=jobset)
    make.disable(jobset, what)
    name = "hello:main" if what == "jobset" else "hello"
    assert schedules.show(ADMIN, one).warnings == (f"{what} {name} is disabled",)
    clock.forward(hours=1)
    schedules.fire_due()
    assert [each.outcome for each in history(one)] == [f"{what} {name} is disabled"]
    assert store.evaluations.list_open(ALL, 10) == ()


@pytest.mark.parametrize("strategy", PgoStrategy)
def test_pgo_schedules_are_of_the_periodic_strategy(add, schedules, clock, make, history, strategy):
    """With another one a PGO schedule fires nothing and says why; a nightly one does not care."""
    jobset = make.jobset("hello")
    pgo, nightly = add(jobset=jobset, kind=PGO), add(jobset=jobset)
    assert schedules.set_pgo_strategy(ADMIN, "hello", "main", strategy).pgo_strategy is strategy
    clock.forward(hours=1)
    schedules.fire_due()
    said = f"the PGO strategy of hello:main is {strategy}"
    wanted = "" if strategy is PgoStrategy.PERIODIC else said
    assert [each.outcome for each in history(pgo)] == [wanted]
    assert schedules.show(ADMIN, pgo).warnings == ((wanted,) if wanted else ())
    assert history(nightly)[0].evaluation_id


def test_a_kind_that_no_job_is_for_is_a_warning(add, schedules, clock, store, history):
    """Known once an evaluation has left out every job."""
    one = add()
    clock.forward(hours=1)
    schedules.fire_due()
    (fired,) = history(one)
    skipped = [SkippedJob("build", "when.kinds: nightly is none of push")]
    store.evaluations.finish(
        fired.evaluation_id, EvaluationStatus.SKIPPED, clock.now(), skipped=skipped
    )
    (warning,) = schedules.show(ADMIN, one).warnings
    assert warning.startswith("no job of the recipe is built for kind nightly")


# -- by hand --------------------------------------------------------------------------------------


def test_fired_by_hand(add, schedules, store, clock, history):
    """At once, also while it is paused; who asked is known, and the next due moment stays."""
    one = add()
    schedules.pause(ADMIN, one, paused=True)
    made = store.evaluations.get(schedules.fire(ADMIN, one))
    assert (made.kind, made.requested_by, made.schedule_id) == (Kind.NIGHTLY, "root", None)
    assert [(each.due_at, each.evaluation_id) for each in history(one)] == [(NOON, made.id)]
    schedules.pause(ADMIN, one, paused=False)
    assert schedules.next_due() == hour(13)


def test_by_hand_is_not_joined_to_what_was_due(add, schedules, clock, history):
    """What waits because it was due may find nothing new; what is asked for by hand is built."""
    one = add()
    clock.forward(hours=1)
    schedules.fire_due()
    (due,) = history(one)
    clock.forward(seconds=1)
    assert schedules.fire(ADMIN, one) != due.evaluation_id


# -- made, and refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "changed"), [(NIGHTLY, True), (PGO, True), (PERIODIC, False)])
def test_what_a_kind_does_by_itself(add, schedules, kind, changed):
    """Nightly and PGO builds are for what changed, periodic ones are not; each can be told."""
    assert schedules.show(ADMIN, add(kind=kind)).schedule.only_if_changed is changed
    told = add(kind=kind, only_if_changed=not changed)
    assert schedules.show(ADMIN, told).schedule.only_if_changed is not changed


def test_every_fault_of_a_schedule_is_told(schedules):
    """Jobset, timing and ref at once, each with its field."""
    wrong = Timing(cron="61 24 0 13 8", zone="Europe/Berlim")
    with pytest.raises(Invalid) as refused:
        schedules.add(ADMIN, "nobody", "main", NIGHTLY, wrong, ref="refs/../x")
    told = {one.field: one.message for one in refused.value.complaints}
    assert set(told) == {
        "jobset",
        "cron.minute",
        "cron.hour",
        "cron.day of month",
        "cron.month",
        "cron.day of week",
        "zone",
        "ref",
    }
    assert told["jobset"] == "there is no project nobody"
    assert told["zone"].endswith("did you mean Europe/Berlin?")


@pytest.mark.parametrize("cron", ["0 3 30 2 *", "0 3 31 4,6,9,11 *"])
def test_a_date_that_never_comes_is_refused(add, schedules, cron):
    """It would never be due, and nothing is written."""
    with pytest.raises(Invalid) as refused:
        add(Timing(cron=cron))
    assert "never due" in refused.value.complaints[0].message
    assert schedules.list_all(ADMIN) == ()


def test_whoever_sleeps_until_the_next_one_is_woken(add, schedules, parts):
    """When a schedule is made, paused, resumed and removed."""
    rung = []
    parts.bells.schedules.on_ring(lambda: rung.append(schedules.next_due()))
    one = add()
    for paused in (True, False):
        schedules.pause(ADMIN, one, paused=paused)
    schedules.remove(ADMIN, one)
    assert rung == [hour(13), None, hour(13), None]


def test_the_evaluators_are_woken(add, schedules, parts, clock, store):
    """Once what they are to do is there."""
    rung = []
    parts.bells.evaluations.on_ring(lambda: rung.append(len(store.evaluations.list_open(ALL, 10))))
    one = add()
    schedules.fire(ADMIN, one)
    clock.forward(hours=1)
    settle(store, clock.now())
    schedules.fire_due()
    assert rung == [1, 1]


CHANGES = {
    "add": lambda schedules, actor, _: schedules.add(actor, "hello", "main", NIGHTLY, HOURLY),
    "pause": lambda schedules, actor, one: schedules.pause(actor, one, paused=True),
    "resume": lambda schedules, actor, one: schedules.pause(actor, one, paused=False),
    "remove": lambda schedules, actor, one: schedules.remove(actor, one),
    "strategy": lambda schedules, actor, _: schedules.set_pgo_strategy(
        actor, "hello", "main", PgoStrategy.NONE
    ),
    "fire": lambda schedules, actor, one: schedules.fire(actor, one),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_may_change_and_who_may_fire(add, schedules, make, store, change):
    """Everybody reads; projects:write changes, builds:write fires, and neither does the other."""
    one = add(jobset=make.jobset("hello"))
    assert [each.schedule.id for each in schedules.list_all(ANONYMOUS)] == [one]
    assert schedules.show(ANONYMOUS, one).schedule.id == one
    scopes = ["projects:write", "builds:write"]
    if change == "fire":
        scopes.reverse()
    may, may_not = (Actor("ada", is_admin=True, scopes=(scope,)) for scope in scopes)
    with pytest.raises(NotSignedIn):
        CHANGES[change](schedules, ANONYMOUS, one)
    with pytest.raises(Forbidden):
        CHANGES[change](schedules, may_not, one)
    assert store.schedules.get(one).paused is False
    assert store.evaluations.list_open(ALL, 10) == ()
    CHANGES[change](schedules, may, one)


# -- a simulated year -----------------------------------------------------------------------------

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")
# The hours are those that the clocks skip and repeat. Which local times are meant is said twice:
# to the server, and to the oracle beneath.
TIMINGS = {
    NIGHTLY: {"cron": "30 2 * * *"},
    PGO: {"hours": (1, 7, 13, 19), "minutes": (30,)},
    PERIODIC: {"cron": "15 * * * *"},
}
TIMES_OF_DAY = {NIGHTLY: (time(2, 30),), PGO: tuple(time(hour, 30) for hour in (1, 7, 13, 19))}
YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
SPRING = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 5, tzinfo=UTC))
AUTUMN = (datetime(2026, 10, 18, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))


def intended(kind, zone, begin, end):
    """The oracle: every moment after the beginning at which the schedule should be fired."""
    if kind is PERIODIC:
        quarters = (begin + timedelta(minutes=15) * index for index in range(1, 4 * 24 * 367))
        moments = [one for one in quarters if one.astimezone(zone).minute == 15]
    else:
        days = [begin.date() + timedelta(days=index) for index in range(-1, 368)]
        moments = [
            datetime.combine(day, at, zone).astimezone(UTC)
            for day in days
            for at in TIMES_OF_DAY[kind]
        ]
    return [one for one in moments if begin < one <= end]


class Simulation:
    """Servers that come and go over one data directory, and a clock that leaps."""

    def __init__(self, data, begin, end, chance):
        self.clock, self.end, self.chance = StillClock(begin), end, chance
        self.data, self.begin = DataDirectory(data), begin
        self.starts = self.faults = self.looks = 0
        self.start()
        jobset = Factory(self.parts, self.clock).jobset("year")
        self.ids = {
            (kind, zone): self.parts.services.schedules.add(
                ADMIN, "year", jobset.name, kind, Timing(**TIMINGS[kind], zone=zone)
            ).id
            for kind in TIMINGS
            for zone in ZONES
        }

    def start(self):
        self.parts = make_parts(Settings(), self.data, clock=self.clock)
        self.starts += 1

    def run(self):
        while self.clock.now() < self.end:
            self.leap()
            if self.chance.random() < 0.1:
                self.kill()
            self.parts.services.schedules.fire_due()
            self.looks += 1
            if self.chance.random() < 0.95:  # else the builds go on past the next due moment
                settle(self.parts.store, self.clock.now())
        self.parts.store.database.close()

    def leap(self):
        """Seconds to days; now and then the clock is set back by up to an hour."""
        seconds = 10 ** self.chance.uniform(0, 5.3)
        if self.chance.random() < 0.05:
            seconds = -self.chance.uniform(0, 3600)
        leap = min(timedelta(seconds=seconds), self.end - self.clock.now())
        self.clock.forward(microseconds=leap // timedelta(microseconds=1))

    def kill(self):
        """The server ends in the midst of a firing, or between two, and another one starts."""
        store, table = self.parts.store, self.chance.choice(["evaluations", "firings", ""])
        if table:
            fault = f"BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'killed'); END"
            store.database.sql(f"CREATE TRIGGER fault {fault}")
            with contextlib.suppress(peewee.IntegrityError):
                self.parts.services.schedules.fire_due()
                self.faults -= 1
            self.faults += 1
            store.database.sql("DROP TRIGGER fault")
        store.database.close()
        self.start()


def check_ledger(found, wanted):
    """Every intended moment belongs to one firing: it is its due moment, or counted as missed."""
    places = [bisect_right(wanted, firing.due_at) for firing in found]
    assert [wanted[place - 1] for place in places] == [firing.due_at for firing in found]
    gaps = [place - before - 1 for before, place in zip([0, *places], places, strict=False)]
    assert [firing.missed for firing in found] == gaps
    assert places[-1] == len(wanted)


@pytest.mark.slow
@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.parametrize(
    "span", [YEAR] if LONG else [SPRING, AUTUMN], ids=lambda span: f"{span[0]:%b}"
)
def test_a_simulated_year(tmp_path, span):
    """Whatever leaps the clock makes and however often servers are killed, every intended local
    time is fired once, or counted as missed in one firing.
    """
    seed = int(os.environ.get("CISERVER_FAULTS_SEED") or random.randrange(10**6))
    print(f"\nCISERVER_FAULTS_SEED={seed}")
    simulation = Simulation(tmp_path / "data", *span, random.Random(seed))
    simulation.run()
    print(
        f"{span[0]:%Y-%m-%d} to {span[1]:%Y-%m-%d}: {simulation.looks} looks,"
        f" {simulation.starts} servers, {simulation.faults} killed in the midst of a firing"
    )
    print(f"{'kind':<10}{'zone':<18}{'intended':>9}{'fired':>7}{'held':>6}{'missed':>8}")
    for (kind, zone), schedule_id in simulation.ids.items():
        found = simulation.parts.store.schedules.list_firings(schedule_id, 10**6)[::-1]
        wanted = intended(kind, ZoneInfo(zone), *span)
        held = sum(firing.evaluation_id is None for firing in found)
        missed = sum(firing.missed for firing in found)
        counts = f"{len(wanted):>9}{len(found) - held:>7}{held:>6}{missed:>8}"
        print(f"{kind:<10}{zone:<18}{counts}")
        check_ledger(found, wanted)
    simulation.parts.store.database.close()
