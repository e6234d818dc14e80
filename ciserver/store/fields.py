"""How values that databases do not agree on are stored."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import peewee

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(4096)  # what was made together has the same moments, and what ended has its end twice
def from_microseconds(stored: int) -> datetime:
    return _EPOCH + timedelta(microseconds=stored)


class MomentField(peewee.BigIntegerField):
    """An aware datetime, stored as microseconds since 1970 in UTC: exact, ordered, and the same
    on every database.
    """

    def db_value(self, value: datetime | None) -> int | None:
        return None if value is None else to_microseconds(value)

    def python_value(self, value: Any) -> datetime | None:
        return None if value is None else from_microseconds(value)


class FlagField(peewee.SmallIntegerField):
    """True or False, stored as 1 or 0: hand-written statements mean the same on every database."""

    def db_value(self, value: Any) -> int | None:
        return None if value is None else int(value)

    def python_value(self, value: Any) -> bool | None:
        return None if value is None else bool(value)
