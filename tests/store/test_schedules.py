"""Schedules and firings as rows: what is due is found by its index, a due moment is fired once."""

from datetime import timedelta

import pytest
from support.factories import ALL
from support.statements import recorded

from ciserver.model.errors import NotFound
from ciserver.model.schedule import Firing, ScheduleKind, Timing

MANY = 2_000
HOURLY = Timing(every_seconds=3600)


@pytest.fixture
def add(store, make, clock):
    """Adds a schedule that is due in an hour, unless it says otherwise; answers it."""
    jobset = make.jobset("project")

    def add(timing=HOURLY, **changes):
        fields = {
            "ref": "HEAD",
            "only_if_changed": True,
            "last_good": False,
            "declared_by": "command",
            "now": clock.now(),
            "next_due_at": clock.now() + timedelta(hours=1),
        }
        with store.transaction():
            made = store.schedules.add(
                jobset.id, ScheduleKind.NIGHTLY, timing, **{**fields, **changes}
            )
        return store.schedules.get(made)

    return add


def cost(store, ask):
    """How many hundreds of SQLite's machine steps it takes."""
    hundreds, connection = [0], store.database.connection()

    def count():
        hundreds[0] += 1

    connection.set_progress_handler(count, 100)
    try:
        ask()
    finally:
        connection.set_progress_handler(None, 0)
    return hundreds[0]


@pytest.fixture
def many(store, add):
    """A table full of schedules that are due in an hour, paused or removed."""
    model = add()
    for paused, removed in ((0, 0), (1, 0), (0, 1)):
        store.database.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO schedules (jobset_id, kind, timing, ref, only_if_changed, last_good,"
            " runs_script, paused, removed, declared_by, created_at, next_due_at)"
            " SELECT jobset_id, kind, timing, ref, 1, 0, 0, ?, ?, 'page', created_at, next_due_at"
            " FROM n, schedules WHERE id = ?",
            (MANY, paused, removed, model.id),
        )
    return store


@pytest.mark.parametrize("question", ["due", "next"])
def test_what_is_due_is_found_by_its_index(many, clock, question, database_url):
    """Looking costs the same however many schedules wait: the table is not read."""
    ask = {
        "due": lambda: many.schedules.list_due(clock.now(), 100),
        "next": many.schedules.next_due,
    }[question]
    plan = "\n".join(many.database.explain(*one) for one in recorded(ask))
    assert "schedules_due" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan
    if not database_url:
        assert cost(many, ask) < 5


def test_the_longest_due_comes_first(store, add, clock):
    """Those of the future, the paused, the removed and the never due ones are not due."""
    late = add(next_due_at=clock.now() - timedelta(days=1))
    now = add(next_due_at=clock.now())
    paused, removed = (add(next_due_at=clock.now()) for _ in range(2))
    add()
    add(next_due_at=None)
    store.schedules.pause(paused.id, paused=True, next_due_at=clock.now())
    store.schedules.remove(removed.id)
    assert store.schedules.list_due(clock.now(), 10) == (late, now)
    assert store.schedules.list_due(clock.now(), 1) == (late,)
    assert store.schedules.next_due() == late.next_due_at


@pytest.mark.parametrize(
    "timing",
    [
        Timing(cron="0 3 * * mon-fri", zone="Europe/Berlin"),
        Timing(hours=(1, 13), minutes=(0, 30), zone="America/New_York"),
        Timing(every_seconds=90 * 60),
    ],
)
def test_what_is_read_is_what_was_written(store, add, timing):
    """Every way to say when comes back as it was."""
    assert add(timing).timing == timing


def test_an_anchor_is_kept(store, add, clock):
    """To the microsecond, with its zone."""
    anchored = Timing(every_seconds=3600, anchor=clock.now() + timedelta(microseconds=7))
    assert add(anchored).timing == anchored


def test_a_schedule_is_moved_on_once(store, add, clock):
    """Who read it before somebody else moved it on does not move it."""
    read = add()
    later, latest = (clock.now() + timedelta(hours=hours) for hours in (2, 3))
    assert store.schedules.move_on(read, later)
    assert not store.schedules.move_on(read, latest)
    assert store.schedules.get(read.id).next_due_at == later


def test_a_due_moment_is_written_down_once(store, add, clock):
    """The second firing of a moment is refused; the first stays as it was."""
    schedule = add()
    first = Firing(schedule.id, clock.now(), clock.now(), 0, None, "the first")
    assert store.schedules.add_firing(first)
    again = Firing(schedule.id, clock.now(), clock.now(), 5, None, "again")
    assert not store.schedules.add_firing(again)
    assert store.schedules.list_firings(schedule.id, 10) == (first,)


def test_a_firing_is_linked_to_its_evaluation(store, add, make, clock):
    """Only that firing, not the others of the schedule."""
    schedule, evaluation = add(), make.evaluation()
    moments = [clock.now(), clock.forward(hours=1)]
    early, late = (Firing(schedule.id, due, due, 0, None, "") for due in moments)
    for one in (early, late):
        store.schedules.add_firing(one)
    store.schedules.link(late, evaluation.id)
    found = store.schedules.list_firings(schedule.id, 10)
    assert [one.evaluation_id for one in found] == [evaluation.id, None]


def test_a_removed_schedule_keeps_its_history(store, add, clock):
    """It is in no list and cannot be got, but its firings and itself are found."""
    schedule = add()
    store.schedules.add_firing(Firing(schedule.id, clock.now(), clock.now(), 0, None, ""))
    store.schedules.remove(schedule.id)
    assert store.schedules.list_all(ALL) == store.schedules.list_of_jobset(schedule.jobset_id) == ()
    with pytest.raises(NotFound, match=f"no schedule {schedule.id}"):
        store.schedules.get(schedule.id)
    assert store.schedules.find(schedule.id).timing == schedule.timing
    assert len(store.schedules.list_firings(schedule.id, 10)) == 1
