"""Aggregate jobs of Nix: each waits for the jobs that it consists of."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import translate
from typing import Any

from ciserver.model.build import Job
from ciserver.model.frozen import frozen
from ciserver.recipe.complaints import shown

_MOST_PATTERNS = 100
_MOST_SHOWN = 5


@frozen
class Aggregate:
    """What an aggregate names: jobs, patterns of their names where `globs`, and derivations."""

    names: tuple[str, ...]
    derivations: tuple[str, ...]
    globs: bool = False


def aggregate(told: Iterable[Mapping[str, Any]], *, globs: bool) -> Aggregate:
    """From what the walk over the recipe tells."""
    found = list(told)
    return Aggregate(
        tuple(one["name"] for one in found if one.get("name")),
        tuple(one["drv"] for one in found if one.get("drv")),
        globs=globs,
    )


def join(
    jobs: Iterable[Job],
    aggregates: Mapping[str, Aggregate],
    derivations: Mapping[str, str],
    refuse: Callable[[str, str], None],
) -> tuple[Job, ...]:
    """The jobs, of which the aggregates need what they consist of. `derivations` are those of the
    jobs, with their names. One that names jobs that are not there is refused, with what is wrong,
    and left out; a derivation that is no job is built with the aggregate.
    """
    known = {one.name: one for one in jobs}
    while faults := {
        name: fault
        for name in aggregates.keys() & known
        if (fault := _fault(name, known, aggregates))
    }:
        for name in [one for one in known if one in faults]:
            refuse(name, faults[name])
            del known[name]
    for name in aggregates.keys() & known:
        known[name] = _whole(known, known[name], aggregates[name], derivations)
    return tuple(known.values())


def _fault(name: str, known: Mapping[str, Job], aggregates: Mapping[str, Aggregate]) -> str:
    """Empty where all that it names is there."""
    mine = aggregates[name]
    if mine.globs and len(mine.names) > _MOST_PATTERNS:
        return f"names its constituents by more than {_MOST_PATTERNS} patterns"
    missing = [one for one in mine.names if not any(_named(one, name, known, globs=mine.globs))]
    if not missing:
        return ""
    listed = ", ".join(map(shown, missing[:_MOST_SHOWN]))
    more = f" and {len(missing) - _MOST_SHOWN} more" if len(missing) > _MOST_SHOWN else ""
    return f"consists of jobs that are not there: {listed}{more}"


def _whole(
    known: Mapping[str, Job], job: Job, mine: Aggregate, derivations: Mapping[str, str]
) -> Job:
    needs: dict[str, None] = {}
    for one in mine.names:
        needs |= dict.fromkeys(_named(one, job.name, known, globs=mine.globs))
    within = 0
    for drv in mine.derivations:
        name = derivations.get(drv, "")
        if name in known and name != job.name:
            needs[name] = None
        else:
            within += 1
    notes = job.notes
    if within:
        notes += (f"{within} of its constituents are no jobs and are built with it",)
    return replace(job, needs=tuple(needs), notes=notes)


def _named(word: str, own: str, known: Mapping[str, Job], *, globs: bool) -> Iterator[str]:
    """The other jobs that a name or pattern means."""
    if not globs:
        return (one for one in (word,) if one in known and one != own)
    matches = re.compile(translate(word)).match
    return (one for one in known if matches(one) and one != own)
