"""The server's side of the broker: keeps a message there for each build that waits."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import kombu
import structlog
from kombu.exceptions import KombuError

from ciserver.broker.app import TASK, connect, dead_queue, make_app, queue_at
from ciserver.broker.place import Broker
from ciserver.model.ports import BrokerState, Clock, QueueState

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(seconds=10)
_AFTER_FAULT = timedelta(seconds=5)
_AT_ONCE = 500  # messages, before it is counted again


class Ringer:
    """A message says that there is work for a queue, and nothing else: the store knows which.

    Whenever it may have changed how many builds of a queue wait, and every ten seconds, the queue
    is filled up to that number. So nothing has to be remembered between a commit and a message: a
    server that was killed there, a broker that was away or lost what it had, and a worker that died
    with a message are all the same, fewer messages than builds. What is too much finds nothing to
    do where it arrives.

    One thread calls `top_up`; no request and no transaction waits for the broker.
    """

    def __init__(
        self, broker: Broker, count: Callable[[], Mapping[str, int]], clock: Clock
    ) -> None:
        """`count` answers how many builds wait for workers, by SYSTEM/TRUST."""
        self._broker = broker
        self._count = count
        self._clock = clock
        self._app = make_app(broker, ())
        self._queues: dict[str, kombu.Queue] = {}
        self._connection: kombu.Connection | None = None
        self._state = BrokerState(broker.place)

    @property
    def state(self) -> BrokerState:
        return self._state

    def next_due(self) -> datetime:
        return self._clock.now() + (_AFTER_FAULT if self._state.fault else _LOOK_EVERY)

    def top_up(self) -> bool:
        """Look at all queues once; True when there is more to be sent. Raises Busy when the store
        is away; a broker that is away is remembered, and looked for again.
        """
        wanted = self._count()
        connection = self._connection or connect(self._app)
        self._connection = connection
        try:
            return self._fill(connection, wanted)
        except (*connection.connection_errors, *connection.channel_errors, KombuError) as error:
            self.close()
            self._miss(self._broker.without_secrets(str(error) or type(error).__name__))
            return False

    def close(self) -> None:
        """Leave the broker."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken in any way, and is not used again
                connection.close()

    def _fill(self, connection: kombu.Connection, wanted: Mapping[str, int]) -> bool:
        with connection.channel() as channel:
            dead_queue(self._broker)(channel).declare()
            seen, sent = [], 0
            for name in sorted({*self._queues, *wanted}):
                queue = self._queues.setdefault(name, queue_at(self._broker, name))
                there = queue(channel).queue_declare()
                lacking = min(wanted.get(name, 0) - there.message_count, _AT_ONCE)
                if lacking > 0:
                    self._send(channel, name, lacking)
                    sent += lacking
                messages = there.message_count + max(lacking, 0)
                seen.append(QueueState(name, messages, there.consumer_count))
        if self._state.fault:
            log.info("broker-heard-again", broker=self._broker.place)
        total = self._state.sent + sent
        self._state = BrokerState(self._broker.place, queues=tuple(seen), sent=total)
        return any(one.messages < wanted.get(one.name, 0) for one in seen)

    def _send(self, channel: Any, name: str, messages: int) -> None:
        """Each is there, at a majority of the nodes, when this returns."""
        with kombu.Producer(channel) as producer:
            for _ in range(messages):
                self._app.send_task(TASK, (name,), producer=producer, queue=self._queues[name])

    def _miss(self, why: str) -> None:
        fault = self._state.fault
        if not fault:
            log.warning("broker-not-heard", broker=self._broker.place, why=why)
            since = f"{self._clock.now():%Y-%m-%d %H:%M} UTC"
            fault = f"the message broker has taken no messages since {since}"
        self._state = BrokerState(self._broker.place, fault, why, sent=self._state.sent)
