"""Questions that every build and every request asks, as text that is made once.

Making the text of a query, and finding out what its columns are, takes longer than its answer.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import peewee

from ciserver.store.fields import FlagField, MomentField

_PLAIN = (peewee.IntegerField, peewee.TextField, peewee.ForeignKeyField)
_MEANING = (FlagField, MomentField)
_SIMPLE = re.compile(r"[A-Za-z0-9_-]*")
_ABOUT = -(2**53)  # the first mark in the text of a question: nothing has it, as text neither


class Shape:
    """What the columns of an answer are called, and which of their values are meant otherwise."""

    def __init__(self, answer: Any) -> None:
        answer.initialize()
        names = answer.unique_columns
        self._names = tuple(names)
        self._converted = tuple(
            (names[at], answer.converters[at])
            for at in answer.convert
            if not _is_plain(answer.fields[at])
        )

    def rows(self, cursor: Any) -> list[dict[str, Any]]:
        """The answer as plain dictionaries."""
        names = self._names
        found = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
        for name, convert in self._converted:
            for row in found:
                row[name] = convert(row[name])
        return found


class Usual:
    """A query about so many numbers or texts, in which nothing else varies."""

    def __init__(self, database: Any, question: Callable[..., Any], about: int) -> None:
        marks = range(_ABOUT, _ABOUT + about)
        query = question(*marks)
        self._columns = query.model, query.selected_columns
        self._places = {mark: at for at, one in enumerate(marks) for mark in (one, str(one))}
        text, values = database.get_sql_context().sql(query).query()
        self.text, self._values = self._spelled(text.split(database.param), values)
        self._shape: Shape | None = None

    def _spelled(self, pieces: list[str], values: list[Any]) -> tuple[str, tuple[Any, ...]]:
        """The text, which came in pieces around its values, as statements are written by hand, and
        the values that it still has marks for: what is always the same is in it.
        SQLite compiles a statement again each time it is given a value that an index of some of
        the rows could be chosen by, such as a flag: that takes longer than most answers.
        """
        first, *rest = pieces
        words = ["?" if self._is_given(one) else _word(one) for one in values]
        spelled = "".join(word + piece for word, piece in zip(words, rest, strict=True))
        return first + spelled, tuple(filter(self._is_given, values))

    def _is_given(self, value: Any) -> bool:
        """Whether it is told with each question, being a mark or not as easily spelled."""
        return value in self._places or not _word(value)

    def values(self, about: tuple[int | str, ...]) -> tuple[Any, ...]:
        """What stands for the marks in the text."""
        places = self._places
        return tuple(about[places[one]] if one in places else one for one in self._values)

    def rows(self, cursor: Any) -> list[dict[str, Any]]:
        if self._shape is None:
            self._shape = Shape(peewee.ModelDictCursorWrapper(cursor, *self._columns))
        return self._shape.rows(cursor)


class Writing:
    """A statement that writes these columns of one row of a table, and nothing else."""

    def __init__(self, table: Any, given: tuple[str, ...]) -> None:
        meta = table._meta  # noqa: SLF001  what peewee says of its tables
        fields = [meta.combined[name] for name in given]
        self._convert = [field.db_value for field in fields]
        columns = [field.column_name for field in fields]
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        changes = ", ".join(f"{one} = ?" for one in columns)
        self.insert = f"INSERT INTO {meta.table_name} ({names}) VALUES ({marks}) RETURNING id"  # noqa: S608
        self.update = f"UPDATE {meta.table_name} SET {changes} WHERE id = ?"  # noqa: S608

    def values(self, row: Mapping[str, Any]) -> list[Any]:
        return [convert(one) for convert, one in zip(self._convert, row.values(), strict=True)]


@cache
def writing(table: Any, names: tuple[str, ...]) -> Writing:
    return Writing(table, names)


@cache
def usual_values(table: Any) -> Mapping[str, Any]:
    """What stands in the columns that are not given."""
    return {field.name: value for field, value in table._meta.defaults.items()}  # noqa: SLF001


def _word(value: Any) -> str:
    """A number or a simple text as statements have it; empty for what is neither."""
    if isinstance(value, str):
        return f"'{value}'" if _SIMPLE.fullmatch(value) else ""
    return str(int(value)) if isinstance(value, int) else ""


def _is_plain(field: Any) -> bool:
    """Whether every database answers such a column as it is meant."""
    return isinstance(field, _PLAIN) and not isinstance(field, _MEANING)
