"""What holds for every engine, rung in its process or by a broker: it claims when rung, stops when
asked, and drains.
"""

import threading

import pytest
from support.rabbitmq import broker
from support.waiting import until

from ciserver.broker.listener import Listener
from ciserver.broker.ringer import Ringer
from ciserver.clock import SystemClock
from ciserver.executor.called import CalledEngine, NoRoom
from ciserver.executor.lease import StopReason
from ciserver.executor.local import LocalEngine
from ciserver.model.build import Offer
from ciserver.model.status import BuildStatus

QUEUE = "x86_64-linux/trusted"
OFFER = Offer(worker="here", systems=("x86_64-linux",), queues=(QUEUE,))


class Held:
    """Runs builds by waiting for their stop; `let_go` ends them well."""

    def __init__(self):
        self.changed = threading.Condition()
        self.running, self.ended, self.letting_go = {}, [], False

    def run(self, work, stop):
        build = work.lease.build_id
        with self.changed:
            self.running[build] = stop
            self.changed.notify_all()
            while not (stop.is_set() or self.letting_go):
                self.changed.wait(0.01)
            del self.running[build]
            self.ended.append((build, stop.reason))
            self.changed.notify_all()

    def let_go(self):
        with self.changed:
            self.letting_go = True
            self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, 15)


@pytest.fixture
def recorder(tools):
    return tools.Recorder()


@pytest.fixture
def held():
    return Held()


class Called:
    """An engine that hears of builds from a broker, and a ringer, as a server has one."""

    def __init__(self, broker, recorder, runner, *, reporter, slots, retry_seconds=5.0, **words):
        self._engine = CalledEngine(reporter, runner, OFFER, slots=slots, **words)
        self._ringer = Ringer(broker, lambda: {QUEUE: len(recorder.queue)}, SystemClock())
        self._listener = Listener(
            broker,
            self._engine,
            name=broker.prefix,
            queues=(QUEUE,),
            slots=slots,
            refused=NoRoom,
            after_fault_seconds=retry_seconds,
        )
        self._is_up = False

    def start(self):
        self._is_up = True
        self._listener.start(lambda: None)
        self.ring()

    def ring(self):
        self._ringer.top_up()
        assert not self._ringer.state.fault

    def drain(self, timeout_seconds):
        self._engine.drain(timeout_seconds)
        if self._is_up:
            self._is_up = False
            self._listener.stop()
        self._ringer.close()

    def __getattr__(self, name):
        return getattr(self._engine, name)


@pytest.fixture(params=["local", "celery"])
def make(request, recorder):
    """Makes an engine of each kind, of the same parts; what runs in it is somebody else's."""
    if request.param == "local":
        yield lambda runner, *, reporter=recorder, slots=1, **words: LocalEngine(
            reporter, runner, OFFER, slots=slots, **words
        )
        return
    with broker() as messages:
        yield lambda runner, *, reporter=recorder, slots=1, **words: Called(
            messages, recorder, runner, reporter=reporter, slots=slots, **words
        )


@pytest.fixture
def make_engine(make, held):
    made = []

    def make_one(*, runner=held, **words):
        engine = make(runner, **words)
        made.append(engine)
        return engine

    yield make_one
    for engine in made:
        engine.drain(0)


def put(recorder, tools, *builds):
    recorder.queue += [tools.make_work("true", build_id=build) for build in builds]


def test_one_ring_fills_all_slots(recorder, held, tools, make_engine):
    """As many builds run as there are slots; the next begins when one ends, without a ring."""
    engine = make_engine(slots=2)
    engine.start()
    put(recorder, tools, 1, 2, 3)
    engine.ring()
    held.wait_for(lambda: set(held.running) == {1, 2})
    assert not engine.is_idle
    engine.stop(1)
    held.wait_for(lambda: set(held.running) == {2, 3})
    assert held.ended == [(1, StopReason.CANCELED)]
    held.let_go()
    assert tools.eventually(lambda: engine.is_idle)


@pytest.mark.parametrize(
    ("told", "reason"),
    [("canceling", StopReason.CANCELED), ("lost", StopReason.LOST), ("", None)],
)
def test_a_build_that_is_checked_stops_if_the_server_says_so(
    recorder, held, tools, make_engine, told, reason
):
    """As it would with the next renewal; others are not asked for."""
    engine = make_engine()
    put(recorder, tools, 1)
    engine.start()
    held.wait_for(lambda: 1 in held.running)
    if told:
        setattr(recorder, told, True)
    engine.check(2)
    assert recorder.renewals == 0
    engine.check(1)
    assert recorder.renewals == int(told != "lost")
    assert not reason or held.wait_for(lambda: held.ended == [(1, reason)]) is None


