"""Builds on PostgreSQL, run by two workers that are programs of their own."""

from contextlib import ExitStack
from pathlib import Path

from bench.building import builds_per_second
from bench.figures import OURS, Goal, Row
from bench.metric import Effort, Metric, Samples
from bench.postgresql import cluster
from bench.processes import Lacking
from bench.rabbitmq import node
from bench.system import Setup, System

WORKERS = 2


class Workers(Metric):
    """Ours hear of builds from the server itself, and from a message broker."""

    name = "workers"
    rows = (
        Row("workers", "builds, PostgreSQL, 2 workers", "/s", (Goal(15, against="Buildbot"),)),
        Row(
            "workers-celery",
            "builds, PostgreSQL, 2 workers of Celery",
            "/s",
            (Goal(15, against="Buildbot", of="workers"),),
        ),
    )

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        if not system.has_workers:
            raise Lacking
        samples = {"workers": [self._rate(system, place / "asking", effort)]}
        if system.name == OURS:
            samples["workers-celery"] = [self._rate(system, place / "told", effort, told=True)]
        return samples

    @staticmethod
    def _rate(system: System, place: Path, effort: Effort, *, told: bool = False) -> float:
        place.mkdir()
        with ExitStack() as stack:
            database = stack.enter_context(cluster())
            broker = stack.enter_context(node()) if told else ""
            setup = Setup(slots=1, workers=WORKERS, database=database, broker=broker)
            return builds_per_second(system, place, setup, effort, [])
