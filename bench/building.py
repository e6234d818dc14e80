"""How soon builds begin, and how many of them end."""

import time
from pathlib import Path

from bench import limit
from bench.figures import OURS, Goal, Row, p95
from bench.metric import (
    BUILD_SECONDS,
    Effort,
    Metric,
    Samples,
    build_one,
    keeping,
    moments,
    until_good,
    watched,
)
from bench.processes import Lacking, Wrong, spawns_per_second, steady_clock, until
from bench.system import CLOCK, CLOCK_AND_FILE, Repository, Running, Setup, System


class PushToFirstCommand(Metric):
    """From just before the push is told until the first command of its build reads the clock."""

    def __init__(self, *, checks_out: bool) -> None:
        self._checks_out = checks_out
        self.name = "first-checkout" if checks_out else "first"
        label = f"push to first command, {'checked out' if checks_out else 'no checkout'}"
        goals = (
            Goal(1, at_least=False, against="Laminar"),
            Goal(1 / 15, at_least=False, against="Buildbot"),
        )
        self.rows = (
            Row(self.name, label, "ms", goals if checks_out else ()),
            Row(f"{self.name}-p95", f"{label}, p95", "ms", (self._twice(),) if checks_out else ()),
        )

    def _twice(self) -> Goal:
        return Goal(2, at_least=False, of=self.name)

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        if system.name == OURS and not self._checks_out:
            raise Lacking  # what was pushed is always there
        script = CLOCK_AND_FILE if self._checks_out else CLOCK
        setup = Setup(script, is_sandboxed=system.has_sandbox, checks_out=self._checks_out)
        with watched(system, place, setup) as (running, repository), steady_clock():
            took = [
                self._once(running, repository, number) for number in range(1, effort.pushes + 2)
            ][1:]  # the first one warms up
        return {self.name: took, f"{self.name}-p95": [p95(took)]}

    def _once(self, running: Running, repository: Repository, number: int) -> float:
        began = build_one(running, repository, number)
        log = until(lambda: running.log(number), BUILD_SECONDS, f"the log of build {number}")
        read = moments(log)
        if len(read) != 1 or (self._checks_out and f"push-{number}\n".encode() not in log):
            raise Wrong(f"build {number} did not do what was pushed: {log[-300:]!r}")
        return 1000 * (read[0] - began)


class BuildsPerSecond(Metric):
    """Trivial builds, all of them queued before the first begins."""

    def __init__(self, *, is_sandboxed: bool) -> None:
        self._is_sandboxed = is_sandboxed
        self.name = "boxed" if is_sandboxed else "builds"
        how = "in bubblewrap" if is_sandboxed else "plain"
        self.rows = (
            *(
                Row(self._key(slots), f"builds, {how}, {slots} at once", "/s", self._goals(slots))
                for slots in Effort.at_once
            ),
            *(
                Row(f"{self.name}-memory-{slots}", f"the same, {slots} at once, most memory", "MB")
                for slots in Effort.at_once
            ),
        )

    def _key(self, slots: int) -> str:
        return f"{self.name}-{slots}"

    def _goals(self, slots: int) -> tuple[Goal, ...]:
        if self._is_sandboxed:
            return (Goal(1.25, against="Laminar", of=f"builds-{slots}"),) if slots == 2 else ()
        if slots == 2:
            return Goal(2, against="Laminar"), Goal(50, against="Buildbot")
        return (Goal(0.8, of=self._key(2)),) if slots == 8 else ()

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        if self._is_sandboxed and not system.has_sandbox:
            raise Lacking
        samples: Samples = {}
        for slots in effort.at_once:
            own = place / str(slots)
            own.mkdir()
            setup = Setup(slots=slots, is_sandboxed=self._is_sandboxed)
            peaks: list[float] = []
            with keeping(samples):
                samples[self._key(slots)] = [builds_per_second(system, own, setup, effort, peaks)]
            samples[f"{self.name}-memory-{slots}"] = peaks
        return samples

    def limit(self, place: Path, effort: Effort) -> Samples:
        spawns = limit.bubblewraps_per_second if self._is_sandboxed else spawns_per_second
        return {self._key(slots): [spawns(slots, effort.seconds)] for slots in effort.at_once}


def builds_per_second(
    system: System, place: Path, setup: Setup, effort: Effort, peaks: list[float]
) -> float:
    """Of trivial builds, when all of them wait and then begin at once."""
    count = max(10, int(effort.builds * system.pace))
    with watched(system, place, setup, peaks) as (running, repository):
        build_one(running, repository, 1)
        running.hold()
        running.queue(count)
        if running.ended() != (1, 1):
            raise Wrong("builds ran that should have waited")
        began = time.monotonic()
        running.release()
        until_good(running, count + 1, effort.limit_seconds)
        return count / (time.monotonic() - began)
