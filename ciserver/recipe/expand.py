"""One recipe, several jobs: each combination of its matrix, on each of its systems."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod

from ciserver.model.build import Job

MOST_JOBS = 10_000  # of all manifests of one evaluation, and of one matrix
MOST_OF_ALL = 100_000  # of all its recipes, those that are programs among them
MOST_TEXT = 32 << 20  # what all jobs of one manifest may hold together, in characters
MOST_TEXT_OF_ALL = 256 << 20  # those of all recipes

Axes = Mapping[str, Sequence[str]]


class Allowance:
    """What the recipes of one evaluation may still make, all files together: jobs, and characters
    of text in them.
    """

    def __init__(
        self,
        *,
        of_manifests: int = MOST_JOBS,
        of_all: int = MOST_OF_ALL,
        text: int = MOST_TEXT_OF_ALL,
    ) -> None:
        self._most = {False: of_manifests, True: of_all}
        self._most_text = text
        self._made = {False: 0, True: 0}
        self._text = 0

    def left(self, *, is_program: bool) -> int:
        """How many jobs the next file may make."""
        of_all = self._most[True] - sum(self._made.values())
        return of_all if is_program else min(of_all, self._most[False] - self._made[False])

    def take(self, jobs: int, characters: int, *, is_program: bool) -> None:
        self._made[is_program] += jobs
        self._text += characters

    def fault(self, *, is_program: bool) -> str:
        """Why the next file cannot make anything; empty when it can."""
        if self._text >= self._most_text:
            size = f"{self._most_text >> 20} MiB"
            return f"the recipes before it hold all of the {size} that jobs may hold together"
        if self.left(is_program=is_program) > 0:
            return ""
        is_all = sum(self._made.values()) >= self._most[True]
        what, most = ("recipes", self._most[True]) if is_all else ("manifests", self._most[False])
        return f"the {what} before it make all of the {most} jobs that {what} may make together"


def too_many(left: int) -> str:
    """What is wrong with one that makes more jobs than are left."""
    return (
        f"the recipes of a jobset together may make {MOST_OF_ALL}, manifests {MOST_JOBS} of them, "
        f"and {left} of them are left"
    )


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
        job.having(name=name, system=system, environment=environment)
        for values in chosen
        for name, environment in [(variant_name(job.name, values), {**job.environment, **values})]
        for system in systems
    )
