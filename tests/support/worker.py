"""The real worker as a process of its own, with a data directory of its own."""

import signal
import subprocess
import sys
from pathlib import Path

from support.waiting import until


class Worker:
    """`ciserver worker` over a data directory; `config` is the text of its TOML file."""

    def __init__(self, server, data: Path, *, queues=("x86_64-linux/trusted",), config="") -> None:
        self.data, self.name = data, data.name
        self.log = data.parent / f"{data.name}.log"
        data.mkdir(parents=True, exist_ok=True)
        (data / "ciserver.toml").write_text(config)
        self._url = server.url
        self._credential = data.parent / f"{data.name}.credential"
        named = [word for queue in queues for word in ("--queue", queue)]
        made = server.cli("worker-credential", "add", self.name, *named)
        self._credential.write_text(made.stdout)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, is_ready=True) -> "Worker":
        command = [sys.executable, "-m", "ciserver.cli.main", "worker", "--server", self._url]
        command += ["--credential-file", str(self._credential), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)
        if is_ready:
            until(self._is_ready, what=f"{self.name} to be ready; see {self.log}")
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
