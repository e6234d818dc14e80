"""What `ciserver doctor` tells of a broker."""

import json
from dataclasses import replace

from click.testing import CliRunner
from kombu import Connection
from support.rabbitmq import QUEUES, settings_of
from support.server import free_port

from ciserver.broker.app import connect, dead_queue, make_app, queue_at
from ciserver.broker.examination import examine
from ciserver.broker.place import Broker
from ciserver.cli.main import main

TRUSTED, UNTRUSTED = QUEUES


def found(broker):
    return list(examine(broker, QUEUES))


def test_an_empty_broker_is_right(broker):
    """Its version is told, and that there is nothing yet; nothing is made by looking."""
    (ok, version), (note, trusted), _, (_, dead) = found(broker)
    assert (ok, note) == ("ok", "note")
    assert "RabbitMQ 3." in version or "RabbitMQ 4." in version
    assert f"{broker.name_of(TRUSTED)} will be made" in trusted
    assert dead == "no message was put aside"
    assert found(broker)[1][0] == "note"


def test_queues_are_compared_with_what_they_must_be(broker):
    """A quorum queue with the delivery limit, or what it is instead and how to mend it."""
    with connect(make_app(broker, ())) as connection:
        queue_at(broker, TRUSTED)(connection.default_channel).declare()
        connection.default_channel.queue_declare(
            broker.name_of(UNTRUSTED), durable=True, auto_delete=False
        )
    _, (ok, trusted), (bad, untrusted), _ = found(broker)
    assert ok == "ok"
    assert "is a quorum queue with a delivery limit of 3; messages: 0" in trusted
    assert bad == "bad"
    assert "inequivalent arg" in untrusted
    assert f"rabbitmqctl delete_queue {broker.name_of(UNTRUSTED)}" in untrusted


def test_messages_that_were_put_aside_are_told_of(broker):
    """Somebody should look at them."""
    with Connection(broker.url) as connection:
        dead_queue(broker)(connection.default_channel).declare()
        connection.Producer().publish("x", exchange="", routing_key=broker.dead)
    *_, (note, dead) = found(broker)
    assert note == "note"
    assert f"1 messages were put aside in {broker.dead}" in dead


def test_a_broker_that_is_away_or_refuses_is_told_of(broker):
    """With the reason, and without the password."""
    away = Broker(f"amqp://ci:s3cret@127.0.0.1:{free_port()}//")
    stranger = replace(broker, url=broker.url.replace("guest:guest", "guest:s3cret"))
    for one in (away, stranger):
        ((level, what),) = found(one)
        assert level == "bad"
        assert one.place in what
        assert "s3cret" not in what


def test_the_doctor_tells_it(broker, tmp_path):
    """Beside everything else, and with the address hidden among the settings."""
    (tmp_path / "ciserver.toml").write_text(settings_of(broker))
    done = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path), "-o", "json"])
    told = json.loads(done.stdout)
    assert told["settings"]["engine"]["broker"] == "(hidden)"
    assert [one for one in told["findings"] if one["what"].startswith("the broker amqp://")]
    assert broker.url not in done.stdout
