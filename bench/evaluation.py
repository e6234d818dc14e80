"""What an evaluation costs: many jobs anew, the same jobs again, and one file of a monorepo.

python bench/evaluation.py [fresh] [again] [monorepo] [--jobs 10000] [--repeat 3]
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import CodeType, FrameType

from bench.parts import fresh_place, parts_over
from bench.processes import Wrong, forget_peak, memory_mb, run
from ciserver.cli.journal import start_logging
from ciserver.model.account import Actor
from ciserver.model.push import Push, Received, RefChange
from ciserver.model.status import EvaluationStatus
from ciserver.recipe import keys, starlark
from ciserver.service.building import Building
from ciserver.service.evaluations import Evaluations
from ciserver.service.pinning import Pinning
from ciserver.service.repeats import Repeats
from ciserver.wiring import Parts

CHECKOUT = Path(__file__).parents[1]
BENCH = Actor("bench", is_admin=True, scopes=("*",))
PROJECT, MAIN = "bench", "refs/heads/main"
RECIPE = "recipe.star"
MONOREPO_JOBS = 200
FAMILY = 10  # a library, and the jobs that need it

# The part of an evaluation that a function belongs to; the innermost one on the stack counts.
PARTS: dict[CodeType, str] = {
    Pinning.pin.__code__: "pin",
    starlark.read_starlark.__code__: "read",
    Building.plan.__code__: "expand",
    keys.content_key.__code__: "keys",
    Building._keys.__code__: "keys",  # noqa: SLF001
    Building._reused.__code__: "reuse",  # noqa: SLF001
    Building.make.__code__: "rows",
    Repeats.key.__code__: "keys",
    Repeats.find.__code__: "reuse",
    Repeats.write.__code__: "rows",
    Evaluations._finish.__code__: "rows",  # noqa: SLF001
}
NAMES = ("pin", "read", "expand", "keys", "reuse", "rows", "other")
TICK_SECONDS = 0.004
LOOK_SECONDS = 0.005

# A list of names, as those who have thousands of jobs keep one; every tenth is a library that the
# nine after it need.
TEXT = """
NAMES = [%(names)s]

def jobs(inputs):
    made = []
    for n, name in enumerate(NAMES):
        job = {
            "name": name,
            "image": "host",
            "network": False,
            "environment": {"PART": name, "LEVEL": "2"},
            "tasks": [{"build": "make -C " + name}, {"check": "make -C " + name + " check"}],
        }
        if %(paths)s:
            job["paths"] = [name]
        if n %% %(family)d:
            job["needs"] = [NAMES[n - n %% %(family)d]]
        made.append(job)
    return made
"""


def part(number: int) -> str:
    return f"part-{number}"


@dataclass
class Cost:
    """Of one evaluation, in seconds and MB; `parts` are CPU seconds of the server's process."""

    wall: float
    server: float
    child: float
    server_growth: float
    child_peak: float
    parts: dict[str, float] = field(default_factory=dict)


class Repository:
    """A bare repository and a tree to push from."""

    def __init__(self, place: Path) -> None:
        self.bare, self.tree = place / "mono.git", place / "tree"
        self._git("init", "-q", "--bare", "-b", "main", str(self.bare))
        self._git("init", "-q", "-b", "main", str(self.tree))
        self.last = "0" * 40

    def push(self, files: dict[str, str]) -> RefChange:
        for name, text in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)
        who = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org", "-C", str(self.tree))
        self._git(*who, "add", "-A")
        self._git(*who, "commit", "-q", "--allow-empty", "-m", "Change things")
        self._git("-C", str(self.tree), "push", "-q", str(self.bare), "main")
        before, self.last = self.last, self._git("-C", str(self.tree), "rev-parse", "HEAD").strip()
        return RefChange(MAIN, before, self.last)

    @staticmethod
    def _git(*words: str) -> str:
        return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


class Bench:
    """A watched repository with one Starlark recipe."""

    def __init__(self, parts: Parts, place: Path, jobs: int, *, paths: bool) -> None:
        self.parts, self._jobs = parts, jobs
        self.repository = Repository(place)
        names = ", ".join(f'"{part(n)}"' for n in range(jobs))
        self.files = {RECIPE: TEXT % {"names": names, "family": FAMILY, "paths": paths}}
        parts.services.projects.watch(BENCH, PROJECT, str(self.repository.bare), local=True)

    def evaluate(self, files: dict[str, str]) -> tuple[int, Cost]:
        """Push these files; answers the evaluation and what it cost."""
        change = self.repository.push(files)
        push = Push((change,), options=(f"submit={RECIPE}",))
        received = Received(
            PROJECT,
            "generic",
            change.new,
            change.new.ljust(64, "0"),
            self.parts.services.clock.now(),
        )
        outcome = self.parts.services.pushes.accept_push(received, push)
        (requested,) = outcome.evaluations
        cost = measured(self.parts.services.evaluations.evaluate_next)
        found = self.parts.store.evaluations.get(requested.id)
        if (found.status, found.builds_total) != (EvaluationStatus.SUCCEEDED, self._jobs):
            raise Wrong(f"the evaluation is {found.status}: {found.complaints[:3]}")
        return found.id, cost

    def made(self, evaluation_id: int) -> set[str]:
        return {one.job for one in self.parts.store.builds.list_of_evaluation(evaluation_id)}

    def succeed(self) -> None:
        """As if all builds had run."""
        database = self.parts.store.database
        with self.parts.store.transaction():
            database.sql(
                "UPDATE builds SET status = 'succeeded', waiting = '', finished_at = queued_at"
                " WHERE status = 'queued'"
            )
            database.sql("DELETE FROM ready")


