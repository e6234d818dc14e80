"""The real server as a process of its own, and the real command line beside it."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

import urllib3

from support.waiting import until

PROGRAM = (sys.executable, "-m", "ciserver.cli.main")
_FIRST_PORT = 10_000


def free_port() -> int:
    """A port that nobody listens on, and where the range of the kernel leaves room, one that it
    gives to no connection: tests run beside each other, and servers come back to their ports.
    """
    kernels = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        room = kernels - _FIRST_PORT
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", _FIRST_PORT + secrets.randbelow(room) if room > 0 else 0))
            return probe.getsockname()[1]


class Server:
    """`ciserver serve` over a data directory. `config` is the text of its TOML file, and `program`
    is the command line, which may be another user's.
    """

    def __init__(
        self,
        data: Path,
        *,
        config: str = "",
        port: int | None = None,
        host: str = "127.0.0.1",
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        self._program = program
        self.data = data
        self.port = port or free_port()
        self.url = f"http://{host}:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        data.mkdir(parents=True, exist_ok=True)
        (data / "ciserver.toml").write_text(config)
        self.process: subprocess.Popen[bytes] | None = None
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    def start(self, *arguments: str) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self._program,
                    "serve",
                    "--data",
                    str(self.data),
                    "--listen",
                    self.url.removeprefix("http://"),
                    *arguments,
                ],
                stdout=log,
                stderr=log,
            )
        until(self._is_ready, seconds=100, what=f"{self.url} to be ready; see {self.log}")
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self._http.request("GET", f"{self.url}/readyz").status == 200
        return False

    def kill(self) -> None:
        """Kill -9, as a crash does it."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; answers the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    @property
    def token(self) -> str:
        return json.loads((self.data / "server.json").read_text())["token"]

    def request(self, method, path, *, token=True, **rest):
        headers = rest.pop("headers", {})
        if token:
            headers = {"Authorization": f"Bearer {self.token}", **headers}
        return self._http.request(method, self.url + path, headers=headers, redirect=False, **rest)

    def api(self, path):
        answer = self.request("GET", f"/ci/v1{path}")
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    def builds(self):
        return self.api("/builds?limit=500")["builds"]

    def until_built(self, count=1, *, seconds=30):
        """The builds once `count` are there and all have ended."""

        def ended():
            builds = self.builds()
            return builds if len(builds) >= count and all(b["is_final"] for b in builds) else None

        return until(ended, seconds=seconds, what=f"{count} builds to end; see {self.log}")

    def step_log(self, build_id: int, step: int) -> bytes:
        return self.request("GET", f"/ci/v1/builds/{build_id}/steps/{step}/log").data

    def cli(self, *arguments, input_text="", check=True):
        data = ("--data", str(self.data))
        return cli(*arguments, *data, input_text=input_text, check=check, program=self._program)


def cli(*arguments, input_text="", check=True, cwd=None, program=PROGRAM):
    """Run the command line as a person does; answers the finished process."""
    done = subprocess.run(
        [*program, *arguments],
        capture_output=True,
        text=True,
        input=input_text,
        check=False,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done
