"""The worker's side: what becomes of messages, and of builds when the broker is away."""

import threading
from dataclasses import replace

import pytest
from kombu import Connection
from support import rabbitmq
from support.rabbitmq import QUEUES
from support.waiting import until

from ciserver.broker.app import make_app
from ciserver.broker.listener import Listener
from ciserver.broker.ringer import Ringer
from ciserver.clock import SystemClock
from ciserver.executor.called import CalledEngine, NoRoom
from ciserver.model.build import Job, Lease, Offer, Work
from ciserver.model.errors import Busy

TRUSTED, UNTRUSTED = QUEUES
# Celery leaves the sockets of a connection that broke to the garbage collector.
abandons_sockets = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class Desk:
    """Gives out builds of queues, and runs them until they are let go: reporter and runner."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting = dict.fromkeys(QUEUES, 0)
        self.claims, self.begun, self.ended, self.let_go = 0, [], [], set()
        self.refusal = None

    def claim(self, offer):
        (queue,) = offer.queues
        with self.changed:
            self.claims += 1
            self.changed.notify_all()
            if self.refusal:
                raise self.refusal
            if not self.waiting[queue]:
                return None
            self.waiting[queue] -= 1
            lease = Lease(len(self.begun) + 1, 1, "0" * 32)
            self.begun.append(queue)
            job = Job(name="job", file="", image="", system="x86_64-linux", tasks=())
            return Work(lease=lease, job=job, environment={}, secrets=())

    def run(self, work, stop):
        with self.changed:
            while not (stop.is_set() or work.lease.build_id in self.let_go):
                self.changed.wait(0.01)
            self.ended.append(work.lease.build_id)
            self.changed.notify_all()

    def end(self, *builds):
        with self.changed:
            self.let_go |= set(builds)
            self.changed.notify_all()


class Machine:
    """A worker and the ringer of a server, which looks when it is told to."""

    def __init__(self, broker, desk, *, slots=1, told_by=None):
        self.engine = CalledEngine(
            desk, desk, Offer("arm", ("x86_64-linux",), queues=QUEUES), slots=slots
        )
        self.listener = Listener(
            broker,
            self.engine,
            name=broker.prefix,
            queues=QUEUES,
            slots=slots,
            refused=NoRoom,
            after_fault_seconds=0.05,
        )
        self.ringer = Ringer(told_by or broker, lambda: dict(desk.waiting), SystemClock())
        self.ended = threading.Event()
        self.listener.start(self.ended.set)

    def stop(self):
        self.engine.drain(0)
        self.listener.stop()
        self.ringer.close()


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def make_machine(broker, desk):
    made = []

    def make(broker, **options):
        made.append(Machine(broker, desk, **options))
        return made[-1]

    yield make
    for machine in made:
        machine.stop()


def until_taken(broker, takers, queue=TRUSTED):
    """Wait until so many workers take messages of the queue."""
    name = broker.name_of(queue)
    until(lambda: rabbitmq.takers(broker, name) == takers, what=f"{takers} takers of {name}")


def messages(broker, queue=TRUSTED):
    return rabbitmq.count(broker, broker.name_of(queue))


def send(broker, task, *arguments, queue=TRUSTED):
    app = make_app(broker, QUEUES)
    with app.connection_for_write() as connection:
        app.send_task(task, arguments, queue=broker.name_of(queue), connection=connection)


def told_by(broker, machine, what):
    """What a worker says of itself when Celery's remote control asks; None when it does not."""
    app, name = make_app(broker, QUEUES), machine.listener.name
    with app.connection_for_write() as connection:
        asked = app.control.inspect([name], timeout=1, connection=connection)
        return (getattr(asked, what)() or {}).get(name)


def test_a_busy_worker_leaves_messages_to_others(make_machine, broker, desk):
    """It holds none back, of any of its queues, and goes on when a build ends."""
    machine = make_machine(broker)
    desk.waiting |= {TRUSTED: 3, UNTRUSTED: 2}
    machine.ringer.top_up()
    until(lambda: len(desk.begun) == 1)
    until(lambda: messages(broker) + messages(broker, UNTRUSTED) == 4)
    until_taken(broker, 0)
    until_taken(broker, 0, UNTRUSTED)
    for build in range(1, 6):
        desk.end(build)
    until(lambda: len(desk.ended) == 5)
    until(lambda: machine.engine.is_idle)
    assert (desk.begun.count(TRUSTED), desk.begun.count(UNTRUSTED)) == (3, 2)
    assert rabbitmq.count(broker, broker.dead) == 0


def test_a_message_ends_with_the_claim(make_machine, broker, desk):
    """Not with the build: no time limit of the broker can end it, and no loss begins it twice. The
    broker gives a worker the next message of a queue only when the one before is acknowledged.
    """
    machine = make_machine(broker, slots=2)
    desk.waiting[TRUSTED] = 1
    machine.ringer.top_up()
    until(lambda: desk.begun)
    send(broker, "ciserver.build", TRUSTED)
    until(lambda: desk.claims == 2)
    assert not desk.ended


def test_stale_messages_end_with_nothing(make_machine, broker, desk):
    """Of builds that were canceled, or that somebody else took; and duplicates of others."""
    machine = make_machine(broker, slots=2)
    desk.waiting[TRUSTED] = 1
    for _ in range(4):
        send(broker, "ciserver.build", TRUSTED)
    until(lambda: desk.claims == 4)
    assert len(desk.begun) == 1
    desk.end(1)
    until(lambda: machine.engine.is_idle and not messages(broker))
    assert rabbitmq.count(broker, broker.dead) == 0


