"""Laminar, where LAMINAR_BIN names its programs. It has no webhook: its command line queues a run,
and a job's script checks out by itself.
"""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.ours import answers
from bench.processes import Wrong, free_port, run, started, until
from bench.system import Repository, Running, Setup, System, add_rows
from bench.wire import EventSender, Sender, request

JOB, HELD, GOOD, BAD = "build", "held", "good", "bad"
MOST_AT_ONCE = 100


class CommandSender:
    """Runs a command for each push, as a hook does."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}

    def send(self, prepared: list[str]) -> None:
        done = subprocess.run(prepared, check=False, capture_output=True, env=self._environment)
        if done.returncode:
            raise Wrong(f"{prepared[0]}: {done.stderr[-300:]!r}")

    def close(self) -> None:
        """Nothing is kept open."""


class RunningLaminar(Running):
    def __init__(self, home: Path, port: int, process: Any, slots: int, client: str) -> None:
        self.process, self.port, self.database = process, port, home / "laminar.sqlite"
        self._home, self._slots, self._client = home, slots, client
        self._environment = {"LAMINAR_HOST": _socket(port)}
        self.ended_sql = (
            f"SELECT count(*), sum(result = {self._learned()}) FROM builds"  # noqa: S608  a number
            f" WHERE name = '{JOB}' AND completedAt > 0"
        )
        self.pushes_sql = f"SELECT count(*) FROM builds WHERE name = '{JOB}'"  # noqa: S608  a constant

    def ended(self) -> tuple[int, int]:
        """Looked at without a lock: Laminar does not wait for a reader, and forgets the end of a
        run that it could not write. What is read while it writes may be no database.
        """
        try:
            return super().ended()
        except sqlite3.DatabaseError:
            return 0, 0

    def _look(self, statement: str) -> Any:
        """Opened each time: what does not change is not read again."""
        with closing(self._open()) as database:
            return database.execute(statement).fetchone()

    def _open(self) -> Any:
        return sqlite3.connect(f"file:{self.database}?mode=ro&immutable=1", uri=True)

    def push(self, number: int, before: str, after: str) -> list[str]:
        return [self._client, "queue", JOB, f"revision={after}"]

    def sender(self) -> Sender:
        return CommandSender(self._environment)

    def hold(self) -> None:
        """It cannot be paused: each slot runs a job that waits for a file."""
        (self._home / "go").unlink(missing_ok=True)
        for _ in range(self._slots):
            self._command("start", HELD)

    def release(self) -> None:
        (self._home / "go").touch()

    def queue(self, count: int) -> None:
        for done in range(0, count, MOST_AT_ONCE):
            self._command("queue", *[JOB] * min(MOST_AT_ONCE, count - done))

    def log(self, build: int) -> bytes:
        with self.http() as http:
            answer = http.send(self._log_request(build))
        return answer.body if answer.status == 200 else b""

    def follow(self, build: int) -> Iterator[bytes]:
        until(lambda: self._has_begun(build), 30, "the run to begin", 0.001)
        with self.http() as http:
            yield from http.stream(self._log_request(build))

    def log_end(self, build: int, size: int, lines: int) -> bytes | None:
        """Asked for when the run has ended: a stream that falls behind never gets the end."""
        return self.log(build)[size:] if self.build(build).get("completed") else None

    def build_request(self, number: int) -> bytes:
        return request("GET", f"/jobs/{JOB}/{number}", b"", {"Accept": "text/event-stream"})

    def reader(self) -> EventSender:
        return EventSender(self.port)

    def build(self, number: int) -> Any:
        told = self.reader().first(self.build_request(number))["data"]
        if "queued" not in told:
            raise Wrong(f"run {number} is not known")
        return told

    def _has_begun(self, build: int) -> bool:
        return bool(self.build(build).get("started"))

    @staticmethod
    def _log_request(build: int) -> bytes:
        return request("GET", f"/log/{JOB}/{build}")

    def _command(self, *words: str) -> str:
        return run(self._client, *words, environment=self._environment)

    def _learned(self) -> int:
        """The number that stands for success: it differs between versions."""
        for name in (GOOD, BAD):
            command = [self._client, "run", name]
            environment = {**os.environ, **self._environment}
            subprocess.run(command, check=False, capture_output=True, env=environment)
        good, bad = (
            self._look(f"SELECT max(result) FROM builds WHERE name = '{name}'")[0]  # noqa: S608  a constant
            for name in (GOOD, BAD)
        )
        if good is None or good == bad:
            raise Wrong("what Laminar calls success could not be learned")
        return int(good)


def _socket(port: int) -> str:
    return f"unix-abstract:ciserver-bench-{port}"


class Laminar(System):
    name = "Laminar"
    has_lists = False  # but of 20
    pace = 0.5

    def __init__(self, programs: Path) -> None:
        self._programs = programs.parent if programs.is_file() else programs

    def size_mb(self) -> float:
        return sum((self._programs / n).stat().st_size for n in ("laminard", "laminarc")) / 1e6

    @contextmanager
    def running(self, place: Path, setup: Setup, repository: Repository) -> Iterator[Running]:
        home = place / "home"
        (home / "cfg/jobs").mkdir(parents=True)
        (home / "cfg/contexts").mkdir()
        (home / "cfg/contexts/default.conf").write_text(f"EXECUTORS={setup.slots}\n")
        checkout = (
            f'git clone -q --shared {repository.bare} . && git checkout -q "$revision"\n'
            if setup.checks_out
            else ""
        )
        for name, script in (
            (JOB, checkout + setup.script.replace("TREE", "")),
            (HELD, f"while [ ! -e {home / 'go'} ]; do sleep 0.01; done"),
            (GOOD, "true"),
            (BAD, "false"),
        ):
            path = home / f"cfg/jobs/{name}.run"
            path.write_text(f"#!/bin/bash -e\n{script}\n")
            path.chmod(0o755)
        client = str(self._programs / "laminarc")
        if setup.history:
            with self._started(home) as (process, port, _):
                RunningLaminar(home, port, process, setup.slots, client)
            _fill(home / "laminar.sqlite", setup.history)
        with self._started(home) as (process, port, _):
            yield RunningLaminar(home, port, process, setup.slots, client)

    @contextmanager
    def until_answer(self, place: Path) -> Iterator[tuple[list[int], float]]:
        home = place / "home"
        (home / "cfg/jobs").mkdir(parents=True, exist_ok=True)
        with self._started(home) as (process, _, seconds):
            yield [process.pid], seconds

    @contextmanager
    def _started(self, home: Path) -> Iterator[tuple[Any, int, float]]:
        port, began = free_port(), time.monotonic()
        environment = {
            "LAMINAR_HOME": str(home),
            "LAMINAR_BIND_HTTP": f"127.0.0.1:{port}",
            "LAMINAR_BIND_RPC": _socket(port),
        }
        log = home / "bench.log"
        with started([str(self._programs / "laminard")], log, environment) as process:
            until(lambda: answers(process, port, "/"), 20, f"an answer; see {log}", 0.005)
            yield process, port, time.monotonic() - began


def _fill(path: Path, builds: int) -> None:
    """So many runs of the one job, all as good as the one that it made of another."""
    now = str(int(time.time()))
    good = f"(SELECT max(result) FROM builds WHERE name = '{GOOD}')"  # noqa: S608  a constant
    with closing(sqlite3.connect(path)) as database, database:
        add_rows(
            *(database, "builds", builds, {}),
            name=f"'{JOB}'",
            number="i",
            node="'default'",
            queuedAt=now,
            startedAt=now,
            completedAt=now,
            result=good,
            output="'done'",
            outputLen="4",
            reason="''",
        )
