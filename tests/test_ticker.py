"""Loops that sleep until they are rung or something is due."""

import threading
import time
from datetime import timedelta

import pytest
from support.clock import StillClock
from support.factories import Factory
from support.waiting import until

from ciserver.background import make_ticker
from ciserver.bells import Bell
from ciserver.engines import make_engine
from ciserver.executor.sandbox import SandboxBroken
from ciserver.model.push import Push, RefChange
from ciserver.ticker import Loop, Ticker


class Work:
    """A step that counts, and breaks when it is told to."""

    def __init__(self):
        self.steps, self.left, self.due = 0, 0, None
        self.seconds = 0
        self.failures = []

    def step(self):
        self.steps += 1
        if self.failures:
            raise self.failures.pop()
        self.left -= 1
        time.sleep(self.seconds)
        return self.left > 0


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
def loop(work, bell):
    made = Loop("work", work.step, bell, StillClock(), lambda: work.due)
    yield made
    made.stop()
    made.join(10)


def test_it_works_off_what_is_there(loop, work):
    """From the start, without a ring, until nothing is left."""
    work.left = 5
    loop.start()
    until(lambda: work.steps == 5)


def test_it_wakes_on_a_ring(loop, work, bell):
    """A ring is one more look, and no ring is lost."""
    loop.start()
    for count in range(1, 4):
        until(lambda count=count: work.steps == count)
        bell.ring()
    until(lambda: work.steps == 4)


def test_it_wakes_when_something_is_due(loop, work):
    """Without a ring, at the time that was named."""
    work.due = StillClock().now() + timedelta(milliseconds=20)
    loop.start()
    until(lambda: work.steps >= 3)


def test_what_is_overdue_does_not_spin(loop, work):
    """A due time in the past is looked at again and again, with a breath between."""
    work.due = StillClock().now() - timedelta(days=1)
    loop.start()
    until(lambda: work.steps >= 3)


def test_it_survives_a_crash(loop, work, bell):
    """A step that broke is not the last one."""
    work.failures = [OSError("the store is away")]
    loop.start()
    until(lambda: work.steps == 1)
    bell.ring()
    until(lambda: work.steps == 2)


@pytest.fixture
def resting(work, bell):
    """Answers how to make a loop that is rung within each step."""
    made = []

    def step():
        bell.ring()
        return work.step()

    def start(rest_seconds):
        made.append(Loop("rest", step, bell, StillClock(), lambda: None, rest_seconds))
        made[0].start()

    yield start
    made[0].stop()
    made[0].join(10)
    assert "rest" not in {thread.name for thread in threading.enumerate()}


def test_it_rests_when_it_is_rung_at_work(resting, work):
    """Whoever rings so often is served first; it stops all the same, at once."""
    work.left = 1_000_000
    resting(3600)
    until(lambda: work.steps == 1)


def test_it_rests_longer_where_a_step_takes_long(resting, work):
    """A quarter of a second at most: what it works off is late, and not forgotten."""
    work.left, work.seconds = 3, 0.1
    began = time.monotonic()
    resting(0.001)
    until(lambda: work.steps > 3)
    assert time.monotonic() - began >= 3 * 0.1 + 2 * 0.25


def test_what_is_rung_while_it_rests_is_not_lost(resting, work):
    """It goes on by itself."""
    work.left = 4
    resting(0.001)
    until(lambda: work.steps > 4)


def test_it_stops(work, bell):
    """Also while it sleeps for ever."""
    loop = Loop("stopping", work.step, bell, StillClock(), lambda: None)
    loop.start()
    until(lambda: work.steps == 1)
    loop.stop()
    loop.join(10)
    assert "stopping" not in {thread.name for thread in threading.enumerate()}


def test_a_bell_wakes_all_listeners(bell):
    """Several loops may share a bell."""
    rung = []
    for name in "ab":
        bell.on_ring(lambda name=name: rung.append(name))
    bell.ring()
    assert rung == ["a", "b"]


def test_a_push_is_evaluated_without_being_asked(parts, watched, repository, clock):
    """The ticker joins the loops to the services: a push becomes a queued build."""
    ticker = make_ticker(parts, make_engine(parts, SandboxBroken("no sandbox", "none is needed")))
    ticker.start()
    revision = repository.commit({"x": "1"})
    repository.push()
    push = Push((RefChange("refs/heads/main", "0" * 40, revision),))
    parts.services.pushes.accept_push(Factory(parts, clock).received("project"), push)
    until(lambda: parts.store.builds.count_waiting() == 1)
    ticker.stop()


@pytest.fixture
def rounds(parts):
    """A ticker whose rounds follow each other closely, with what the test gives it to do."""

    def rounds(**given):
        return Ticker(
            parts.services,
            parts.bells,
            sweep_files=lambda: None,
            care_for_mirrors=lambda: None,
            lease_seconds=0.06,
            sweep_seconds=0.01,
            **given,
        )

    return rounds


def test_what_is_swept_is_swept_again(rounds):
    """In rounds: the disk is looked at, and caches of removed projects go."""
    guarded, swept = [], []
    ticker = rounds(guard_disk=lambda: guarded.append(1), sweep_caches=lambda: swept.append(1))
    ticker.start()
    until(lambda: len(swept) > 2 and len(guarded) > 2)
    ticker.stop()


def test_a_round_that_takes_long_holds_up_no_other(rounds):
    """And few threads do them all, because each keeps a connection."""
    others, guarded, goes_on = set(threading.enumerate()), [], threading.Event()
    ticker = rounds(guard_disk=lambda: guarded.append(1), sweep_caches=lambda: goes_on.wait(60))
    ticker.start()
    until(lambda: len(guarded) > 50)
    started = {one.name for one in threading.enumerate() if one not in others}
    goes_on.set()
    ticker.stop()
    assert len([name for name in started if name.startswith("ThreadPoolExecutor")]) == 2
