"""When the repositories of jobsets are looked at."""

from datetime import datetime

from ciserver.store.database import Database
from ciserver.store.fields import from_microseconds, to_microseconds


class Checks:
    def __init__(self, database: Database) -> None:
        self._db = database

    def plan(self, jobset_id: int, at: datetime | None) -> None:
        """Look at it then; None: not any more."""
        self._db.sql(
            "UPDATE jobsets SET next_check_at = ? WHERE id = ?",
            (None if at is None else to_microseconds(at), jobset_id),
        )

    def claim(self, now: datetime) -> int | None:
        """The jobset that is due longest; it is due again after its interval."""
        at = to_microseconds(now)
        row = self._db.sql(
            "SELECT id FROM jobsets INDEXED BY jobsets_checked"
            " WHERE next_check_at IS NOT NULL AND next_check_at <= ? AND removed = 0"
            " ORDER BY next_check_at LIMIT 1",
            (at,),
        ).fetchone()
        if row is None:
            return None
        self._db.sql(
            "UPDATE jobsets SET checked_at = ?, next_check_at ="
            " CASE WHEN check_interval_seconds > 0"
            " THEN ? + check_interval_seconds * 1000000 END WHERE id = ?",
            (at, at, row[0]),
        )
        return int(row[0])

    def next_due(self) -> datetime | None:
        row = self._db.sql(
            "SELECT next_check_at FROM jobsets INDEXED BY jobsets_checked"
            " WHERE next_check_at IS NOT NULL AND removed = 0 ORDER BY next_check_at LIMIT 1"
        ).fetchone()
        return from_microseconds(row[0]) if row else None
