"""The rules of a matrix that look at several of its values, or at other keys, at once.

As with all joint rules they look at what was written, and pass over what has a fault of its own.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ciserver.model.errors import Complaint
from ciserver.model.frozen import frozen
from ciserver.recipe.complaints import Location, field_name, nearest, repeated, shown
from ciserver.recipe.expand import (
    MOST_JOBS,
    MOST_TEXT,
    combinations,
    size_of,
    too_many,
    variant_name,
)
from ciserver.recipe.fields import (
    MOST_EXCLUDED,
    AxisValue,
    AxisValues,
    PartialCombination,
    VariableName,
)
from ciserver.recipe.sentences import complaints_of

EXCLUDE = "exclude"
MOST_AXES = 10
LONGEST_NAME = 128
_LARGEST_SHOWN = 10**12

_NAME: TypeAdapter[str] = TypeAdapter(VariableName)
_VALUE: TypeAdapter[str] = TypeAdapter(AxisValue)
_AXIS: TypeAdapter[tuple[str, ...]] = TypeAdapter(AxisValues)
_PART: TypeAdapter[dict[str, str]] = TypeAdapter(PartialCombination)


def matrix_faults(base: str, keys: dict[str, Any], most_jobs: int) -> Iterator[Complaint]:
    """`most_jobs` is how many jobs the recipe may make; no combination is made beyond that."""
    matrix = keys.get("matrix")
    written = matrix if isinstance(matrix, dict) else {}
    lists = {
        key: values
        for key, values in written.items()
        if key != EXCLUDE and isinstance(values, list) and values
    }
    if isinstance(matrix, dict):
        yield from _odd_keys([key for key in written if key != EXCLUDE])
        yield from _taken_variables(lists, keys.get("environment"))
        yield from _repeated_values(lists)
    too_much = [*_too_much(lists, keys, most_jobs)]
    yield from too_much
    if written and not too_much:
        yield from _faults_of_choice(base, _Choice.of(lists, written))


@frozen
class _Choice:
    """What of a matrix is right: its lists, what it excludes, and whether that is all of it."""

    axes: dict[str, tuple[str, ...]]
    excluded: tuple[tuple[Location, dict[str, str]], ...]
    is_whole: bool

    @classmethod
    def of(cls, lists: dict[str, list[Any]], written: dict[str, Any]) -> "_Choice":
        axes = {
            key: tuple(dict.fromkeys(values))
            for key, one in lists.items()
            if (values := _right(_AXIS, one))
        }
        entries = written.get(EXCLUDE)
        entries = entries if isinstance(entries, list) else []
        excluded = tuple(
            (("matrix", EXCLUDE, place), part)
            for place, one in enumerate(entries[:MOST_EXCLUDED])
            if (part := _right(_PART, one))
        )
        keys = len(written.keys() - {EXCLUDE})
        is_whole = len(axes) == keys <= MOST_AXES and len(excluded) == len(entries)
        return cls(axes, excluded, is_whole)


def _right(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None


def _odd_keys(names: list[str]) -> Iterator[Complaint]:
    if not names:
        yield Complaint("matrix", "must have at least one list of values")
    if len(names) > MOST_AXES:
        yield Complaint("matrix", f"must have at most {MOST_AXES} lists of values")
    for name in names:
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            (fault,) = complaints_of(error)
            yield Complaint(field_name(("matrix", name)), fault.message)


def _taken_variables(lists: dict[str, list[Any]], environment: Any) -> Iterator[Complaint]:
    for name in lists:
        if isinstance(environment, dict) and name in environment:
            yield Complaint(
                field_name(("matrix", name)),
                f"is in environment too; leave {field_name(('environment', name))} out",
            )


def _repeated_values(lists: dict[str, list[Any]]) -> Iterator[Complaint]:
    for name, values in lists.items():
        places = ((("matrix", name, place), value) for place, value in enumerate(values))
        texts = ((place, text) for place, value in places if (text := _right(_VALUE, value)))
        yield from repeated("the value", texts)


def _too_much(
    lists: dict[str, list[Any]], keys: dict[str, Any], most_jobs: int
) -> Iterator[Complaint]:
    systems = keys.get("systems")
    places = max(1, len(systems)) if isinstance(systems, list) else 1
    field = "matrix" if lists else "systems" if places > 1 else ""
    jobs = size_of(lists) * places
    if jobs > most_jobs:
        number = jobs if jobs <= _LARGEST_SHOWN else f"more than {_LARGEST_SHOWN}"
        why = f"one may make {MOST_JOBS}" if jobs > MOST_JOBS else too_many(most_jobs)
        yield Complaint(field, f"makes {number} jobs before any is excluded; {why}")
    elif jobs > 1 and jobs * len(json.dumps({**keys, "matrix": None})) > MOST_TEXT:
        yield Complaint(
            field,
            f"makes {jobs} jobs, too many for a recipe of this length: together they may hold "
            f"{MOST_TEXT >> 20} MiB",
        )


def _faults_of_choice(base: str, choice: _Choice) -> Iterator[Complaint]:
    odd = [*_odd_exclusions(choice)]
    yield from odd
    if choice.axes and choice.is_whole and not odd:
        chosen = [*combinations(choice.axes, [part for _, part in choice.excluded])]
        if not chosen:
            yield Complaint(f"matrix.{EXCLUDE}", "leaves no combination")
        yield from _odd_names(base, chosen)


def _odd_exclusions(choice: _Choice) -> Iterator[Complaint]:
    for place, part in choice.excluded:
        for key, value in part.items():
            if key in choice.axes:
                if value not in choice.axes[key]:
                    said = f"{shown(value)} is none of the values of {key}"
                    yield Complaint(field_name((*place, key)), said)
            elif choice.is_whole:
                near = nearest(key, tuple(choice.axes))
                yield Complaint(field_name((*place, key)), f"is no key of the matrix{near}")


def _odd_names(base: str, chosen: Sequence[dict[str, str]]) -> Iterator[Complaint]:
    """The first of each sort: thousands of names have the same cause."""
    first: dict[str, dict[str, str]] = {}
    for values in chosen:
        name = variant_name(base, values)
        if len(name) > LONGEST_NAME:
            yield Complaint(
                "matrix",
                f"makes the name {shown(name)}, longer than {LONGEST_NAME} characters; "
                "shorten its values",
            )
            return
        other = first.setdefault(name, values)
        if other is not values:
            yield Complaint(
                "matrix",
                f"gives {_pairs(other)} and {_pairs(values)} the same name, {name}; "
                "change one of the values",
            )
            return


def _pairs(values: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())
