"""Workers here and elsewhere as one: who hears the bell, and who is known."""

import threading

import pytest
from support.waiting import until

from ciserver.executor.idle import IdleEngine
from ciserver.model.errors import Busy
from ciserver.model.ports import WorkerState
from ciserver.service.fleet import Fleet

ARM = WorkerState("arm", ("aarch64-linux",), 2, 0)


@pytest.fixture
def fleet(clock):
    return Fleet(clock, listeners=1, look_seconds=0.01)


@pytest.fixture
def listen(fleet):
    """Listen in a thread; gives a function for the answer."""
    threads = []

    def begin(heard, **more):
        answers = []
        ask = lambda: answers.append(fleet.listen(ARM, heard, wait_seconds=20, **more))  # noqa: E731
        thread = threading.Thread(target=ask)
        thread.start()
        threads.append(thread)
        until(lambda: answers or fleet._budget._value == 0)

        def answer():
            thread.join(10)
            return answers[0]

        return answer

    yield begin
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_whoever_never_listened_is_answered_at_once(fleet):
    """There may be work from before."""
    assert fleet.listen(ARM, "", wait_seconds=20)


def test_a_ring_is_heard_by_whoever_listens(fleet, listen):
    """And by whoever listens later, once."""
    heard = fleet.listen(ARM, "", wait_seconds=0)
    waiting = listen(heard)
    fleet.ring()
    assert waiting() != heard
    missed = fleet.listen(ARM, heard, wait_seconds=20)
    assert missed == waiting()
    assert fleet.listen(ARM, missed, wait_seconds=0) == missed


def test_a_new_server_has_rung(fleet, clock):
    """Whatever was heard of the one before: its ring may have been lost with it."""
    heard = fleet.listen(ARM, "", wait_seconds=0)
    assert Fleet(clock, listeners=1).listen(ARM, heard, wait_seconds=20) != heard


def test_nobody_waits_for_a_worker_that_has_left(fleet):
    """Its thread is free again."""
    heard = fleet.listen(ARM, "", wait_seconds=0)
    assert fleet.listen(ARM, heard, wait_seconds=600, has_left=lambda: True) == heard


def test_there_is_a_budget_for_listeners(fleet, listen):
    """Others are asked to come again, and are known all the same."""
    heard = fleet.listen(ARM, "", wait_seconds=0)
    first = listen(heard)
    other = WorkerState("other", ("x86_64-linux",), 1, 0)
    with pytest.raises(Busy):
        fleet.listen(other, heard, wait_seconds=20)
    assert {one.name for one in fleet.state().workers} == {"arm", "other"}
    fleet.ring()
    assert first() != heard


def test_workers_are_known_while_they_are_heard_of(fleet, clock):
    """Beside those of this machine, which always are."""
    fleet.run_beside(IdleEngine("local", ("x86_64-linux",), "broken"))
    fleet.listen(ARM, "", wait_seconds=0)
    assert [one.name for one in fleet.state().workers] == ["local", "arm"]
    clock.forward(seconds=61)
    assert [one.name for one in fleet.state().workers] == ["local"]


def test_the_engine_of_this_machine_is_rung_and_stopped(fleet):
    """As it would be without the others."""
    told = []

    class Engine:
        def ring(self):
            told.append("ring")

        def stop(self, build_id):
            told.append(build_id)

    fleet.run_beside(Engine())
    fleet.ring()
    fleet.stop(7)
    assert told == ["ring", 7]
