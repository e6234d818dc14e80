"""Bells: how one part of a server tells another that there is work, without knowing it."""

from collections.abc import Callable
from dataclasses import dataclass, field


class Bell:
    """Wakes everybody who listens. Ringing is cheap and may be done too often."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def on_ring(self, listener: Callable[[], None]) -> None:
        """Call this at every ring; it must return at once."""
        self._listeners.append(listener)

    def ring(self) -> None:
        for listener in self._listeners:
            listener()


@dataclass(frozen=True)
class Bells:
    """Rung when an evaluation is requested, a build queued, a delivery due, a schedule changed, a
    job request made, an interval of polling changed.
    """

    evaluations: Bell = field(default_factory=Bell)
    builds: Bell = field(default_factory=Bell)
    deliveries: Bell = field(default_factory=Bell)
    schedules: Bell = field(default_factory=Bell)
    requests: Bell = field(default_factory=Bell)
    polls: Bell = field(default_factory=Bell)
