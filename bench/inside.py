"""What single parts of this program cost: evaluations, claims and schedules."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from bench import claims, evaluation, schedules
from bench.figures import Goal, Row, p95
from bench.metric import Effort, OwnMetric, Samples
from bench.postgresql import cluster
from bench.processes import Lacking

JOBSETS = (1, 10, 100, 1_000)
DATABASES = ("SQLite", "PostgreSQL")


class Evaluations(OwnMetric):
    """One recipe with many jobs: the first time, and again when all of it was built."""

    name = "evaluation"
    rows = (
        Row("evaluation", "evaluation of 10,000 jobs", "s", (Goal(5, at_least=False),)),
        Row("evaluation-memory", "the same, memory gained", "MB", (Goal(150, at_least=False),)),
        Row("evaluation-again", "the same tree again", "s", (Goal(0.05, at_least=False),)),
    )

    def measure_ours(self, place: Path, effort: Effort) -> Samples:
        (fresh,) = evaluation.alone("fresh", effort.jobs)
        (again,) = evaluation.alone("again", effort.jobs)
        return {
            "evaluation": [fresh.wall],
            "evaluation-memory": [fresh.server_growth],
            "evaluation-again": [again.wall],
        }


class Claims(OwnMetric):
    """Claims with their commits, while many builds wait."""

    name = "claims"
    is_once = True
    count = 500
    rows = tuple(
        Row(
            f"claims-{database}-{jobsets}",
            f"claim, {database}, {jobsets:,} jobset{'s' * (jobsets > 1)}, p95",
            "ms",
            (Goal(5, at_least=False),) if jobsets == 1_000 else (),
        )
        for database in DATABASES
        for jobsets in JOBSETS
    )

    def measure_ours(self, place: Path, effort: Effort) -> Samples:
        return dict(self._all(place, effort))

    def _all(self, place: Path, effort: Effort) -> Iterator[tuple[str, list[float]]]:
        for database in DATABASES:
            for jobsets in JOBSETS:
                own = place / f"{database}-{jobsets}"
                own.mkdir()
                try:
                    with self._address(database) as address:
                        costs = claims.measured(own, effort.waiting, jobsets, self.count, address)
                except Lacking:
                    continue
                yield f"claims-{database}-{jobsets}", [p95([one.wall for one in costs])]

    @staticmethod
    def _address(database: str) -> AbstractContextManager[str]:
        return cluster() if database == "PostgreSQL" else nullcontext("")


class Schedules(OwnMetric):
    name = "schedules"
    is_once = True
    rows = (
        Row("schedules-late", "firings after they are due, p95", "ms", (Goal(50, False),)),
        Row("schedules-idle", "10,000 schedules that wait", "% of a core", (Goal(1, False),)),
        Row("schedules-fire", "10,000 schedules due at once", "s"),
    )

    def measure_ours(self, place: Path, effort: Effort) -> Samples:
        figures: dict[str, float] = {}
        for name, measure in schedules.MEASURES.items():
            own = place / name
            own.mkdir()
            figures |= measure(own, effort.schedules)
        return {
            "schedules-late": [figures["late-p95-ms"]],
            "schedules-idle": [figures["idle-percent"]],
            "schedules-fire": [figures["fire-s"]],
        }
