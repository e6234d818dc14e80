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
LOOKS = 200
WARM = 0.3  # of the time is not looked at: caches fill, and threads are started
MUST_KEEP = 60


class Soak(OwnMetric):
    """A push a second, each built in bubblewrap, with readers of lists, builds and logs. What is
    told is the slope of the straight line that fits best, over the time that was looked at.
    """

    name = "soak"
    is_long = True
    rows = (
        Row("soak-memory", "soak, memory gained", "MB", (Goal(5, at_least=False),)),
        Row("soak-descriptors", "soak, open files gained", "", (Goal(2, at_least=False),)),
        Row("soak-threads", "soak, threads gained", "", (Goal(2, at_least=False),)),
        Row("soak-builds", "soak, builds", ""),
    )

    def measure_ours(self, place: Path, effort: Effort) -> Samples:
        setup = Setup(f"{CLOCK}\nseq 2000", is_sandboxed=True)
        with watched(Ours(), place, setup) as (running, repository):
            looks, pushes = self._used(running, repository, effort.soak_seconds)
            until_good(running, pushes, MUST_KEEP)
        return {
            "soak-memory": [gained([one[0] for one in looks])],
            "soak-descriptors": [gained([one[1] for one in looks])],
            "soak-threads": [gained([one[2] for one in looks])],
            "soak-builds": [pushes],
        }

    @staticmethod
    def _used(
        running: Running, repository: Repository, seconds: float
    ) -> tuple[list[tuple[float, float, float]], int]:
        looks, number, began = [], 0, time.monotonic()
        gap = seconds * (1 - WARM) / LOOKS
        due = began + seconds * WARM
        with running.http() as http, closing(running.sender()) as sender:
            while (now := time.monotonic()) < began + seconds:
                number += 1
                sender.send(running.push(number, *repository.push(f"push-{number}")))
                _read(running, http, number)
                while due <= now:
                    looks.append(_looked(running.process.pid))
                    due += gap
                time.sleep(max(0.0, EVERY - (time.monotonic() - now)))
        return looks, number


def _read(running: Running, http: Connection, number: int) -> None:
    http.send(running.list_request()).json()
    if number > 1:
        http.send(running.build_request(number - 1)).json()
        running.log(number - 1)


def _looked(pid: int) -> tuple[float, float, float]:
    """Memory, open files and threads of a process."""
    own = Path(f"/proc/{pid}")
    return memory_mb(pid), len([*own.glob("fd/*")]), len([*own.glob("task/*")])


def gained(samples: list[float]) -> float:
    """From the first to the last on the line that fits best."""
    if len(samples) < 2:
        return 0.0
    return statistics.linear_regression(range(len(samples)), samples).slope * (len(samples) - 1)
