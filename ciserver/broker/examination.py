"""What is right and wrong with a broker, as far as its own protocol tells."""

from collections.abc import Iterable, Iterator

import kombu
from kombu.exceptions import KombuError

from ciserver.broker.app import DELIVERY_LIMIT, connect, dead_queue, make_app, queue_at
from ciserver.broker.place import Broker

_OLDEST = (3, 10)
_NOT_FOUND, _OTHERWISE = 404, 406


def examine(broker: Broker, queues: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What is found of the broker and of these queues, each SYSTEM/TRUST, as ok, note or bad with
    what to do. Nothing is made or changed there.
    """
    connection = connect(make_app(broker, ()))
    try:
        with connection:
            yield _version(broker, connection)
            for one in queues:
                yield _queue(connection, queue_at(broker, one))
            yield _dead(connection, broker)
    except (*connection.connection_errors, *connection.channel_errors, KombuError) as error:
        why = broker.without_secrets(str(error) or type(error).__name__)
        yield "bad", f"the broker {broker.place} cannot be used, and builds wait: {why}"


def _version(broker: Broker, connection: kombu.Connection) -> tuple[str, str]:
    connection.connect()
    told = connection.connection.server_properties
    product, version = told.get("product", "a broker"), str(told.get("version", ""))
    what = f"the broker {broker.place} answers: {product} {version}"
    numbers = [int(one) for one in version.split(".")[:2] if one.isdigit()]
    if product == "RabbitMQ" and tuple(numbers) < _OLDEST:
        return "bad", f"{what}; install {'.'.join(map(str, _OLDEST))} or later"
    return "ok", what


def _queue(connection: kombu.Connection, queue: kombu.Queue) -> tuple[str, str]:
    try:
        with connection.channel() as channel:
            queue(channel).queue_declare(passive=True)
            there = queue(channel).queue_declare()  # it is there: this compares what it is
    except connection.channel_errors as error:
        if error.reply_code == _NOT_FOUND:
            return "note", f"the queue {queue.name} will be made when something is to be told there"
        if error.reply_code != _OTHERWISE:
            raise
        what = f"the queue {queue.name} is not as it must be: {error.reply_text}"
        return "bad", f"{what}; to have it made again: rabbitmqctl delete_queue {queue.name}"
    what = f"the queue {queue.name} is a quorum queue with a delivery limit of {DELIVERY_LIMIT}"
    counts = f"messages: {there.message_count}, workers that take some: {there.consumer_count}"
    return "ok", f"{what}; {counts}"


def _dead(connection: kombu.Connection, broker: Broker) -> tuple[str, str]:
    queue = dead_queue(broker)
    messages = 0
    try:
        with connection.channel() as channel:
            messages = queue(channel).queue_declare(passive=True).message_count
    except connection.channel_errors as error:
        if error.reply_code != _NOT_FOUND:
            raise
    if messages:
        what = f"{messages} messages were put aside in {queue.name}: they were somebody else's, or"
        remedy = f"once you have seen why: rabbitmqctl purge_queue {queue.name}"
        return "note", f"{what} workers died with them again and again; {remedy}"
    return "ok", "no message was put aside"