def test_a_check_that_fails_leaves_it_to_the_next_renewal(recorder, held, tools, make_engine):
    """The build goes on."""
    engine = make_engine()
    put(recorder, tools, 1)
    engine.start()
    held.wait_for(lambda: 1 in held.running)
    recorder.renew_error = OSError("away")
    engine.check(1)
    assert not held.running[1].is_set()


def test_what_waits_at_the_start_is_claimed(recorder, held, tools, make_engine):
    """Builds queued while nobody was there need no ring."""
    put(recorder, tools, 1)
    make_engine().start()
    held.wait_for(lambda: set(held.running) == {1})


def test_stopping_a_stranger_changes_nothing(recorder, held, tools, make_engine):
    """A build that does not run here is somebody else's."""
    put(recorder, tools, 1)
    engine = make_engine()
    engine.start()
    held.wait_for(lambda: 1 in held.running)
    engine.stop(2)
    assert not held.running[1].is_set()


def test_drain_lets_builds_finish(recorder, held, tools, make_engine):
    """What ends within the time ends well, and nothing new is claimed."""
    put(recorder, tools, 1, 2)
    engine = make_engine()
    engine.start()
    held.wait_for(lambda: 1 in held.running)
    draining = threading.Thread(target=engine.drain, args=(15,))
    draining.start()
    held.let_go()
    draining.join()
    assert held.ended == [(1, None)]
    assert len(recorder.queue) == 1


def test_drain_gives_back_what_does_not_finish(recorder, held, tools, make_engine):
    """After the time builds are stopped, for a reason that is no cancellation."""
    put(recorder, tools, 1)
    engine = make_engine()
    engine.start()
    held.wait_for(lambda: 1 in held.running)
    engine.drain(0.01)
    assert held.ended == [(1, StopReason.DRAINING)]
    assert engine.is_idle


def test_a_paused_engine_claims_nothing_until_it_goes_on(recorder, held, tools, make_engine):
    """Rings are remembered while it is paused."""
    engine = make_engine()
    engine.pause("the disk is full")
    engine.start()
    put(recorder, tools, 1)
    engine.ring()
    assert engine.is_idle
    assert len(recorder.queue) == 1
    engine.resume()
    held.wait_for(lambda: 1 in held.running)


def test_a_claim_that_fails_is_tried_again(recorder, held, tools, make_engine):
    """Neither the error nor the want of a ring stops the slot."""

    class Stumbling:
        failures = 2

        def claim(self, offer):
            if self.failures:
                self.failures -= 1
                raise ConnectionError("the server is away")
            return recorder.claim(offer)

    put(recorder, tools, 1)
    make_engine(reporter=Stumbling(), retry_seconds=0.02).start()
    held.wait_for(lambda: 1 in held.running)


def test_a_slot_outlives_what_breaks_in_it(recorder, held, tools, make_engine):
    """An error that nobody foresaw costs one build, not the slot."""

    class Breaking:
        def run(self, work, stop):
            if work.lease.build_id == 1:
                raise RuntimeError("unforeseen")
            held.run(work, stop)

    put(recorder, tools, 1, 2)
    make_engine(runner=Breaking()).start()
    held.wait_for(lambda: set(held.running) == {2})


def test_builds_run_from_the_queue_to_their_end(tools, make_world, sandbox, recorder, make):
    """Engine, runner and sandbox together: a queued build succeeds."""
    world = make_world(sandbox)
    world.recorder = recorder
    recorder.queue.append(tools.make_work("echo done"))
    engine = make(world.runner(), slots=2)
    engine.start()
    world.recorder.wait_for(lambda: world.recorder.result is not None)
    engine.drain(15)
    assert world.recorder.result.status is BuildStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("takes_any", "offered"), [(True, ()), (False, ("", "host", "nix", "debian/stable"))]
)
def test_a_claim_names_the_images_where_others_are_refused(
    recorder, tools, make_engine, takes_any, offered
):
    """Those that are here at that moment; the state tells them in any case."""
    claims = []
    put(recorder, tools, 1)
    recorder.claim = claims.append
    here = []
    engine = make_engine(images=lambda: tuple(here), takes_any_image=takes_any)
    here.append("debian/stable")
    engine.start()
    assert until(lambda: claims)[0].images == offered
    (worker,) = engine.state().workers
    assert worker.images == ("debian/stable",)
    assert worker.takes("no/such") is takes_any
