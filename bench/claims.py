"""What a claim costs while many builds wait, by how many jobsets they are of.

python bench/claims.py [--builds 100000] [--jobsets 1 10 100 1000] [--claims 500]
                       [--postgresql]
"""

import argparse
import secrets
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.parts import fresh_place, parts_over
from bench.postgresql import cluster
from bench.processes import Wrong
from ciserver.cli.journal import start_logging
from ciserver.model.account import Actor
from ciserver.model.build import Job, Offer, Task
from ciserver.model.evaluation import Kind
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts
from ciserver.store.store import Store
from ciserver.wiring import Parts

BENCH = Actor("bench", is_admin=True, scopes=("*",))
SYSTEM = "x86_64-linux"
JOB = Job("build", ".build.yml", "host", SYSTEM, (Task("compile", "make"),))
OFFER = Offer("bench-0", (SYSTEM,))
LEASE = timedelta(seconds=30)


@dataclass
class Claim:
    """In milliseconds, with its commit."""

    wall: float
    cpu: float


def fill(parts: Parts, builds: int, jobsets: int, now: datetime) -> None:
    """So many queued builds, spread evenly over the jobsets of so many projects."""
    store = parts.store
    evaluations, queue = store.evaluations, store.queue
    with store.transaction():
        texts = Texts(queue.add_text(job_to_json(JOB)))
        for number in range(jobsets):
            name = f"project-{number}"
            uri = f"https://example.org/{name}.git"
            evaluation_id = evaluations.request(
                parts.services.projects.watch(BENCH, name, uri).jobset.id,
                kind=Kind.PUSH,
                ref="refs/heads/main",
                revision=f"{number:040x}",
                options=(),
                requested_by="bench",
                push_id=None,
                now=now,
            )
            evaluation = evaluations.get(evaluation_id)
            with queue.arrivals(evaluation, now, builds // jobsets) as arrivals:
                for _ in range(builds // jobsets):
                    arrivals.add(JOB, texts)


def claim_often(store: Store, claims: int) -> Iterator[Claim]:
    for _ in range(claims):
        now = datetime.now(UTC)
        wall, cpu = time.perf_counter(), time.process_time()
        with store.transaction(beside=True):
            claimed = store.queue.claim(OFFER, secrets.token_hex(16), now, now + LEASE)
        yield Claim(1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu))
        if claimed is None:
            raise Wrong("nothing was claimed")


def measured(
    place: Path, builds: int, jobsets: int, claims: int, database: str = ""
) -> list[Claim]:
    with parts_over(place, database=database) as parts:
        fill(parts, builds, jobsets, datetime.now(UTC))
        return list(claim_often(parts.store, claims))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--builds", type=int, default=100_000)
    parser.add_argument("--jobsets", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--claims", type=int, default=500)
    parser.add_argument("--postgresql", action="store_true", help="over a server of its own")
    told = parser.parse_args()
    start_logging("warning")
    print(f"milliseconds a claim, its commit included, of {told.builds} queued builds")
    print(f"{'jobsets':>8}" + "".join(f"{name:>8}" for name in ("p50", "p95", "p99", "cpu p50")))
    for jobsets in told.jobsets:
        with fresh_place() as place, ExitStack() as stack:
            database = stack.enter_context(cluster()) if told.postgresql else ""
            costs = measured(place, told.builds, jobsets, told.claims, database)
        walls = statistics.quantiles([one.wall for one in costs], n=100)
        figures = (walls[49], walls[94], walls[98], statistics.median(one.cpu for one in costs))
        print(f"{jobsets:8}" + "".join(f"{one:8.2f}" for one in figures))


if __name__ == "__main__":
    main()
