"""What a measurement is: it starts a system afresh, checks what it did, and answers samples by the
keys of its rows.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import OURS, Row
from bench.ours import recipe
from bench.processes import Lacking, Wrong, memory_mb, until
from bench.system import Repository, Running, Setup, System

AT = re.compile(rb"^at=([0-9.]+)\r?$", re.MULTILINE)
BUILD_SECONDS = 60
Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Effort:
    """How much is done, so that a figure means something, or so that it is soon there."""

    repeat: int = 3
    pushes: int = 30
    builds: int = 400
    at_once: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    histories: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    seconds: float = 4  # of load, and of spawning
    log_mb: int = 200
    log_sizes: tuple[int, ...] = (1, 10, 100, 1_000)  # MB
    lines: int = 40
    idle_seconds: float = 5
    jobs: int = 10_000
    waiting: int = 100_000
    schedules: int = 10_000
    soak_seconds: float = 1800
    limit_seconds: int = 1_200  # for one measurement of one system


QUICK = Effort(
    repeat=1,
    pushes=5,
    builds=60,
    at_once=(1, 2, 4, 8),
    histories=(1_000, 100_000),
    seconds=1.5,
    log_mb=20,
    log_sizes=(1, 10),
    lines=12,
    idle_seconds=1,
    jobs=1_000,
    waiting=10_000,
    schedules=1_000,
    soak_seconds=60,
)


class Unfinished(Exception):
    """What went wrong is the cause; the samples are those from before."""

    def __init__(self, samples: Samples) -> None:
        super().__init__()
        self.samples = samples


@contextmanager
def keeping(samples: Samples) -> Iterator[None]:
    """Where something goes wrong within the block, these are not lost by it. Raises Unfinished."""
    try:
        yield
    except Lacking:
        raise
    except Exception as error:
        raise Unfinished(samples) from error


class Metric(ABC):
    name: str
    rows: tuple[Row, ...]
    is_once = False  # each system is started once, however often for others

    @abstractmethod
    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        """Raises Wrong or Unfinished, and Lacking where the system has no such thing."""

    def limit(self, place: Path, effort: Effort) -> Samples:
        """What nothing could do better on this machine; nothing where that is not known."""
        return {}

    def patience(self, effort: Effort) -> int:
        """The seconds after which the measurement of one system is given up."""
        return effort.limit_seconds


class OwnMetric(Metric):
    """What is only asked of this program."""

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        if system.name != OURS:
            raise Lacking
        return self.measure_ours(place, effort)

    @abstractmethod
    def measure_ours(self, place: Path, effort: Effort) -> Samples: ...


@contextmanager
def watched(
    system: System, place: Path, setup: Setup, peaks: list[float] | None = None
) -> Iterator[tuple[Running, Repository]]:
    """A system that watches a repository. The most memory that its server had is added to the
    peaks, in MB.
    """
    repository = Repository(place, {".build.yml": recipe(setup)})
    with system.running(place, setup, repository) as running, closing(running):
        yield running, repository
        if peaks is not None:
            peaks.append(memory_mb(running.process.pid, "VmHWM"))


def build_one(running: Running, repository: Repository, number: int) -> float:
    """Push, and wait until its build has ended well; answers the moment before the push."""
    before, after = repository.push(f"push-{number}")
    prepared = running.push(number, before, after)
    with closing(running.sender()) as sender:
        began = time.time()
        sender.send(prepared)
    until_good(running, number)
    return began


def until_good(running: Running, count: int, seconds: float = BUILD_SECONDS) -> None:

    def all_ended() -> tuple[int, int] | None:
        found = running.ended()
        return found if found[0] >= count else None

    ended, good = until(all_ended, seconds, f"{count} builds to end") or (0, 0)
    if not ended == good == count:
        raise Wrong(f"{good} of {ended} builds are good, of {count} that were asked for")


def moments(log: bytes) -> list[float]:
    return [float(one) for one in AT.findall(log)]
