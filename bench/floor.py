"""The floor as a system: see floor_server.py."""

import hashlib
import hmac
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.ours import answers
from bench.processes import free_port, started, until
from bench.system import Repository, Running, Setup, System, add_rows
from bench.wire import Connection, HttpSender, Sender, request

SERVER = Path(__file__).with_name("floor_server.py")
SECRET = "bench"  # noqa: S105  of the bench alone
POLL_SECONDS = 0.02


class RunningFloor(Running):
    ended_sql = "SELECT count(*), sum(exit = 0) FROM builds WHERE status = 'ended'"
    pushes_sql = "SELECT sum(pushed) FROM builds"

    def __init__(self, place: Path, port: int, process: Any) -> None:
        self.process, self.port, self.database = process, port, place / "floor.db"
        self._http = Connection(port)

    def push(self, number: int, before: str, after: str) -> bytes:
        body = json.dumps({"after": after, "number": number}).encode()
        proof = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return request("POST", "/push", body, {"X-Hub-Signature-256": f"sha256={proof}"})

    def sender(self) -> Sender:
        return HttpSender(self.port, 202)

    def hold(self) -> None:
        self._http.send(request("POST", "/held/yes"))

    def release(self) -> None:
        self._http.send(request("POST", "/held/no"))

    def queue(self, count: int) -> None:
        self._http.send(request("POST", f"/queue?count={count}"))

    def log(self, build: int) -> bytes:
        answer = self._read(build, 0)
        return answer.body if answer.status == 200 else b""

    def follow(self, build: int) -> Iterator[bytes]:
        offset = 0
        while True:
            answer = self._read(build, offset)
            if answer.status == 200:
                yield answer.body
                offset += len(answer.body)
                if answer.headers[b"x-complete"] == b"true":
                    return
            time.sleep(POLL_SECONDS)

    def log_end(self, build: int, size: int, lines: int) -> bytes | None:
        answer = self._read(build, size)
        is_whole = answer.status == 200 and answer.headers[b"x-complete"] == b"true"
        return answer.body if is_whole else None

    def build_request(self, number: int) -> bytes:
        return request("GET", f"/builds/{number}")

    def list_request(self) -> bytes:
        return request("GET", "/builds")

    def _read(self, build: int, offset: int) -> Any:
        return self._http.send(request("GET", f"/builds/{build}/log?offset={offset}"))


class Floor(System):
    name = "floor"

    @contextmanager
    def running(self, place: Path, setup: Setup, repository: Repository) -> Iterator[Running]:
        bare = (str(repository.bare),) if setup.checks_out else ()
        script = setup.script.replace("TREE", "")
        with self._started(place, setup.slots, script, *bare) as (process, port, _):
            one = RunningFloor(place, port, process)
            if setup.history:
                with closing(sqlite3.connect(one.database)) as database, database:
                    columns = {"revision": "'a'", "status": "'ended'", "pushed": "1", "exit": "0"}
                    add_rows(database, "builds", setup.history, {}, **columns)
            yield one

    @contextmanager
    def until_answer(self, place: Path) -> Iterator[tuple[list[int], float]]:
        (place / "floor.db").unlink(missing_ok=True)
        with self._started(place, 2, "true") as (process, _, seconds):
            yield [process.pid], seconds

    @contextmanager
    def _started(
        self, place: Path, slots: int, script: str, *more: str
    ) -> Iterator[tuple[Any, int, float]]:
        port, began = free_port(), time.monotonic()
        command = [sys.executable, str(SERVER), str(place), str(port), str(slots), SECRET, script]
        log = place / "floor.log"
        with started([*command, *more], log) as process:
            until(lambda: answers(process, port, "/builds"), 20, f"an answer; see {log}", 0.005)
            yield process, port, time.monotonic() - began
