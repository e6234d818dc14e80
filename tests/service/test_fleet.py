"""Workers here and elsewhere as one: who hears the bell, and who is known."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from support.statements import recorded
from support.waiting import until

from ciserver.executor.idle import IdleEngine
from ciserver.model.errors import Busy
from ciserver.model.ports import WorkerState
from ciserver.service.fleet import Fleet

ARM = WorkerState("arm", ("aarch64-linux",), 2, 0)


@pytest.fixture
def make_fleet(store, clock):
    """A server's, which hears its own bells. `runs` are builds with the workers that run them."""

    def make(listeners=1, runs=None, **more):
        told = {"worker_of": lambda build: (runs or {}).get(build, ""), **more}
        made = Fleet(
            store,
            clock,
            listeners=listeners,
            ring=lambda: made.wake(),  # noqa: PLW0108  it is being made
            ring_stop=lambda build: made.stop_here(build),  # noqa: PLW0108
            **told,
        )
        return made

    return make


@pytest.fixture
def fleet(make_fleet):
    return make_fleet(look_seconds=0.01)


@pytest.fixture
def listen(fleet):
    """Listen in a thread; gives a function for the answer."""
    threads = []

    def begin(heard, fleet=fleet, **more):
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
    heard = fleet.listen(ARM, "", wait_seconds=0).bell
    waiting = listen(heard)
    fleet.ring()
    assert waiting().bell != heard
    missed = fleet.listen(ARM, heard, wait_seconds=20)
    assert missed == waiting()
    assert fleet.listen(ARM, missed.bell, wait_seconds=0) == missed


def test_a_new_server_has_rung(fleet, make_fleet):
    """Whatever was heard of the one before: its ring may have been lost with it."""
    heard = fleet.listen(ARM, "", wait_seconds=0).bell
    assert make_fleet().listen(ARM, heard, wait_seconds=20).bell != heard


def test_nobody_waits_for_a_worker_that_has_left(fleet):
    """Its thread is free again."""
    heard = fleet.listen(ARM, "", wait_seconds=0).bell
    assert fleet.listen(ARM, heard, wait_seconds=600, has_left=lambda: True) == (heard, ())


def test_there_is_a_budget_for_listeners(fleet, listen):
    """Others are asked to come again, and are known all the same."""
    heard = fleet.listen(ARM, "", wait_seconds=0).bell
    first = listen(heard)
    other = WorkerState("other", ("x86_64-linux",), 1, 0)
    with pytest.raises(Busy):
        fleet.listen(other, heard, wait_seconds=20)
    assert {one.name for one in fleet.state().workers} == {"arm", "other"}
    fleet.ring()
    assert first().bell != heard


def test_workers_are_known_while_they_are_heard_of(fleet, clock):
    """Beside those of this machine, which always are."""
    fleet.run_beside(IdleEngine(WorkerState("local", ("x86_64-linux",), 0, 0, "broken")))
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


def test_a_cancellation_is_told_to_whoever_runs_the_build(make_fleet, listen):
    """At once and once, and to nobody else."""
    fleet = make_fleet(runs={7: "arm", 8: "gone"}, look_seconds=60)
    heard = fleet.listen(ARM, "", wait_seconds=0).bell
    waiting = listen(heard, fleet=fleet)
    fleet.stop(8)
    fleet.stop(7)
    assert waiting() == (heard, (7,))
    assert fleet.listen(ARM, heard, wait_seconds=0) == (heard, ())


def test_a_cancellation_waits_for_a_worker_that_does_not_listen_right_now(make_fleet):
    """It works on the answer of before; what another worker runs is not its business."""
    fleet = make_fleet(runs={7: "arm", 8: "other"})
    heard = fleet.listen(ARM, "", wait_seconds=0).bell
    for build in (8, 7, 9):
        fleet.stop(build)
    assert fleet.listen(ARM, heard, wait_seconds=20) == (heard, (7,))


def test_what_a_worker_was_to_be_told_is_forgotten_with_it(make_fleet, clock):
    """One that comes back after a while has lost what it ran."""
    fleet = make_fleet(runs={7: "arm"})
    heard = fleet.listen(ARM, "", wait_seconds=0).bell
    fleet.stop(7)
    clock.forward(seconds=61)
    assert fleet.state().workers == ()
    assert fleet.listen(ARM, heard, wait_seconds=0) == (heard, ())


def test_a_database_that_is_away_holds_up_no_cancellation(make_fleet):
    """What is durable is told with the next renewal."""

    def away(build):
        raise Busy("the database does not answer")

    fleet = make_fleet(worker_of=away)
    fleet.listen(ARM, "", wait_seconds=0)
    fleet.stop(7)


def test_a_worker_listens_at_several_servers_in_turn(make_fleet):
    """A ring that it heard at one is told once more at another, and not again and again."""
    first, second = make_fleet(), make_fleet()
    heard = first.listen(ARM, "", wait_seconds=20).bell
    heard = second.listen(ARM, heard, wait_seconds=20).bell
    for fleet in (first, second, first):
        assert fleet.listen(ARM, heard, wait_seconds=0).bell == heard
    for fleet in (first, second):  # as they hear each other
        fleet.wake()
    after = [heard]
    for fleet in (first, second, first, second):
        after.append(fleet.listen(ARM, after[-1], wait_seconds=0).bell)
    assert len(set(after)) == 3
    assert after[-1] == after[-2] == after[-3]


def test_what_was_heard_is_bounded(make_fleet):
    """Servers start again and again, and each counts for itself."""
    heard = ""
    for _ in range(50):
        heard = make_fleet().listen(ARM, heard, wait_seconds=20).bell
    assert len(heard.split(",")) == 16


def test_a_worker_is_known_at_another_server_than_it_listens_at(make_fleet, clock):
    """Also that of another server's machine, for as long as it is reported."""
    first, second = make_fleet(), make_fleet()
    first.run_beside(IdleEngine(WorkerState("local-first", ("x86_64-linux",), 0, 0, "broken")))
    first.listen(ARM, "", wait_seconds=0)
    first.report(lasts=timedelta(seconds=15))
    assert [one.name for one in second.state().workers] == ["arm", "local-first"]
    assert second.state().workers[1].paused == "broken"
    busy = replace(ARM, busy=2)
    first.listen(busy, "", wait_seconds=0)
    assert second.state().workers[0] == busy
    clock.forward(seconds=16)
    assert [one.name for one in second.state().workers] == ["arm"]


def test_what_is_known_of_a_worker_is_written_when_it_changes(make_fleet, store, clock):
    """Or when it would not be believed much longer: each row is a write on the disk."""
    fleet = make_fleet()
    writes = recorded(lambda: fleet.listen(ARM, "", wait_seconds=0))
    assert any("worker_states" in text for text, _ in writes)
    assert recorded(lambda: fleet.listen(ARM, "", wait_seconds=0)) == []
    for _ in range(4):
        clock.forward(seconds=19)
        fleet.listen(ARM, "", wait_seconds=0)
    assert store.workers.states(clock.now()) == (ARM,)