def test_a_worker_that_finds_nothing_again_and_again_rests(make_machine, broker, desk):
    """A heap of stale messages is no flood of requests."""
    make_machine(broker)
    until_taken(broker, 1)
    for _ in range(20):
        send(broker, "ciserver.build", TRUSTED)
    until(lambda: desk.claims == 8)
    until_taken(broker, 0)
    assert desk.claims < 12


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("somebody.elses", (TRUSTED,)),
        ("ciserver.build", ()),
        ("ciserver.build", ("aarch64-linux/trusted",)),
    ],
)
def test_what_is_no_message_of_ours_is_put_aside(make_machine, broker, desk, task, arguments):
    """It is not taken for one, and does not come again; what comes after it is taken."""
    machine = make_machine(broker)
    machine.ringer.top_up()
    send(broker, task, *arguments)
    desk.waiting[TRUSTED] = 1
    send(broker, "ciserver.build", TRUSTED)
    until(lambda: desk.begun)
    until(lambda: rabbitmq.count(broker, broker.dead) == 1)
    assert desk.claims == 1


def test_a_pickle_is_not_opened(make_machine, broker, desk):
    """Whoever may write to the broker runs no code of theirs at a worker."""
    machine = make_machine(broker)
    machine.ringer.top_up()
    with Connection(broker.url) as connection:
        connection.Producer().publish(
            {"a": object}, serializer="pickle", routing_key=broker.name_of(TRUSTED), exchange=""
        )
    until(lambda: rabbitmq.count(broker, broker.dead) == 1)
    assert desk.claims == 0


def test_a_server_that_is_away_costs_no_message(make_machine, broker, desk):
    """A claim that fails is tried again, here or elsewhere, and counts nothing."""
    machine = make_machine(broker)
    desk.waiting[TRUSTED] = 1
    desk.refusal = Busy("the server is away")
    machine.ringer.top_up()
    until(lambda: desk.claims > 5)
    desk.refusal = None
    until(lambda: desk.begun)
    assert rabbitmq.count(broker, broker.dead) == 0


@abandons_sockets
def test_a_broker_that_is_away_stops_no_build(make_machine, broker, linked, link, desk):
    """What runs goes on and is not begun again; then the worker takes messages as before."""
    machine = make_machine(linked, slots=2, told_by=broker)
    desk.waiting[TRUSTED] = 1
    machine.ringer.top_up()
    until(lambda: desk.begun)
    until_taken(broker, 1)
    link.down()
    until_taken(broker, 0)
    desk.waiting[TRUSTED] = 2
    machine.ringer.top_up()
    assert len(desk.begun) == 1
    assert not desk.ended
    link.up()
    until(lambda: len(desk.begun) == 2)
    until(lambda: messages(broker) == 1)
    desk.end(1)
    until(lambda: len(desk.begun) == 3)
    assert desk.ended == [1]


def test_a_worker_waits_for_a_broker_that_refuses_it(make_machine, broker, desk, capsys):
    """The password may be changed; it says why, once, and stops when it is told to."""
    stranger = replace(broker, url=broker.url.replace("guest:guest", "guest:s3cret"))
    machine = make_machine(stranger)
    said = []
    until(lambda: said.append(capsys.readouterr().out) or "ACCESS_REFUSED" in "".join(said))
    machine.stop()
    assert "celery" not in {one.name for one in threading.enumerate()}
    assert "s3cret" not in "".join(said)


def test_a_paused_engine_takes_no_messages(make_machine, broker, desk):
    """As while its disk is full; they are left to others."""
    machine = make_machine(broker)
    until_taken(broker, 1)
    machine.engine.pause("the disk is full")
    until_taken(broker, 0)
    machine.engine.resume()
    until_taken(broker, 1)


def test_a_worker_that_the_server_gives_nothing_takes_no_messages(make_machine, broker, desk):
    """Whom somebody paused leaves them to others, until it is resumed."""
    machine = make_machine(broker)
    until_taken(broker, 1)
    machine.engine.heed(is_paused=True)
    until_taken(broker, 0)
    machine.engine.heed(is_paused=False)
    until_taken(broker, 1)


def test_a_worker_that_was_looked_at_while_it_claimed_goes_on(make_machine, broker, desk):
    """Its only slot is taken then, and free again when there was nothing to be had."""
    machine = make_machine(broker)
    with desk.changed:  # which a claim waits for
        send(broker, "ciserver.build", TRUSTED)
        until(lambda: not machine.engine.has_room)
        machine.engine.heed(is_paused=False)
        # The broker counts a worker until it has ended its messages.
        until(lambda: told_by(broker, machine, "active_queues") == [])
    until(lambda: len(told_by(broker, machine, "active_queues") or ()) == 2)


def test_a_worker_is_told_to_end_by_the_broker(make_machine, broker, desk):
    """As Flower does it: whoever runs the listener lets builds finish first."""
    machine = make_machine(broker)
    desk.waiting[TRUSTED] = 1
    machine.ringer.top_up()
    until(lambda: desk.begun)
    app = make_app(broker, QUEUES)
    with app.connection_for_write() as connection:
        app.control.shutdown(connection=connection, destination=[machine.listener.name])
    assert machine.ended.wait(20)
    assert not desk.ended
