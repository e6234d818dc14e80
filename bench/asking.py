"""How many requests are answered, and what a server costs that nobody asks."""

import time
from pathlib import Path
from typing import Any

from bench import limit
from bench.figures import Goal, Row, percentile
from bench.metric import Effort, Metric, OwnMetric, Samples, build_one, keeping, watched
from bench.ours import Ours
from bench.processes import Wrong, family, memory_mb
from bench.system import Repository, Running, Setup, System
from bench.wire import HttpSender, load, request

MANY = 100_000
JSON_GOALS = (Goal(3, against="Buildbot"), Goal(0.8, of="json-1000"))
LIST_GOALS = (Goal(1 / 5, False, "Buildbot"), Goal(1.25, at_least=False, of="list-1000"))
PAGES = {"build": "a build", "jobset": "a jobset", "evaluation": "an evaluation of 1,000 builds"}


class SignedPushes(Metric):
    """Pushes that are accepted, of clients that each wait for their answer; builds are held."""

    name = "pushes"
    clients = (1, 8, 32)
    rows = (
        Row("pushes-1", "signed pushes, 1 client", "/s"),
        *(
            Row(
                f"pushes-{clients}",
                f"signed pushes, {clients} clients",
                "/s",
                (Goal(20, against="Buildbot"), Goal(3, against="Laminar")),
            )
            for clients in (8, 32)
        ),
        Row("pushes-p99", "signed pushes, 8 clients, p99", "ms", (Goal(100, at_least=False),)),
        Row("pushes-memory", "signed pushes, most memory", "MB"),
        Row("pushes-stored", "of the accepted stored at once", "%", (Goal(100),)),
    )

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        figures: Samples = {"pushes-stored": []}
        peaks: list[float] = []
        for clients in self.clients:
            own = place / str(clients)
            own.mkdir()
            with watched(system, own, Setup(), peaks) as (running, repository):
                build_one(running, repository, 1)
                running.hold()
                self._pour(running, repository, clients, effort, figures)
        return figures | {"pushes-memory": [max(peaks)]}

    @staticmethod
    def _pour(
        running: Running, repository: Repository, clients: int, effort: Effort, figures: Samples
    ) -> None:
        revisions = repository.push("again")
        before = running.pushes()
        done = load(
            running.sender,
            lambda number: running.push(number + 1, *revisions),
            clients,
            effort.seconds,
        )
        stored = running.pushes() - before
        if stored > len(done.took):
            raise Wrong(f"{stored} pushes are stored of {len(done.took)} that were sent")
        figures[f"pushes-{clients}"] = [done.per_second]
        figures["pushes-stored"].append(100 * stored / len(done.took))
        if clients == 8:
            figures["pushes-p99"] = [percentile(done.took, 99)]

    def limit(self, place: Path, effort: Effort) -> Samples:
        asked = request("POST", "/", b"x" * 300)
        with limit.hello(place) as port:
            return {
                f"pushes-{clients}": [
                    load(
                        lambda: HttpSender(port, 200), lambda _: asked, clients, effort.seconds
                    ).per_second
                ]
                for clients in self.clients
            }


