"""Tasks as ordinary processes: for machines where nothing better works and pushes are trusted."""

import os
import pwd
import signal
from collections.abc import Mapping
from pathlib import Path

from ciserver.executor.network import Network
from ciserver.executor.processes import descendants, kill_marked, marked, signal_all
from ciserver.executor.sandbox import (
    FREE,
    MARKER,
    Bind,
    Bounds,
    BuildUser,
    Process,
    find_shell,
    spawn,
)


class Plain:
    """A session, a process group and a marker in the environment, by which also those are found
    that left both. A process that throws the marker away gets away: best effort, no isolation.
    """

    name = "plain"
    about = "plain (no isolation: tasks see this machine's files, processes and network)"
    closes_network = False
    enters_network = False
    image = ""

    def __init__(self, *, user: BuildUser | None) -> None:
        self.user = user
        self.shell = find_shell()
        self.login = user.name if user else _own_name()
        self._uid = user.uid if user else os.geteuid()

    def home_inside(self, home: Path) -> str:
        return str(home)

    def objects_at(self, path: Path) -> str:
        return str(path)

    def store_at(self, path: Path) -> str:
        return str(path)

    def start(
        self,
        command: tuple[str, ...],
        *,
        home: Path,
        tmp: Path,
        environment: Mapping[str, str],
        network: Network,
        readable: tuple[Bind, ...],
        writable: tuple[Bind, ...] = (),
        bounds: Bounds = FREE,
    ) -> Process:
        """Start the command, marked with its home, which no other attempt has.
        Raises SandboxFailed.
        """
        marker = str(home)
        whole = {**environment, "TMPDIR": str(tmp), MARKER: marker}
        child, output = spawn(
            list(command), user=self.user, cwd=home, environment=whole, bounds=bounds
        )
        return Process(child, output, marker=marker)

    def processes(self, process: Process) -> list[int]:
        first = process.child.pid
        return list({first, *descendants(first), *marked(process.marker, uid=self._uid)})

    def in_memory_files(self, process: Process) -> int:
        return 0

    def terminate(self, process: Process) -> None:
        self._signal_group(process, signal.SIGTERM)
        elsewhere = [
            pid
            for pid in marked(process.marker, uid=self._uid)
            if not _is_in_group(pid, process.child.pid)
        ]
        signal_all(elsewhere, signal.SIGTERM)

    def kill(self, process: Process) -> None:
        # Until the first process is waited for nobody else can have its number, so this goes first.
        if process.child.returncode is None:
            self._signal_group(process, signal.SIGKILL)
            process.child.wait()
            first, began = process.child.pid, process.began
            kill_marked(process.marker, uid=self._uid, first=first, began=began)

    def fault(self, process: Process) -> str:
        return ""

    def _signal_group(self, process: Process, number: signal.Signals) -> None:
        try:
            os.killpg(process.child.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def _is_in_group(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group
    except ProcessLookupError:
        return True


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
