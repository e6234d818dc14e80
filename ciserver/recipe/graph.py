"""Which build waits for which: the names in `needs` become builds, and none waits for itself."""

from collections.abc import Iterable, Iterator, Sequence

from ciserver.model.build import Identity, Job
from ciserver.model.errors import Complaint
from ciserver.model.frozen import frozen
from ciserver.recipe.complaints import MOST, at_most, nearest, shown

MOST_NEEDS = 100_000
_MOST_COMPARED = 20_000  # words, while looking for near ones: each takes time
_LONGEST_CIRCLE = 20

Needs = dict[Identity, tuple[Identity, ...]]


@frozen
class Placed:
    """A job, and the builds that must have succeeded before its own may start."""

    job: Job
    needs: tuple[Identity, ...]


def order(jobs: Sequence[Job]) -> tuple[tuple[Placed, ...], tuple[Complaint, ...]]:
    """The jobs of all recipes, each after all that it needs; or the complaints, with file and
    field, that say why there is no such order.

    A name in `needs` is that of a recipe, which means all that its matrix makes, or of one job. It
    means the builds for the same system, or where there are none those for every system.
    """
    complaints = [*_twins(jobs)]
    book = _Book(jobs)
    needs, faults = _resolved(jobs, book)
    complaints += faults
    ordered, ways = _sorted(needs, book)
    complaints += _circles(ways, book)
    if complaints:
        return (), at_most(complaints)
    return tuple(Placed(book.jobs[one], needs[one]) for one in ordered), ()


class _Book:
    """What the words in `needs` can mean."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        identities = [job.identity for job in jobs]
        self.jobs = dict(zip(identities, jobs, strict=True))
        self._everywhere: dict[str, dict[Identity, None]] = {}
        self._here: dict[tuple[str, str], dict[Identity, None]] = {}
        bases = {_base(job) for job in jobs}
        for identity, job in zip(identities, jobs, strict=True):
            for word in {_base(job), job.name}:
                if word == _base(job) or word not in bases:
                    self._everywhere.setdefault(word, {})[identity] = None
                    self._here.setdefault((word, job.system), {})[identity] = None

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self._everywhere)

    def base(self, identity: Identity) -> str:
        return _base(self.jobs[identity])

    def find(self, word: str, system: str) -> dict[Identity, None]:
        return self._here.get((word, system)) or self._everywhere.get(word, {})


def _base(job: Job) -> str:
    return job.base or job.name


def _twins(jobs: Iterable[Job]) -> Iterator[Complaint]:
    """A name belongs to one file; from that file each system has it once."""
    owners: dict[str, str] = {}
    seen: set[Identity] = set()
    for job in jobs:
        owner, identity = owners.setdefault(job.name, job.file), job.identity
        if owner != job.file:
            yield Complaint("", f"the job {job.name} is already made by {owner}", job.file)
        elif identity in seen:
            yield Complaint("", f"makes the job {job.name} for {job.system} twice", job.file)
        seen.add(identity)


def _resolved(jobs: Iterable[Job], book: _Book) -> tuple[Needs, list[Complaint]]:
    """The builds that each job needs; looked up once for all jobs of a recipe and system."""
    needs: Needs = {}
    known: dict[tuple[str, tuple[str, ...], str], tuple[Identity, ...]] = {}
    unknown: dict[tuple[str, str], int] = {}
    total = 0
    for job in jobs:
        key = (job.file, job.needs, job.system)
        if key not in known:
            found = [book.find(word, job.system) for word in job.needs]
            known[key] = tuple(dict.fromkeys(one for each in found for one in each))
            for place, word in enumerate(job.needs):
                if not found[place]:
                    unknown.setdefault((job.file, word), place)
        needs[job.identity] = known[key]
        total += len(known[key])
        if total > MOST_NEEDS:
            fault = f"the builds would wait for more than {MOST_NEEDS} others; name fewer"
            return {}, [Complaint("needs", fault, job.file)]
    return needs, [*_unknown(unknown, book.words)]


def _unknown(places: dict[tuple[str, str], int], words: tuple[str, ...]) -> Iterator[Complaint]:
    for number, ((file, word), place) in enumerate(places.items()):
        near = nearest(word, words) if number * len(words) < _MOST_COMPARED else ""
        yield Complaint(f"needs[{place}]", f"no recipe makes the job {shown(word)}{near}", file)


def _sorted(needs: Needs, book: _Book) -> tuple[tuple[Identity, ...], list[tuple[Identity, ...]]]:
    """Each build after those it needs, and the ways that lead back to where they began: the first
    between any two recipes.
    """
    done: dict[Identity, None] = {}
    ways: dict[tuple[str, str], tuple[Identity, ...]] = {}
    for start in needs:
        way = {} if start in done else {start: iter(needs[start])}
        while way:
            here = next(reversed(way))
            below = next(way[here], None)
            if below is None:
                done[here] = None
                del way[here]
            elif below in way:
                closing = (book.base(here), book.base(below))
                if closing not in ways and len(ways) < MOST:
                    whole = list(way)
                    ways[closing] = tuple(whole[whole.index(below) :])
            elif below not in done:
                way[below] = iter(needs[below])
    return tuple(done), list(ways.values())


def _circles(ways: Iterable[tuple[Identity, ...]], book: _Book) -> Iterator[Complaint]:
    """One complaint for each circle of recipes, where the last of them needs the first."""
    told: set[frozenset[str]] = set()
    for way in ways:
        recipes = frozenset(map(book.base, way))
        if recipes in told:
            continue
        told.add(recipes)
        first, last = way[0], book.jobs[way[-1]]
        place = next(
            number
            for number, word in enumerate(last.needs)
            if first in book.find(word, last.system)
        )
        yield Complaint(f"needs[{place}]", _spelled([name for name, _ in way]), last.file)


def _spelled(names: list[str]) -> str:
    if len(names) == 1:
        return "a job cannot need itself"
    shortened = [*names[: _LONGEST_CIRCLE - 1], "...", names[-1]]
    listed = names if len(names) <= _LONGEST_CIRCLE else shortened
    return f"goes round in a circle: {' needs '.join([names[-1], *listed])}"
