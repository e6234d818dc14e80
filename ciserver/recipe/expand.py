"""One recipe, several jobs: each combination of its matrix, on each of its systems."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod

from ciserver.model.build import Job

MOST_JOBS = 10_000

Axes = Mapping[str, Sequence[str]]


def size_of(axes: Axes) -> int:
    """How many combinations there are before any is excluded; costs nothing to ask."""
    return prod(len(values) for values in axes.values())


def combinations(
    axes: Axes, excluded: Sequence[Mapping[str, str]] = ()
) -> Iterator[dict[str, str]]:
    """Every choice of one value for each key that is not wholly within an excluded one."""
    for values in product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        if not any(part.items() <= chosen.items() for part in excluded):
            yield chosen


def variant_name(base: str, chosen: Mapping[str, str]) -> str:
    """`test` with Python 3.11 and SQLite is `test.3.11.sqlite`."""
    return ".".join((base, *chosen.values()))


def expand(
    job: Job, chosen: Sequence[Mapping[str, str]], systems: Sequence[str]
) -> tuple[Job, ...]:
    """The job once for each combination and system, those of one combination together."""
    return tuple(
        replace(job, name=name, system=system, environment=environment)
        for values in chosen
        for name, environment in [(variant_name(job.name, values), {**job.environment, **values})]
        for system in systems
    )