def measured(act: Callable[[], object]) -> Cost:
    """Run it, with its CPU time by part, and the most memory that it and its children had."""
    ticks: Counter[str] = Counter()

    def tick(_signal: int, frame: FrameType | None) -> None:
        while frame is not None and frame.f_code not in PARTS:
            frame = frame.f_back
        ticks[PARTS[frame.f_code] if frame else "other"] += 1

    forget_peak(os.getpid())
    before = memory_mb(os.getpid(), "VmRSS")
    signal.signal(signal.SIGPROF, tick)
    with child_peak() as peak:
        signal.setitimer(signal.ITIMER_PROF, TICK_SECONDS, TICK_SECONDS)
        wall, server, child = time.perf_counter(), time.process_time(), children_seconds()
        act()
        wall, server = time.perf_counter() - wall, time.process_time() - server
        signal.setitimer(signal.ITIMER_PROF, 0)
    total = max(1, ticks.total())
    return Cost(
        wall,
        server,
        children_seconds() - child,
        memory_mb(os.getpid(), "VmHWM") - before,
        max(peak),
        {name: server * ticks[name] / total for name in NAMES},
    )


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def child_peak() -> Iterator[list[float]]:
    """The most memory that a child with a recipe was seen with, looked at every few milliseconds:
    what the system says after its end is at least what its parent had.
    """
    seen, over = [0.0], threading.Event()

    def look() -> None:
        task = Path(f"/proc/self/task/{os.getpid()}/children")
        while not over.wait(LOOK_SECONDS):
            for pid in map(int, task.read_text().split()):
                try:
                    if b"starlark_child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        seen.append(memory_mb(pid, "VmHWM"))
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def fresh(place: Path, jobs: int) -> list[Cost]:
    """One recipe with so many jobs, none of them built before."""
    with parts_over(place) as parts:
        bench = Bench(parts, place, jobs, paths=False)
        evaluation_id, cost = bench.evaluate(bench.files)
        expect(bench.made(evaluation_id), {part(n) for n in range(jobs)})
    return [cost]


def again(place: Path, jobs: int) -> list[Cost]:
    """The same tree in another commit, when all was built."""
    with parts_over(place) as parts:
        bench = Bench(parts, place, jobs, paths=False)
        bench.evaluate(bench.files)
        bench.succeed()
        evaluation_id, cost = bench.evaluate({})
        expect(bench.made(evaluation_id), set())
    return [cost]


def monorepo(place: Path, _jobs: int) -> list[Cost]:
    """One changed file of a library: it and what needs it are built, and nothing else."""
    with parts_over(place) as parts:
        bench = Bench(parts, place, MONOREPO_JOBS, paths=True)
        files = {f"{part(n)}/file": "1\n" for n in range(MONOREPO_JOBS)}
        bench.evaluate({**bench.files, **files})
        bench.succeed()
        costs = []
        for number in range(FAMILY):
            library = number * FAMILY
            evaluation_id, cost = bench.evaluate({f"{part(library)}/file": "2\n"})
            family = {part(library + member) for member in range(FAMILY)}
            expect(bench.made(evaluation_id), family)
            bench.succeed()
            costs.append(cost)
    return costs


def expect(made: set[str], wanted: set[str]) -> None:
    if made != wanted:
        differ = sorted(made ^ wanted)[:5]
        raise Wrong(f"made {len(made)} builds, not {len(wanted)}: {differ} differ")


def once(name: str, jobs: int) -> list[Cost]:
    start_logging("warning")
    with fresh_place() as place:
        return MEASURES[name](place, jobs)


def alone(name: str, jobs: int) -> list[Cost]:
    """In a process of its own: memory that was had once is not had again."""
    command = (sys.executable, "-m", "bench.evaluation", name, "--jobs", str(jobs), "--json")
    told = run(*command, environment={"PYTHONPATH": str(CHECKOUT)})
    return [Cost(**one) for one in json.loads(told)]


def show(name: str, costs: Sequence[Cost]) -> None:
    def middle(of: Callable[[Cost], float]) -> float:
        return statistics.median(map(of, costs))

    parts = "".join(f"{middle(lambda one, n=n: one.parts[n]):8.3f}" for n in NAMES)  # type: ignore[misc]
    print(
        f"{name:9}{middle(lambda one: one.wall):8.3f}{middle(lambda one: one.server):8.3f}{parts}"
        f"{middle(lambda one: one.child):8.3f}{middle(lambda one: one.server_growth):9.0f}"
        f"{middle(lambda one: one.child_peak):9.0f}"
    )


MEASURES = {"fresh": fresh, "again": again, "monorepo": monorepo}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one measure, in this process")
    told = parser.parse_args()
    if told.json:
        (name,) = told.measures
        print(json.dumps([asdict(one) for one in once(name, told.jobs)]))
        return
    print("seconds: wall, then CPU of the server by part, and of the child; MB: growth, peak")
    heads = "".join(f"{name:>8}" for name in ("wall", "server", *NAMES, "child"))
    print(f"{'':9}{heads}{'server':>9}{'child':>9}")
    for name in told.measures or MEASURES:
        show(name, [cost for _ in range(told.repeat) for cost in alone(name, told.jobs)])


if __name__ == "__main__":
    main()
