"""How soon what builds print can be read."""

import time
from contextlib import closing
from pathlib import Path

from bench import limit
from bench.figures import Goal, Row, p95
from bench.metric import (
    Effort,
    Metric,
    OwnMetric,
    Samples,
    moments,
    until_good,
    watched,
)
from bench.ours import Ours
from bench.processes import (
    Wrong,
    forget_peak,
    memory_mb,
    steady_clock,
    until,
)
from bench.system import CLOCK, Running, Setup, System


class LongLog(Metric):
    """A log in lines of 100 bytes, from its first command until its end can be read."""

    name = "log"
    rows = (
        Row(
            "log",
            "long log until readable",
            "MB/s",
            (Goal(2, against="Laminar"), Goal(50, against="Buildbot")),
        ),
        Row("log-memory", "long log, memory gained", "MB", (Goal(20, at_least=False),)),
    )

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        rate, gained = read_log(system, place, effort.log_mb, effort)
        return {"log": [rate], "log-memory": [gained]}

    def limit(self, place: Path, effort: Effort) -> Samples:
        return {"log": [limit.piped_mb_per_second(_script(effort.log_mb), place)]}


class LogSizes(OwnMetric):
    """The same for logs of other sizes."""

    name = "logs"
    rows = tuple(
        row
        for size in Effort.log_sizes
        for row in (
            Row(f"logs-{size}", f"log of {size} MB until readable", "MB/s"),
            Row(
                f"logs-{size}-memory",
                f"log of {size} MB, memory gained",
                "MB",
                (Goal(20, at_least=False),),
            ),
        )
    )

    def measure_ours(self, place: Path, effort: Effort) -> Samples:
        samples: Samples = {}
        for size in effort.log_sizes:
            own = place / str(size)
            own.mkdir()
            rate, gained = read_log(Ours(), own, size, effort)
            samples |= {f"logs-{size}": [rate], f"logs-{size}-memory": [gained]}
        return samples


def read_log(system: System, place: Path, megabytes: int, effort: Effort) -> tuple[float, float]:
    """MB a second of a log of that size, and the MB of memory that the server gained by it."""
    size, lines = megabytes * 1_000_000, megabytes * 10_000
    setup = Setup(_script(megabytes), is_sandboxed=system.has_sandbox, masks=True)
    with watched(system, place, setup) as (running, repository), steady_clock():
        pid = running.process.pid
        forget_peak(pid)
        before = memory_mb(pid)
        revisions = repository.push("log")
        with closing(running.sender()) as sender:
            sender.send(running.push(1, *revisions))
        end = _awaited(running, size, lines, effort.limit_seconds)
        readable = time.time()
        if b"end-of-log" not in end:
            raise Wrong(f"the log is not whole: it ends with {end[-200:]!r}")
        until_good(running, 1)
        gained = memory_mb(pid, "VmHWM") - before
        began = _began(running)
    return megabytes / (readable - began), gained


def _script(megabytes: int) -> str:
    lines = megabytes * 10_000
    return f"{CLOCK}\nyes {'x' * 99} | head -n {lines} || true\necho end-of-log"


def _awaited(running: Running, size: int, lines: int, seconds: float) -> bytes:
    """Looked for no more often than costs little."""
    found = until(lambda: running.log_end(1, size, lines), seconds, "the whole log", 0.02)
    return found or b""


def _began(running: Running) -> float:
    seen = b""
    for piece in running.follow(1):
        seen += piece[:4096]
        if read := moments(seen[: seen.rfind(b"\n") + 1]):
            return read[0]
    raise Wrong("the log does not say when it began")


class LiveLine(Metric):
    """From when a build prints a line until a reader of the API has it."""

    name = "live"
    gap = 0.25
    rows = (
        Row("live", "live line until read", "ms", (Goal(1 / 50, False, "Buildbot"),)),
        Row("live-p95", "live line until read, p95", "ms", (Goal(100, at_least=False),)),
    )

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        script = f"for n in $(seq {effort.lines}); do {CLOCK}; sleep {self.gap}; done"
        setup = Setup(script, is_sandboxed=system.has_sandbox)
        with watched(system, place, setup) as (running, repository), steady_clock():
            revisions = repository.push("live")
            with closing(running.sender()) as sender:
                sender.send(running.push(1, *revisions))
            lags = self._lags(running, effort.lines)
            until_good(running, 1)
        return {"live": lags, "live-p95": [p95(lags)]}

    @staticmethod
    def _lags(running: Running, lines: int) -> list[float]:
        lags: list[float] = []
        rest = b""
        for piece in running.follow(1):
            now = time.time()
            whole, _, rest = (rest + piece).rpartition(b"\n")
            lags += [1000 * (now - moment) for moment in moments(whole)]
            if len(lags) >= lines:
                break
        if len(lags) != lines:
            raise Wrong(f"{len(lags)} lines were read of {lines}")
        return lags
