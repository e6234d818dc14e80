"""Whether a server that is used steadily goes on growing."""

import statistics
import time
from contextlib import closing
from pathlib import Path

from bench.figures import Goal, Row
from bench.metric import Effort, OwnMetric, Samples, until_good, watched
from bench.ours import Ours
from bench.processes import memory_mb
from bench.system import CLOCK, Repository, Running, Setup
from bench.wire import Connection

EVERY = 1.0  # seconds from a push to the next
LOOKS = 300
WARM = 0.3  # of them do not count: caches fill, and threads are started
MUST_KEEP = 60


class Soak(OwnMetric):
    """A push a second, each built in bubblewrap, with readers of lists, builds and logs. What was
    gained is told by the straight line that fits best.
    """

    name = "soak"
    is_once = True
    rows = (
        Row("soak", "soak, memory", "MB"),
        Row("soak-memory", "soak, memory gained", "MB", (Goal(5, at_least=False),)),
        Row("soak-descriptors", "soak, open files gained", "", (Goal(2, at_least=False),)),
        Row("soak-threads", "soak, threads gained", "", (Goal(2, at_least=False),)),
        Row("soak-builds", "soak, builds", ""),
    )

    def patience(self, effort: Effort) -> int:
        return super().patience(effort) + int(effort.soak_seconds)

    def measure_ours(self, place: Path, effort: Effort) -> Samples:
        setup = Setup(f"{CLOCK}\nseq 2000", is_sandboxed=True)
        with watched(Ours(), place, setup) as (running, repository):
            looks, pushes = self._used(running, repository, effort.soak_seconds)
            until_good(running, pushes, MUST_KEEP)
        memory, descriptors, threads = ([*each] for each in zip(*looks, strict=True))
        return {
            "soak": memory,
            "soak-memory": [gained(memory)],
            "soak-descriptors": [gained(descriptors)],
            "soak-threads": [gained(threads)],
            "soak-builds": [pushes],
        }

    @staticmethod
    def _used(
        running: Running, repository: Repository, seconds: float
    ) -> tuple[list[tuple[float, float, float]], int]:
        looks, number, began = [], 0, time.monotonic()
        gap = seconds / LOOKS
        due = began + gap
        with running.http() as http, closing(running.sender()) as sender:
            while (now := time.monotonic()) < began + seconds:
                number += 1
                sender.send(running.push(number, *repository.push(f"push-{number}")))
                _read(running, http)
                while due <= now:
                    looks.append(_looked(running.process.pid))
                    due += gap
                time.sleep(max(0.0, EVERY - (time.monotonic() - now)))
        return looks, number


def _read(running: Running, http: Connection) -> None:
    for newest in http.send(running.list_request()).json()["builds"][:1]:
        http.send(running.build_request(newest["id"])).json()
        running.log(newest["id"])


def _looked(pid: int) -> tuple[float, float, float]:
    """Memory, open files and threads of a process."""
    own = Path(f"/proc/{pid}")
    return memory_mb(pid), len([*own.glob("fd/*")]), len([*own.glob("task/*")])


def gained(looks: list[float]) -> float:
    """From the first to the last of those that count, on the line that fits best."""
    warm = looks[int(len(looks) * WARM) :]
    return statistics.linear_regression(range(len(warm)), warm).slope * (len(warm) - 1)
