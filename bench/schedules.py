"""What schedules cost: a server that waits for many, many that are due at once, and lateness.

python bench/schedules.py [idle] [fire] [lateness] [--schedules 10000]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

from bench.figures import p95
from bench.parts import forget_scratch, fresh_place, parts_over
from bench.processes import Wrong
from ciserver.cli.journal import start_logging
from ciserver.model.account import Actor
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.wiring import Parts

BENCH = Actor("bench", is_admin=True, scopes=("*",))
JOBSETS = 100
IDLE_SECONDS = 20
LATE_SECONDS = 70
LATE_SCHEDULES = 50
Figures = dict[str, float]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment


def make_repository(place: Path) -> Path:
    bare, tree = place / "empty.git", place / "tree"
    who = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
    for words in (
        ("init", "-q", "--bare", "-b", "main", str(bare)),
        ("init", "-q", "-b", "main", str(tree)),
        (*who, "-C", str(tree), "commit", "-q", "--allow-empty", "-m", "Empty"),
        ("-C", str(tree), "push", "-q", str(bare), "main"),
    ):
        subprocess.run(["git", *words], check=True)
    return bare


def add_schedules(parts: Parts, uri: str, timings: list[Timing]) -> None:
    """Spread over projects, each with one jobset."""
    names = [f"project-{number}" for number in range(min(JOBSETS, len(timings)))]
    with parts.store.transaction():
        for name in names:
            parts.services.projects.watch(BENCH, name, uri, local=True)
        for number, timing in enumerate(timings):
            name = names[number % len(names)]
            parts.services.schedules.add(BENCH, name, "main", ScheduleKind.PERIODIC, timing)


@contextmanager
def server_over(place: Path) -> Iterator[tuple[int, str]]:
    """A real server; answers its process and address."""
    data = place / "data"
    command = [sys.executable, "-m", "ciserver.cli.main", "serve", "--data", str(data)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stdout=log, stderr=log)
    try:
        yield process.pid, wait_for(data / "server.json", process)
    finally:
        process.terminate()
        process.wait(30)
        forget_scratch(data)


def wait_for(announcement: Path, process: "subprocess.Popen[bytes]") -> str:
    while not announcement.exists():
        if process.poll() is not None:
            raise Wrong("the server did not start")
        time.sleep(0.05)
    url: str = json.loads(announcement.read_text())["url"]
    return url


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, with its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def idle(place: Path, count: int) -> Figures:
    """The CPU of a server whose schedules are all due far away."""
    with parts_over(place, Clock()) as parts:
        far = [Timing(cron="0 0 1 1 *")] * count
        add_schedules(parts, str(make_repository(place)), far)
    with server_over(place) as (pid, _):
        time.sleep(5)
        before = cpu_seconds(pid)
        time.sleep(IDLE_SECONDS)
        used = cpu_seconds(pid) - before
    return {"idle-percent": 100 * used / IDLE_SECONDS}


def fire(place: Path, count: int) -> Figures:
    """The time to fire all schedules, due at the same minute."""
    clock = Clock()
    with parts_over(place, clock) as parts:
        add_schedules(parts, str(make_repository(place)), [Timing(every_seconds=3600)] * count)
        clock.moment += timedelta(hours=1)
        before = time.perf_counter()
        fired = parts.services.schedules.fire_due()
        seconds = time.perf_counter() - before
    if fired != count:
        raise Wrong(f"{fired} schedules fired of {count}")
    return {"fire-s": seconds, "fire-ms-each": 1000 * seconds / fired}


def lateness(place: Path, _count: int) -> Figures:
    """How late a real server fires, from the due moment to the firing's row."""
    begin = datetime.now(UTC)
    gap = timedelta(seconds=60 / LATE_SCHEDULES)
    anchors = [begin + number * gap for number in range(LATE_SCHEDULES)]
    with parts_over(place, Clock()) as parts:
        timings = [Timing(every_seconds=60, anchor=anchor) for anchor in anchors]
        add_schedules(parts, str(make_repository(place)), timings)
    with server_over(place) as (_, url):
        time.sleep(LATE_SECONDS)
        with urlopen(f"{url}/ci/v1/schedules") as answer:  # noqa: S310  our own server
            found = json.load(answer)
    late = sorted(
        (moment(one["fired_at"]) - moment(one["due_at"])).total_seconds() * 1000
        for schedule in found
        for one in schedule["firings"]
    )
    if len(late) < LATE_SCHEDULES:
        raise Wrong(f"only {len(late)} firings of {LATE_SCHEDULES} schedules")
    return {"late-p95-ms": p95(late), "late-worst-ms": late[-1]}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


MEASURES = {"idle": idle, "fire": fire, "lateness": lateness}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--schedules", type=int, default=10_000)
    told = parser.parse_args()
    start_logging("warning")
    for name in told.measures or MEASURES:
        with fresh_place() as place:
            figures = MEASURES[name](place, told.schedules)
        print(f"{name}: " + ", ".join(f"{key} {one:.2f}" for key, one in figures.items()))


if __name__ == "__main__":
    main()
