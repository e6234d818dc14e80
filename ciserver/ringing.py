"""What a server with a message broker does beside all others: it keeps the broker up to date."""

from ciserver.broker.place import Broker
from ciserver.broker.ringer import Ringer
from ciserver.service.backlog import Backlog
from ciserver.ticker import Loop
from ciserver.wiring import Parts


class Ringing:
    """A loop of its own, rung by the bell of builds, so that no request waits for the broker."""

    def __init__(self, parts: Parts, broker: Broker) -> None:
        services, self.place = parts.services, broker.place
        backlog = Backlog(parts.store, services.clock, services.fleet)
        self._ringer = Ringer(broker, backlog.count, services.clock)
        self._loop = Loop(
            "ringer", self._ringer.top_up, parts.bells.builds, services.clock, self._ringer.next_due
        )
        services.fleet.hear_of(lambda: self._ringer.state)

    def start(self) -> None:
        self._loop.start()

    def stop(self, timeout_seconds: float = 5) -> None:
        self._loop.stop()
        self._loop.join(timeout_seconds)
        self._ringer.close()
