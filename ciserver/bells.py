"""Bells: how one part of a server tells another that there is work, without knowing it.

Servers of one database hear each other's bells, where something carries them.
"""

from collections.abc import Callable
from dataclasses import field, fields

from ciserver.model.frozen import frozen

_LOG_SECONDS = 0.1  # followers on other servers are told of a log so often at most


class Bell:
    """Wakes everybody who listens. Ringing is cheap and may be done too often. A bell of many
    things is rung about one of them, by its number.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[..., None]] = []
        self._carriers: list[Callable[..., None]] = []

    def on_ring(self, listener: Callable[..., None]) -> None:
        """Call this at every ring; it must return at once."""
        self._listeners.append(listener)

    def carry(self, carrier: Callable[..., None]) -> None:
        """Call this, too, at every ring that begins here; it must return at once."""
        self._carriers.append(carrier)

    def ring(self, *about: int) -> None:
        """Ring here and, where it is carried, elsewhere."""
        self.ring_here(*about)
        for carrier in self._carriers:
            carrier(*about)

    def ring_here(self, *about: int) -> None:
        for listener in self._listeners:
            listener(*about)


@frozen
class Bells:
    """Rung when an evaluation is requested, a build queued, a delivery due, a schedule changed, a
    job request made, an interval of polling changed; about a build when it is to stop where it
    runs, and when its logs grow.
    """

    evaluations: Bell = field(default_factory=Bell)
    builds: Bell = field(default_factory=Bell)
    deliveries: Bell = field(default_factory=Bell)
    schedules: Bell = field(default_factory=Bell)
    requests: Bell = field(default_factory=Bell)
    polls: Bell = field(default_factory=Bell)
    stops: Bell = field(default_factory=Bell)
    logs: Bell = field(default_factory=Bell)

    def carry(self, tell: Callable[[str, float], None]) -> None:
        """Have every ring told elsewhere: as a text for `hear`, at most every so many seconds."""
        for name, bell in self._by_name().items():
            seconds = _LOG_SECONDS if bell is self.logs else 0.0
            bell.carry(_carrier(name, seconds, tell))

    def hear(self, text: str) -> None:
        """A bell was rung elsewhere; one that is not known here is nobody's."""
        name, *about = text.split()
        if bell := self._by_name().get(name):
            bell.ring_here(*map(int, about))

    def ring_all_here(self) -> None:
        """Any may have been rung unheard. What is rung about one thing is looked at anyway."""
        for bell in self._by_name().values():
            if bell not in (self.stops, self.logs):
                bell.ring_here()

    def _by_name(self) -> dict[str, Bell]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


def _carrier(name: str, seconds: float, tell: Callable[[str, float], None]) -> Callable[..., None]:
    def carry(*about: int) -> None:
        tell(" ".join((name, *map(str, about))), seconds)

    return carry
