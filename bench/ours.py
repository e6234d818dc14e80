"""The program of this checkout, as a system."""

import base64
import hmac
import json
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import reads
from bench.figures import OURS
from bench.installation import installation
from bench.parts import forget_scratch, parts_over
from bench.processes import Wrong, free_port, run, started, until
from bench.system import Repository, Running, Setup, System, installed_mb
from bench.wire import Connection, HttpSender, Sender, request

PROGRAM = (sys.executable, "-m", "ciserver.cli.main")
QUEUE = "x86_64-linux/trusted"
PROJECT, REF = "bench", "refs/heads/main"
SECRET = "correct-horse-battery"  # noqa: S105  of the bench alone
MOST_AT_ONCE = 100
FOLLOW_SECONDS = 20


def recipe(setup: Setup) -> str:
    script = setup.script.replace("TREE", "pushed/")
    secrets = "secrets: [masked]\n" if setup.masks else ""
    return (
        f"image: host\nnetwork: false\nalways: true\n{secrets}tasks:\n  - run: |\n"
        f"{textwrap.indent(script, ' ' * 6)}\n"
    )


class RunningOurs(Running):
    ended_sql = (
        "SELECT count(*), sum(CASE WHEN status = 'succeeded' THEN 1 END) FROM builds"
        " WHERE finished_at > 0"
    )
    pushes_sql = "SELECT count(*) FROM pushes"

    def __init__(self, data: Path, port: int, process: Any, database: str) -> None:
        self.process, self.port = process, port
        self.database = database or data / "ciserver.db"
        token = json.loads((data / "server.json").read_text())["token"]
        self._proof = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._http = Connection(port)
        self._hook, self._key = "", b""

    def watch(self, repository: Repository, *, masks: bool) -> None:
        made = self._post(
            "/ci/v1/projects", {"name": PROJECT, "uri": str(repository.bare), "local": True}
        )
        self._hook = f"/hooks/generic/{PROJECT}"
        self._key = base64.b64decode(made["hook_secret"].removeprefix("whsec_"))
        if masks:
            kept = {"type": "plaintext_file", "name": "masked", "value": SECRET}
            self._post(
                f"/ci/v1/projects/{PROJECT}/secrets", {**kept, "path": "masked", "mode": "600"}
            )

    def push(self, number: int, before: str, after: str) -> bytes:
        change = {"ref": REF, "old": before, "new": after}
        told = {"type": "push", "data": {"pusher": f"bench-{number}", "changes": [change]}}
        body, now = json.dumps(told).encode(), str(int(time.time()))
        delivery = f"msg_{number}"
        signed = hmac.digest(self._key, f"{delivery}.{now}.".encode() + body, "sha256")
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": delivery,
            "Webhook-Timestamp": now,
            "Webhook-Signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        return request("POST", self._hook, body, headers)

    def sender(self) -> Sender:
        return HttpSender(self.port, 202)

    def hold(self) -> None:
        self._post("/ci/v1/queue/pause", {})

    def pause_local(self) -> None:
        self._post("/ci/v1/queue/pause", {"worker": "local"})

    def release(self) -> None:
        self._post("/ci/v1/queue/resume", {})

    def queue(self, count: int) -> None:
        for done in range(0, count, MOST_AT_ONCE):
            more = {"count": min(MOST_AT_ONCE, count - done)}
            self._post("/ci/v1/builds/1/rebuild", more)

    def log(self, build: int) -> bytes:
        answer = self._read(build, 0)
        return answer.body if answer.status == 200 else b""

    def follow(self, build: int) -> Iterator[bytes]:
        offset = 0
        while True:
            answer = self._read(build, offset, FOLLOW_SECONDS)
            if answer.status == 404:
                time.sleep(0.005)
                continue
            yield answer.body
            offset = int(answer.headers[b"x-log-next"])
            if answer.headers[b"x-log-complete"] == b"true":
                return

    def log_end(self, build: int, size: int, lines: int) -> bytes | None:
        answer = self._read(build, size)
        is_whole = answer.status == 200 and answer.headers[b"x-log-complete"] == b"true"
        return answer.body if is_whole else None

    def build_request(self, number: int) -> bytes:
        return request("GET", f"/ci/v1/builds/{number}", b"", self._proof)

    def list_request(self) -> bytes:
        return request("GET", "/ci/v1/builds?limit=100", b"", self._proof)

    def _read(self, build: int, offset: int, wait: int = 0) -> Any:
        path = f"/ci/v1/builds/{build}/steps/1/log?offset={offset}&wait={wait}"
        return self._http.send(request("GET", path, b"", self._proof))

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._http.send(request("POST", path, json.dumps(body).encode(), self._proof)).json()


