"""Measure this program beside others, on this machine, with one command: see README.md.

python -m bench [--quick] [--only first builds ...] [--systems ciserver Buildbot ...]
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from bench import limit, machine
from bench.asking import SignedPushes
from bench.buildbot import Buildbot
from bench.figures import Measured, faults, is_steady, table
from bench.floor import Floor
from bench.inside import JOBSETS
from bench.installation import CACHE
from bench.laminar import Laminar
from bench.metric import QUICK, Effort, Metric, Samples, Unfinished
from bench.metrics import METRICS
from bench.ours import Ours
from bench.parts import fresh_place
from bench.plot import plot
from bench.processes import (
    Lacking,
    adopt_orphans,
    at_most,
    end_orphans,
    spawns_per_second,
)
from bench.soak import LOOKS
from bench.system import System
from ciserver.cli.journal import start_logging

RESULTS = Path(__file__).parent / "results"
# Title, what grows, the unit, and by which rows: what is between the braces are the numbers across.
PLOTS = {
    "builds": ("Builds, plain", "builds at once", "a second", "builds-{}", Effort.at_once),
    "boxed": ("Builds, in bubblewrap", "builds at once", "a second", "boxed-{}", Effort.at_once),
    "builds-memory": (
        *("Builds, plain: most memory", "builds at once", "MB"),
        *("builds-memory-{}", Effort.at_once),
    ),
    "pushes": ("Signed pushes", "clients", "a second", "pushes-{}", SignedPushes.clients),
    "json": ("One build as JSON", "builds there are", "a second", "json-{}", Effort.histories),
    "list": ("A list of 100 builds, p50", "builds there are", "ms", "list-{}", Effort.histories),
    "logs": ("Logs until readable", "MB", "MB a second", "logs-{}", Effort.log_sizes),
    "logs-memory": ("Logs: memory gained", "MB", "MB", "logs-{}-memory", Effort.log_sizes),
    "claims": ("A claim of SQLite, p95", "jobsets", "ms", "claims-SQLite-{}", JOBSETS),
    "claims-postgresql": (
        *("A claim of PostgreSQL, p95", "jobsets", "ms"),
        *("claims-PostgreSQL-{}", JOBSETS),
    ),
}


class Bench:
    def __init__(self, systems: Sequence[System], effort: Effort) -> None:
        self._systems, self._effort = systems, effort
        self.rows: dict[str, Measured] = {}
        self.calibration: dict[str, tuple[float, float]] = {}
        self.left: list[str] = []

    def measure(self, metric: Metric) -> None:
        """All systems in turn, as often as is to be repeated, with the machine looked at before
        and after.
        """
        rows = {row.key: Measured(row) for row in metric.rows}
        self.rows |= rows
        before = spawns_per_second()
        for _ in range(1 if metric.is_once else self._effort.repeat):
            for system in self._systems:
                self._sample(metric, rows, system)
            self._sample(metric, rows, None)
        after = spawns_per_second()
        self.calibration[metric.name] = before, after
        for row in rows.values():
            row.is_steady = is_steady(before, after)

    def _sample(self, metric: Metric, rows: dict[str, Measured], system: System | None) -> None:
        name, began = system.name if system else limit.NAME, time.monotonic()
        with fresh_place() as place:
            samples = Samples()
            try:
                with at_most(metric.patience(self._effort)):
                    samples = (
                        metric.measure(system, place, self._effort)
                        if system
                        else metric.limit(place, self._effort)
                    )
            except Lacking:
                return
            except Exception as error:  # noqa: BLE001  the figures of the others are not lost by it
                samples = error.samples if isinstance(error, Unfinished) else {}
                cause = error.__cause__ or error
                why = f"{type(cause).__name__}: {cause}{last_words(place)}"
                for key in rows.keys() - samples.keys():
                    rows[key].faults[name] = why
            finally:
                self.left += end_orphans()
        if not samples and not system:
            return  # nothing is known
        for key, found in samples.items():
            rows[key].samples.setdefault(name, []).extend(found)
        print(f"{metric.name:15} {name:9} {time.monotonic() - began:6.1f} s", file=sys.stderr)


def last_words(place: Path) -> str:
    """The ends of the logs of what failed, without those of its builds."""
    words = ""
    for path in sorted(place.rglob("*.log")):
        if "data" in path.relative_to(place).parts:
            continue
        with suppress(OSError, UnicodeDecodeError):
            if path.stat().st_size < 1_000_000 and (lines := path.read_text().splitlines()):
                words += f"\n  {path.name}: " + "\n    ".join(lines[-3:])
    return words[:2000]


def written(bench: Bench, systems: Sequence[str], effort: Effort) -> Path:
    """The figures as JSON, and the plots beside it; answers the path without its ending."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    told = {
        "machine": machine.facts(),
        "effort": asdict(effort),
        "calibration": bench.calibration,
        "left": bench.left,
        "rows": {key: asdict(one) for key, one in bench.rows.items()},
    }
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    for name, drawn in plots(bench.rows, systems, effort):
        path.with_name(f"{path.name}-{name}.svg").write_text(drawn)
    return path


def plots(
    rows: Mapping[str, Measured], systems: Sequence[str], effort: Effort
) -> Iterator[tuple[str, str]]:
    """Of what was measured, by their names."""
    for name, (title, across, up, key, numbers) in PLOTS.items():
        keys = {n: key.format(n) for n in numbers if key.format(n) in rows}
        series = {
            system: [(n, middle) for n, k in keys.items() if (middle := rows[k].middle(system))]
            for system in systems
        }
        if any(series.values()):
            yield name, plot(title, across, up, series)
    if "soak" in rows:
        looks = {system: rows["soak"].samples.get(system, []) for system in systems}
        minutes = effort.soak_seconds / LOOKS / 60
        memory = {
            system: [(n * minutes, one) for n, one in enumerate(each, 1)]
            for system, each in looks.items()
        }
        if any(memory.values()):
            yield "soak", plot("Memory of the server", "minutes", "MB", memory, by_powers=False)


def all_systems() -> list[System]:
    """Laminar is there if it is named."""
    programs = os.environ.get("LAMINAR_BIN")
    laminar = [Laminar(Path(programs))] if programs else []
    return [Ours(), Buildbot(CACHE), *laminar, Floor()]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="each once, and briefly")
    names = [one.name for one in METRICS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="METRIC")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help="these alone")
    return parser.parse_args()


def main() -> int:
    """1 when a measurement failed or something was left behind."""
    asked = arguments()
    start_logging("warning")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    adopt_orphans()
    effort = QUICK if asked.quick else Effort()
    systems = [one for one in all_systems() if one.name in (asked.systems or [one.name])]
    for one in systems:
        if isinstance(one, Buildbot):
            one.install()
    bench = Bench(systems, effort)
    for metric in METRICS:
        if metric.name in asked.only:
            bench.measure(metric)
    names = [*(one.name for one in systems), limit.NAME]
    print(table(bench.rows, names))
    failed = [*faults(bench.rows.values()), *(f"left running: {one}" for one in bench.left)]
    print(*failed, f"written to {written(bench, names, effort)}.json", sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
