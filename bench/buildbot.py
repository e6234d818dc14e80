"""Buildbot from PyPI, with SQLite and workers in its own process, the quickest that it has; with
PostgreSQL where workers are asked for, and with a worker's process where it is idle, as its users
have it.
"""

import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.ours import answers, is_in
from bench.processes import free_port, run, started, until
from bench.system import BRANCH, Repository, Running, Setup, System, add_rows, installed_mb
from bench.wire import Answer, Connection, HttpSender, Sender, request

VERSION = "4.3.0"
SECRET = "bench"  # noqa: S105  of the bench alone
POLL_SECONDS = 0.02
START_SECONDS = 60
_JSON = {"Content-Type": "application/json"}
MASTER = """\
from buildbot.plugins import schedulers, steps, util, worker

workers = [f"worker-{{n}}" for n in range({slots})]
factory = util.BuildFactory()
if {bare!r}:
    factory.addStep(steps.Git(repourl={bare!r}, branch={branch!r}, mode="incremental"))
factory.addStep(
    steps.ShellCommand(name="run", command=["bash", "-c", {script!r}], logEnviron=False)
)
BuildmasterConfig = {{
    "workers": [{worker} for name in workers],
    "protocols": {protocols!r},
    "builders": [util.BuilderConfig(name="build", workernames=workers, factory=factory)],
    "schedulers": [
        schedulers.SingleBranchScheduler(
            name="pushes",
            change_filter=util.ChangeFilter(branch={branch!r}),
            treeStableTimer=None,
            builderNames=["build"],
        ),
        schedulers.ForceScheduler(name="force", builderNames=["build"]),
    ],
    "collapseRequests": False,
    "db": {{"db_url": {database!r}}},
    "buildbotURL": "http://127.0.0.1:{port}/",
    "buildbotNetUsageData": None,
    "www": {{
        "port": "tcp:{port}:interface=127.0.0.1",
        "plugins": {{}},
        "change_hook_dialects": {{"github": {{"secret": {secret!r}, "strict": True}}}},
    }},
}}
"""


class RunningBuildbot(Running):
    ended_sql = (
        "SELECT count(*), sum(CASE WHEN results = 0 THEN 1 END) FROM builds"
        " WHERE complete_at IS NOT NULL"
    )
    pushes_sql = "SELECT count(*) FROM changes"

    def __init__(self, master: Path, port: int, process: Any, setup: Setup) -> None:
        self.process, self.port = process, port
        self.database = setup.database or master / "state.sqlite"
        self._slots, self._http = setup.workers or setup.slots, Connection(port)

    def push(self, number: int, before: str, after: str) -> bytes:
        who = {"name": f"bench-{number}", "email": "bench@example.org"}
        commit = {
            "id": after,
            "message": f"Push {number}",
            "timestamp": "2026-01-31T12:00:00Z",
            "url": "",
            "author": who,
            "committer": who,
        }
        told: dict[str, Any] = {"ref": f"refs/heads/{BRANCH}", "before": before, "after": after}
        told |= {"repository": {"name": "pushed", "full_name": "bench/pushed", "html_url": ""}}
        body = json.dumps(told | {"commits": [commit], "head_commit": commit}).encode()
        proof = hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
        headers = {"X-GitHub-Event": "push", "X-Hub-Signature": f"sha1={proof}"}
        return request("POST", "/change_hook/github", body, _JSON | headers)

    def sender(self) -> Sender:
        return HttpSender(self.port, 200)

    def hold(self) -> None:
        self._tell_workers("pause", reason="bench")

    def release(self) -> None:
        self._tell_workers("unpause")

    def queue(self, count: int) -> None:
        for _ in range(count):
            self._call("/forceschedulers/force", "force", builderNames=["build"])

    def log(self, build: int) -> bytes:
        return _written(self._contents(build))

    def follow(self, build: int) -> Iterator[bytes]:
        line = 0
        while True:
            answer = self._contents(build, line)
            if found := _content(answer):
                line += found.count("\n")
                yield _written(answer)
            time.sleep(POLL_SECONDS)

    def log_end(self, build: int, size: int, lines: int) -> bytes | None:
        answer = self._get(f"/builds/{build}/steps/run/logs/stdio")
        found = answer.json()["logs"][0] if answer.status == 200 else {}
        if not found.get("complete") or found["num_lines"] < lines:
            return None
        return _written(self._contents(build, found["num_lines"] - 5))

    def build_request(self, number: int) -> bytes:
        return request("GET", f"/api/v2/builds/{number}")

    def list_request(self) -> bytes:
        return request("GET", "/api/v2/builds?limit=100&order=-buildid")

    def _contents(self, build: int, line: int = 0) -> Answer:
        path = f"/builds/{build}/steps/run/logs/stdio/contents?offset={line}&limit=10000"
        return self._get(path)

    def _get(self, path: str) -> Answer:
        return self._http.send(request("GET", f"/api/v2{path}"))

    def _tell_workers(self, what: str, **how: str) -> None:
        until(self._knows_workers, START_SECONDS, "all workers")
        for number in range(1, self._slots + 1):
            self._call(f"/workers/{number}", what, **how)

    def _knows_workers(self) -> bool:
        return len(self._get("/workers").json()["workers"]) == self._slots

    def _call(self, path: str, method: str, **how: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "id": 1, "params": how}).encode()
        self._http.send(request("POST", f"/api/v2{path}", body, _JSON)).json()


