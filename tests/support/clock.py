"""A clock that moves only when it is told to."""

from datetime import UTC, datetime, timedelta


class StillClock:
    def __init__(self, moment=datetime(2026, 3, 1, 12, 0, tzinfo=UTC)):
        self._moment = moment

    def now(self):
        return self._moment

    def forward(self, **span):
        self._moment += timedelta(**span)
        return self._moment
