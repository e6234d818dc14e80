"""Which logs are to be looked at: packed once their attempt has ended, and removed one day."""

from datetime import datetime

import peewee

from ciserver.model.frozen import frozen
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.storage import charge

# As the index has it, so that SQLite sees that it may be used.
_DUE = peewee.SQL("logs_look_at IS NOT NULL")


@frozen
class EndedLogs:
    """The logs of an attempt that has ended. Of removed ones files may be left."""

    build_id: int
    attempt: int
    ended_at: datetime
    removed_at: datetime | None


class LogKeeping:
    def __init__(self, database: Database) -> None:
        self._db = database

    def list_due(self, now: datetime, limit: int) -> tuple[EndedLogs, ...]:
        """Those that are due longest first."""
        mine = t.Attempt
        query = mine.select(mine.build, mine.number, mine.finished_at, mine.logs_removed_at)
        due = query.where(_DUE, mine.logs_look_at <= now).order_by(mine.logs_look_at)
        return tuple(
            EndedLogs(row["build"], row["number"], row["finished_at"], row["logs_removed_at"])
            for row in self._db.rows(due.limit(limit))
        )

    def look_at(self, build_id: int, at: datetime) -> None:
        """Look at all logs of a build that were not removed."""
        mine = t.Attempt
        self._db.change(
            mine.update(logs_look_at=at).where(
                mine.build == build_id, mine.logs_removed_at.is_null(), _DUE
            )
        )

    def steps(self, logs: EndedLogs) -> tuple[int, ...]:
        """The numbers of the steps of the attempt."""
        return self.steps_of(logs.build_id, logs.attempt)

    def steps_of(self, build_id: int, attempt: int) -> tuple[int, ...]:
        query = t.Step.select(t.Step.number).where(
            t.Step.build == build_id, t.Step.attempt == attempt
        )
        return tuple(row["number"] for row in self._db.rows(query))

    def sizes(self) -> dict[tuple[int, int], int]:
        """How many bytes the logs of each attempt take, by build and number, of all that have ended
        and may have files; 0 for those that were not counted yet. Not for requests.
        """
        mine = t.Attempt
        query = mine.select(mine.build, mine.number, mine.log_bytes).where(_DUE)
        return {(row["build"], row["number"]): row["log_bytes"] for row in self._db.rows(query)}

    def count(self, logs: EndedLogs, size: int, look_at: datetime) -> None:
        """They take so many bytes now; look again then."""
        charge(self._db, logs.build_id, logs=size - self._counted(logs))
        self._db.change(t.Attempt.update(log_bytes=size, logs_look_at=look_at).where(*_is(logs)))

    def postpone(self, logs: EndedLogs, at: datetime) -> None:
        self._db.change(t.Attempt.update(logs_look_at=at).where(*_is(logs)))

    def remove(self, logs: EndedLogs, now: datetime) -> None:
        """They are no more; their files are left until `forget`."""
        charge(self._db, logs.build_id, logs=-self._counted(logs))
        self._db.change(t.Attempt.update(log_bytes=0, logs_removed_at=now).where(*_is(logs)))

    def forget(self, logs: EndedLogs) -> None:
        """Nothing of them is left."""
        self._db.change(t.Attempt.update(logs_look_at=None).where(*_is(logs)))

    def removed_at(self, build_id: int, attempt: int) -> datetime | None:
        row = self._db.row(
            t.Attempt.select(t.Attempt.logs_removed_at).where(
                t.Attempt.build == build_id, t.Attempt.number == attempt
            )
        )
        return row["logs_removed_at"] if row else None

    def _counted(self, logs: EndedLogs) -> int:
        return int(self._db.scalar(t.Attempt.select(t.Attempt.log_bytes).where(*_is(logs))) or 0)


def _is(logs: EndedLogs) -> tuple[peewee.Expression, ...]:
    return t.Attempt.build == logs.build_id, t.Attempt.number == logs.attempt
