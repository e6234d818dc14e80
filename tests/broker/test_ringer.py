"""The server's side: a message for each build that waits, and nothing is lost with the broker."""

import gc
import json
import threading

import pytest
from kombu import Connection
from support import rabbitmq
from support.rabbitmq import QUEUES

from ciserver.broker.app import TASK, queue_at
from ciserver.broker.place import Broker
from ciserver.broker.ringer import Ringer

TRUSTED, UNTRUSTED = QUEUES


@pytest.fixture
def waiting():
    """How many builds wait, by queue."""
    return {}


@pytest.fixture
def make_ringer(broker, waiting, clock):
    made = []

    def make(broker):
        ringer = Ringer(broker, lambda: dict(waiting), clock)
        made.append(ringer)
        return ringer

    yield make
    for ringer in made:
        ringer.close()


def messages(broker, queue=TRUSTED):
    return rabbitmq.count(broker, broker.name_of(queue))


def test_a_message_for_each_build(make_ringer, broker, waiting):
    """However often it looks; of each queue its own."""
    ringer = make_ringer(broker)
    waiting |= {TRUSTED: 3, UNTRUSTED: 1}
    ringer.top_up()
    ringer.top_up()
    assert (messages(broker), messages(broker, UNTRUSTED)) == (3, 1)
    waiting[TRUSTED] = 5
    ringer.top_up()
    assert (messages(broker), messages(broker, UNTRUSTED)) == (5, 1)
    assert ringer.state.sent == 6


def test_what_is_too_much_stays(make_ringer, broker, waiting):
    """Builds that were canceled take no message back, and no other is sent for those that stay."""
    ringer = make_ringer(broker)
    waiting[TRUSTED] = 3
    ringer.top_up()
    waiting[TRUSTED] = 2
    ringer.top_up()
    assert messages(broker) == 3


def test_many_are_sent_bit_by_bit(make_ringer, broker, waiting):
    """It says that there is more, so that whoever asks it to stop is heard meanwhile."""
    ringer = make_ringer(broker)
    waiting[TRUSTED] = 501
    assert ringer.top_up()
    assert not ringer.top_up()
    assert messages(broker) == 501


def test_a_message_names_the_queue_and_nothing_else(make_ringer, broker, waiting):
    """As JSON, and kept on disk; no build, no secret, no moment at which it is to be done."""
    ringer = make_ringer(broker)
    waiting[TRUSTED] = 1
    ringer.top_up()
    with Connection(broker.url) as connection:
        message = connection.channel().basic_get(broker.name_of(TRUSTED), no_ack=True)
    assert message.headers["task"] == TASK
    assert (message.headers["eta"], message.headers["retries"]) == (None, 0)
    assert message.properties["delivery_mode"] == 2
    assert message.properties["content_type"] == "application/json"
    arguments, named, embedded = json.loads(message.body)
    assert (arguments, named) == ([TRUSTED], {})
    assert not any(embedded.values())


# The client leaves the socket of a connection that could not be made to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
def test_a_broker_that_is_away_is_told_of(make_ringer, linked, link, broker, waiting):
    """With no error for who calls, no password, and everything made up for when it is back."""
    ringer = make_ringer(linked)
    waiting[TRUSTED] = 1
    ringer.top_up()
    link.down()
    waiting[TRUSTED] = 4
    assert not ringer.top_up()
    state = ringer.state
    assert state.fault == "the message broker has taken no messages since 2026-03-01 12:00 UTC"
    assert state.why
    assert ":guest" not in state.place + state.fault + state.why
    link.up()
    ringer.top_up()
    assert not ringer.state.fault
    assert messages(broker) == 4
    gc.collect()  # what is left is told here, and not in a test that has nothing to do with it


def test_a_queue_that_goes_is_made_again(make_ringer, broker, waiting):
    """Whoever removes it while the server runs removes messages only."""
    ringer = make_ringer(broker)
    waiting[TRUSTED] = 2
    ringer.top_up()
    with Connection(broker.url) as connection:
        connection.channel().queue_delete(broker.name_of(TRUSTED))
    ringer.top_up()
    assert messages(broker) == 2


def test_a_queue_of_another_kind_is_told_of(make_ringer, broker, waiting):
    """It is somebody else's, or was made by hand."""
    with Connection(broker.url) as connection:
        connection.channel().queue_declare(broker.name_of(TRUSTED), durable=True, auto_delete=False)
    ringer = make_ringer(broker)
    waiting[TRUSTED] = 1
    ringer.top_up()
    assert ringer.state.fault
    assert "inequivalent arg" in ringer.state.why


def test_a_message_whose_takers_die_is_put_aside(make_ringer, broker, waiting):
    """After three deliveries more: it does not kill workers for ever."""
    ringer = make_ringer(broker)
    waiting[TRUSTED] = 1
    ringer.top_up()
    for _ in range(4):
        assert rabbitmq.count(broker, broker.dead) == 0
        taken = threading.Event()
        connection = Connection(broker.url)
        with connection.Consumer(
            queue_at(broker, TRUSTED), callbacks=[lambda *_, taken=taken: taken.set()]
        ):
            while not taken.is_set():
                connection.drain_events(timeout=20)
            connection.collect()  # as a death does it, without a word
    rabbitmq.until_count(broker, broker.dead, 1)
    assert messages(broker) == 0


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("amqps://ci:s3cret@mq.example.org/ci", "amqps://ci@mq.example.org/ci"),
        ("amqp://mq.example.org:5673//", "amqp://mq.example.org:5673//"),
        ("amqp://ci:p%40ss@[::1]/", "amqp://ci@[::1]/"),
    ],
)
def test_a_place_has_no_password(url, place):
    """Neither in what is shown nor in what a library says."""
    broker = Broker(url)
    assert broker.place == place
    assert "s3cret" not in repr(broker)
    said = broker.without_secrets("refused for ci with s3cret, p%40ss or p@ss")
    if "@mq" in url:
        assert "s3cret" not in said
    if "%40" in url:
        assert "p%40ss" not in said
        assert "p@ss" not in said