class Reads(Metric):
    """One build, and a list of 100, as JSON, beside so many builds that have ended; asked again
    and again of the same ones.
    """

    name = "reads"
    is_once = True
    rows = (
        *(
            row
            for history in Effort.histories
            for row in (
                Row(
                    f"json-{history}",
                    f"one build as JSON, 8 clients, of {history:,}",
                    "/s",
                    JSON_GOALS if history >= MANY else (),
                ),
                Row(
                    f"list-{history}",
                    f"list of 100 of {history:,}, p50",
                    "ms",
                    LIST_GOALS if history >= MANY else (),
                ),
            )
        ),
        Row("reads-memory", "reads, most memory", "MB"),
    )

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        figures: Samples = {}
        peaks: list[float] = []
        for history in effort.histories:
            own = place / str(history)
            own.mkdir()
            setup = Setup(history=history)
            with keeping(figures), watched(system, own, setup, peaks) as (running, _):
                figures |= self._ones(running, history, effort)
                if system.has_lists:
                    figures |= self._lists(running, history, effort)
        return figures | {"reads-memory": [max(peaks)]}

    @staticmethod
    def _ones(running: Running, history: int, effort: Effort) -> Samples:
        running.build(history // 2)

        def asked(number: int) -> bytes:
            return running.build_request(number * 7919 % history + 1)

        loads = (load(running.reader, asked, 8, effort.seconds) for _ in range(effort.repeat))
        return {f"json-{history}": [one.per_second for one in loads]}

    @staticmethod
    def _lists(running: Running, history: int, effort: Effort) -> Samples:
        asked = running.list_request()
        with running.http() as http:
            count = longest(http.send(asked).json())
        if count != 100:
            raise Wrong(f"the list has {count} builds")
        loads = (
            load(running.reader, lambda _: asked, 1, effort.seconds) for _ in range(effort.repeat)
        )
        return {f"list-{history}": [percentile(one.took, 50) for one in loads]}

    def limit(self, place: Path, effort: Effort) -> Samples:
        asked = request("GET", "/")
        with limit.hello(place) as port:
            done = load(lambda: HttpSender(port, 200), lambda _: asked, 8, effort.seconds)
        return {f"json-{history}": [done.per_second] for history in effort.histories}


class Pages(OwnMetric):
    """Pages for people, beside the most builds that are asked for."""

    name = "pages"
    is_once = True
    rows = tuple(
        Row(f"page-{name}", f"page of {what}, p95", "ms", (Goal(100, at_least=False),))
        for name, what in PAGES.items()
    )

    def measure_ours(self, place: Path, effort: Effort) -> Samples:
        with watched(Ours(), place, Setup(history=max(effort.histories))) as (running, _):
            return {
                f"page-{name}": [self._p95(running.port, path, effort.seconds)]
                for name, path in self._paths(running).items()
            }

    @staticmethod
    def _p95(port: int, path: str, seconds: float) -> float:
        asked = request("GET", path, b"", {"Accept": "text/html"})
        return percentile(load(lambda: HttpSender(port, 200), lambda _: asked, 1, seconds).took, 95)

    @staticmethod
    def _paths(running: Running) -> dict[str, str]:
        """The large evaluation is the newest, and of the largest jobset."""
        with running.http() as http:
            newest = http.send(running.list_request()).json()["builds"][0]
        return {
            "build": f"/build/{newest['id']}",
            "jobset": f"/jobset/{newest['project']}/{newest['jobset']}",
            "evaluation": f"/eval/{newest['evaluation']}",
        }


def longest(found: Any) -> int:
    """How many things the list in an answer has."""
    lists = found.values() if isinstance(found, dict) else [found]
    return max((len(one) for one in lists if isinstance(one, list)), default=0)


class Idle(Metric):
    """A server without work, started the second time: the first one made its database."""

    name = "idle"
    rows = (
        Row("idle-memory", "idle, memory of all processes", "MB", (Goal(0.55, False, "Buildbot"),)),
        Row("idle-start", "start until the API answers", "s", (Goal(0.7, False, "Buildbot"),)),
    )

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        with system.until_answer(place):
            """The first time."""
        with system.until_answer(place) as (pids, seconds):
            time.sleep(effort.idle_seconds)
            memory = sum(memory_mb(one) for pid in pids for one in family(pid))
        return {"idle-memory": [memory], "idle-start": [seconds]}


class Installed(Metric):
    name = "installed"
    rows = (Row("installed", "installed, without extras", "MB", (Goal(70, at_least=False),)),)

    def measure(self, system: System, place: Path, effort: Effort) -> Samples:
        return {"installed": [system.size_mb()]}