class Ours(System):
    name = OURS
    has_sandbox = True
    has_workers = True

    @contextmanager
    def running(self, place: Path, setup: Setup, repository: Repository) -> Iterator[Running]:
        data = place / "data"
        data.mkdir()
        configure(data, setup)
        if setup.history:
            with parts_over(place) as parts:
                reads.fill(parts.store, setup.history)
        with self._started(data) as (process, port, _):
            one = RunningOurs(data, port, process, setup.database)
            if not setup.history:
                one.watch(repository, masks=setup.masks)
            with workers(one, data, setup):
                yield one

    @contextmanager
    def until_answer(self, place: Path) -> Iterator[tuple[list[int], float]]:
        data = place / "data"
        data.mkdir(exist_ok=True)
        program = str(installation() / "bin/ciserver")
        with self._started(data, program) as (process, _, seconds):
            yield [process.pid], seconds

    def size_mb(self) -> float:
        return installed_mb(installation(), "ciserver")

    @contextmanager
    def _started(self, data: Path, *program: str) -> Iterator[tuple[Any, int, float]]:
        port, began = free_port(), time.monotonic()
        command = [*(program or PROGRAM), "serve", "--data", str(data)]
        log = data.parent / "ciserver.log"
        try:
            # What is installed is not to be found in a checkout first.
            own = {"PYTHONPATH": ""} if program else {}
            with started([*command, "--listen", f"127.0.0.1:{port}"], log, own) as process:
                until(lambda: answers(process, port), 30, f"an answer; see {log}", 0.005)
                seconds = time.monotonic() - began
                until((data / "server.json").exists, 10, "the announcement", 0.005)
                yield process, port, seconds
        finally:
            forget_scratch(data)


def configure(data: Path, setup: Setup) -> None:
    sandbox = "bubblewrap" if setup.is_sandboxed else "plain"
    text = f'[builds]\nslots = {setup.slots}\nsandbox = "{sandbox}"\ndrain_seconds = 2\n'
    if setup.database:
        text += f'[database]\nurl = "{setup.database}"\n'
    if setup.broker:
        text += f'[engine]\nkind = "celery"\nbroker = "{setup.broker}"\n'
    (data / "ciserver.toml").write_text(text)


@contextmanager
def workers(server: RunningOurs, data: Path, setup: Setup) -> Iterator[None]:
    """Started beside a server, which then builds nothing by itself."""
    with ExitStack() as stack:
        for number in range(setup.workers):
            name = f"worker-{number}"
            own = data.parent / name
            own.mkdir()
            configure(own, replace(setup, database=""))
            credential = ("worker-credential", "add", name, "--queue", QUEUE, "--data", str(data))
            (own / "credential").write_text(run(*PROGRAM, *credential))
            command = [*PROGRAM, "worker", "--server", f"http://127.0.0.1:{server.port}"]
            command += ["--credential-file", str(own / "credential"), "--data", str(own)]
            log = data.parent / f"{name}.log"
            stack.enter_context(started(command, log))
            stack.callback(forget_scratch, own)
            until(partial(is_in, log, b"builds of"), 60, f"a worker; see {log}")
        if setup.workers:
            server.pause_local()
        yield


def is_in(path: Path, text: bytes) -> bool:
    return text in path.read_bytes()


def answers(process: Any, port: int, path: str = "/ci/v1/projects") -> bool:
    if process.poll() is not None:
        raise Wrong("it did not start")
    with suppress(OSError), Connection(port) as http:
        return http.send(request("GET", path)).status == 200
    return False
