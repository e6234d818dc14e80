"""Questions that every build and every request asks, as text that is made once.

Making the text of a query, and finding out what its columns are, takes longer than its answer.
"""

from collections.abc import Callable
from typing import Any

import peewee

from ciserver.store.fields import FlagField, MomentField

_PLAIN = (peewee.IntegerField, peewee.TextField, peewee.ForeignKeyField)
_MEANING = (FlagField, MomentField)
_ABOUT = -(2**53)  # the first number in the text of a question, which nothing has


class Usual:
    """A query about so many numbers, in which nothing else varies."""

    def __init__(self, database: Any, question: Callable[..., Any], numbers: int) -> None:
        places = range(_ABOUT, _ABOUT + numbers)
        query = question(*places)
        self._columns = query.model, query.selected_columns
        self.text, values = database.get_sql_context().sql(query).query()
        self._values = tuple(values)
        self._places = {one: index for index, one in enumerate(places)}
        self._names: tuple[str, ...] = ()
        self._converted: tuple[tuple[str, Callable[[Any], Any]], ...] = ()

    def values(self, about: tuple[int, ...]) -> tuple[Any, ...]:
        """What stands for the marks in the text."""
        places = self._places
        return tuple(about[places[one]] if one in places else one for one in self._values)

    def rows(self, cursor: Any) -> list[dict[str, Any]]:
        """The answer as plain dictionaries."""
        if not self._names:
            self._learn(cursor)
        found = []
        for values in cursor.fetchall():
            row = dict(zip(self._names, values, strict=True))
            for name, convert in self._converted:
                row[name] = convert(row[name])
            found.append(row)
        return found

    def _learn(self, cursor: Any) -> None:
        answer = peewee.ModelDictCursorWrapper(cursor, *self._columns)
        answer.initialize()
        names = answer.unique_columns
        self._converted = tuple(
            (names[at], answer.converters[at])
            for at in answer.convert
            if not _is_plain(answer.fields[at])
        )
        self._names = tuple(names)


def _is_plain(field: Any) -> bool:
    """Whether every database answers such a column as it is meant."""
    return isinstance(field, _PLAIN) and not isinstance(field, _MEANING)