def _content(answer: Answer) -> str:
    if answer.status != 200:
        return ""
    return "".join(chunk["content"] for chunk in answer.json()["logchunks"])


def _written(answer: Answer) -> bytes:
    """What the command printed; each line comes with a letter for where it was written to."""
    lines = _content(answer).splitlines(keepends=True)
    return "".join(line[1:] for line in lines if line.startswith("o")).encode()


class Buildbot(System):
    name = "Buildbot"
    pace = 0.06
    has_workers = True

    def __init__(self, cache: Path) -> None:
        self._home = cache / f"buildbot-{VERSION}"

    def install(self) -> None:
        """Into a virtual environment of its own, once."""
        made = self._home / "made-with-postgresql"
        if made.exists():
            return
        run(sys.executable, "-m", "venv", "--clear", str(self._home))
        packages = (f"{name}=={VERSION}" for name in ("buildbot", "buildbot-worker"))
        pip = (str(self._home / "bin/python"), "-m", "pip", "install", "--quiet")
        run(*pip, *packages, f"buildbot-www=={VERSION}", "setuptools", "psycopg2-binary")
        made.touch()

    def size_mb(self) -> float:
        return installed_mb(self._home, "buildbot", "buildbot-worker", "buildbot-www")

    @contextmanager
    def running(self, place: Path, setup: Setup, repository: Repository) -> Iterator[Running]:
        master, port = self._made(place), free_port()
        bare = str(repository.bare) if setup.checks_out else ""
        self._configure(master, port, setup, bare)
        if setup.database:
            run(str(self._home / "bin/buildbot"), "upgrade-master", str(master))
        if setup.history:
            with self._started(master, port):
                """It makes its rows of itself at the first start."""
            _fill(master / "state.sqlite", setup.history)
        with self._started(master, port) as (process, _):
            yield RunningBuildbot(master, port, process, setup)

    @contextmanager
    def until_answer(self, place: Path) -> Iterator[tuple[list[int], float]]:
        master, worker, port, door = place / "master", place / "worker", free_port(), free_port()
        if not master.exists():
            self._made(place)
        self._configure(master, port, Setup(slots=1), "", door)
        shutil.rmtree(worker, ignore_errors=True)
        told = ("--no-logrotate", str(worker), f"127.0.0.1:{door}", "worker-0", SECRET)
        run(str(self._home / "bin/buildbot-worker"), "create-worker", *told)
        with self._started(master, port) as (process, seconds), self._twistd(worker) as other:
            log = worker / "bench.log"
            until(partial(is_in, log, b"attached"), START_SECONDS, f"the worker; see {log}")
            yield [process.pid, other.pid], seconds

    def _made(self, place: Path) -> Path:
        run(str(self._home / "bin/buildbot"), "create-master", str(place / "master"))
        return place / "master"

    @staticmethod
    def _configure(master: Path, port: int, setup: Setup, bare: str, door: int = 0) -> None:
        """Workers are in the master's process, unless there is a door for others."""
        own, other = "worker.LocalWorker(name, max_builds=1)", f"worker.Worker(name, {SECRET!r})"
        listen = {"pb": {"port": f"tcp:{door}:interface=127.0.0.1"}}
        text = MASTER.format(
            worker=other if door else own,
            protocols=listen if door else {"null": {}},
            slots=setup.workers or setup.slots,
            database=setup.database.replace(":", "+psycopg2:", 1) or "sqlite:///state.sqlite",
            bare=bare,
            branch=BRANCH,
            script=setup.script.replace("TREE", ""),
            port=port,
            secret=SECRET,
        )
        (master / "master.cfg").write_text(text)

    @contextmanager
    def _started(self, master: Path, port: int) -> Iterator[tuple[Any, float]]:
        began = time.monotonic()
        with self._twistd(master) as process:
            there, log = "/api/v2/workers", master / "bench.log"
            until(lambda: answers(process, port, there), START_SECONDS, f"an answer; see {log}")
            yield process, time.monotonic() - began

    def _twistd(self, place: Path) -> AbstractContextManager[Any]:
        """The process of a master or a worker."""
        command = [str(self._home / "bin/twistd"), "--nodaemon", "--no_save", "--pidfile="]
        path = f"{self._home / 'bin'}:{os.environ['PATH']}"
        return started([*command, "-y", "buildbot.tac"], place / "bench.log", {"PATH": path})


def _fill(path: Path, builds: int) -> None:
    """So many builds of the one builder, all good."""
    now = str(int(time.time()))
    ended = {"complete": "1", "results": "0", "submitted_at": now, "complete_at": now}
    with closing(sqlite3.connect(path)) as database, database:
        add_rows(database, "buildsets", 1, {}, **ended)
        add_rows(database, "buildrequests", builds, {}, buildsetid="1", builderid="1", **ended)
        add_rows(
            *(database, "builds", builds, {}),
            number="i",
            builderid="1",
            buildrequestid="i",
            workerid="1",
            masterid="1",
            started_at=now,
            complete_at=now,
            state_string="'build successful'",
            results="0",
        )
