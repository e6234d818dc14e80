"""The real worker as a process of its own, with a data directory of its own."""

import json
import signal
import subprocess
from contextlib import nullcontext
from pathlib import Path

from support.server import PROGRAM
from support.waiting import until


def add_credential(server, name: str, queues) -> str:
    """What a worker of this name and of these queues has to show."""
    answer = server.request("POST", "/ci/v1/workers", json={"name": name, "queues": list(queues)})
    assert answer.status == 201, answer.data
    return json.loads(answer.data)["credential"]


class Worker:
    """`ciserver worker` over a data directory; `config` is the text of its TOML file."""

    def __init__(
        self,
        server,
        data: Path,
        *,
        queues=("x86_64-linux/trusted",),
        config="",
        namespace=None,
        program=PROGRAM,
    ) -> None:
        """It runs in a network namespace, and as another program, where one is named."""
        self.data, self.name = data, data.name
        self.log = data.parent / f"{data.name}.log"
        data.mkdir(parents=True, exist_ok=True)
        (data / "ciserver.toml").write_text(config)
        self._url = server.url
        self._credential = data.parent / f"{data.name}.credential"
        self._credential.write_text(add_credential(server, self.name, queues))
        self._namespace, self._program = namespace, program
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, is_ready=True) -> "Worker":
        command = [*self._program, "worker", "--server", self._url]
        command += ["--credential-file", str(self._credential), "--data", str(self.data)]
        inside = self._namespace.entered() if self._namespace else nullcontext()
        with self.log.open("ab") as log, inside:
            self.process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)
        if is_ready:
            until(self._is_ready, seconds=100, what=f"{self.name} to be ready; see {self.log}")
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return b"builds of" in self.log.read_bytes()

    def kill(self) -> None:
        """Kill -9, as a crash does it."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; answers the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)
