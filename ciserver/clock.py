"""The system's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Implements model.ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)
