"""Tasks in podman: a container for each, on this machine's own system or on an image."""

import hashlib
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import structlog

from ciserver.executor.bubblewrap import HOME, RESOLVER, VAR_TMP
from ciserver.executor.containers import Containers, environment, last_line, remove
from ciserver.executor.network import HOST, NONE, Network
from ciserver.executor.podman_root import Root, SmallFiles, bind, host_root
from ciserver.executor.podman_words import SEPARATE, limit_words
from ciserver.executor.processes import descendants, signal_all
from ciserver.executor.sandbox import (
    FREE,
    MARKER,
    PATH,
    Bind,
    Bounds,
    BuildUser,
    Process,
    SandboxBroken,
    SandboxFailed,
    spawn,
)
from ciserver.executor.usage import in_memory_files

_TMP = "/tmp"  # noqa: S108 (the task's own, not that of this machine)
_IN_MEMORY = ("/dev/shm", "/run")  # noqa: S108 (likewise)
_SUBUID, _SUBGID = Path("/etc/subuid"), Path("/etc/subgid")
_START_SECONDS = 60
_END_SECONDS = 30
_RUNTIMES = ("", "crun", "runc")  # the one of podman's own configuration first
_NOT_SET_UP = "podman could not set up the sandbox: "
_READY = "ciserver: the container is ready"
# The first process inside says that it is there, waits to be let go and ends with the command. It
# is not the command itself: a first process is spared by signals that it does not handle.
_GATE = f"""unset {MARKER}
exec 3<&0 </dev/null 4>&2 2>/dev/null
echo '{_READY}'
read -r _ <&3 || exit 125
"$@" 2>&4 3<&- 4>&-
exit $?
"""
log = structlog.get_logger(__name__)


@dataclass
class Container(Process):
    """A process that is podman; `first` is the first one inside, and `handle` refers to it."""

    name: str = ""
    first: int = 0
    handle: int = -1

    def close(self) -> None:
        if not self.closed and self.handle >= 0:
            os.close(self.handle)
        super().close()


class Podman:
    """One container for each task. The files of a build last between its tasks in the home and
    /tmp, which are directories of this machine; the rest is read-only, and on the machine's own
    system the same is there as in bubblewrap.

    `place` takes a few small files. `runtime` is that of podman's configuration where it is empty;
    `diagnose` finds one that works. As root, podman runs containers as the `user`; else they are
    the server's user in a user namespace of theirs.
    """

    name = "podman"
    login = "build"
    closes_network = True
    enters_network = False

    def __init__(
        self,
        *,
        user: BuildUser | None,
        place: Path,
        readable: tuple[Path, ...] = (),
        hidden: tuple[Path, ...] = (),
        runtime: str = "",
    ) -> None:
        self.user = user
        self._uid, self._gid = (user.uid, user.gid) if user else (os.geteuid(), os.getegid())
        self.runtime = runtime
        self._containers = Containers()
        self._files = SmallFiles(place)
        self.root = host_root(place / "root", readable, hidden)

    @property
    def about(self) -> str:
        return f"podman {self.root.about}"

    @property
    def shell(self) -> str:
        return self.root.shell

    @property
    def image(self) -> str:
        return self.root.image

    def on(self, root: Root) -> "Podman":
        """The same with another root file system."""
        other = copy(self)
        other.root = root
        return other

    def home_inside(self, home: Path) -> str:
        return HOME

    def objects_at(self, path: Path) -> str:
        return f"/run/objects/{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"

    def store_at(self, path: Path) -> str:
        return "/run/nix"

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
        """Start a container, wait until it is there, and let the command begin once it is held by
        its control groups. Raises SandboxFailed with podman's own words.
        """
        name = f"ciserver-{token_hex(8)}"
        pid_file = home.parent / f"{name}.pid"
        argv = [
            *("podman", "--log-level=error", *self._runtime_words(), "run", *SEPARATE),
            *(
                "--name",
                name,
                *self._containers.labels(home.parents[1]),
                "--pidfile",
                str(pid_file),
            ),
            *self._user_words(),
            *limit_words(bounds),
            *self._network_words(network),
            *self.root.mounts,
            *self._user_files(),
            *(
                bind(tmp, _TMP, writable=True),
                bind(tmp, VAR_TMP, writable=True),
                bind(home, HOME, writable=True),
            ),
            *(bind(one.source, one.target) for one in readable),
            *(bind(one.source, one.target, writable=True) for one in writable),
            *(f"--env={one}={value}" for one, value in {**environment, MARKER: str(home)}.items()),
            *("--workdir", HOME, "--entrypoint", json.dumps([self.shell, "-c", _GATE, "sh"])),
            *(*self.root.words, *command),
        ]
        return self._start(argv, name, pid_file, bounds)

    def processes(self, process: Process) -> list[int]:
        return descendants(_container(process).first)

    def in_memory_files(self, process: Process) -> int:
        return in_memory_files(_container(process).first, _IN_MEMORY)

    def terminate(self, process: Process) -> None:
        """TERM to all but the first process inside, whose end ends all at once."""
        signal_all(self.processes(process), signal.SIGTERM)

    def kill(self, process: Process) -> None:
        """The kernel ends everything inside with the first process; podman removes the container
        then. Where podman itself is not there to do it any more, that is done here.
        """
        container = _container(process)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(container.handle, signal.SIGKILL)
        if container.child.returncode is not None:
            return
        try:
            container.child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            container.child.kill()
        if container.child.wait() < 0:
            remove(container.name)

    def fault(self, process: Process) -> str:
        # Its own faults before the command began were told by `start` already.
        status = process.child.returncode
        return f"podman was ended by signal {-status}" if status < 0 else ""

    def probe(self) -> str:
        """Empty when it works, by really running a container with and without network; else the
        reason and what to do.
        """
        broken = self.diagnose()
        return str(broken) if broken else ""

    def diagnose(self) -> SandboxBroken | None:
        """What `probe` says, in two parts. The first runtime that works is the one to be used."""
        if shutil.which("podman", path=PATH) is None:
            return SandboxBroken("podman is not installed", "install the packages podman and crun")
        faults: dict[str, str] = {}
        for runtime in _RUNTIMES:
            if runtime and shutil.which(runtime, path=PATH) is None:
                continue
            self.runtime = runtime
            fault = self._try()
            if not fault:
                return None
            faults[runtime] = fault
        reason = next(iter(faults.values()))
        return SandboxBroken(f"podman does not work here: {reason}", _remedy(faults))

    def ask(self, *command: str, network: Network = NONE) -> tuple[int, str]:
        """Run a command in a container that is gone afterwards; gives its status and what it said.
        Raises SandboxFailed.
        """
        with tempfile.TemporaryDirectory(prefix="ciserver-probe-") as folder:
            home = Path(folder, "home")
            home.mkdir(mode=0o700)
            os.chown(home, self._uid, self._gid)
            process = self.start(
                command,
                home=home,
                tmp=home,
                environment={"PATH": PATH},
                network=network,
                readable=(),
            )
            try:
                os.set_blocking(process.output, True)
                with os.fdopen(os.dup(process.output), "rb") as output:
                    said = output.read().decode(errors="replace")
                return process.child.wait(_START_SECONDS), said
            except subprocess.TimeoutExpired as error:
                raise SandboxFailed(f"podman does not come to its end: {error}") from error
            finally:
                self.kill(process)
                process.close()

    def _try(self) -> str:
        for network in (HOST, NONE):
            try:
                status, said = self.ask(self.shell, "-c", "exit 0", network=network)
            except SandboxFailed as error:
                return str(error).removeprefix(_NOT_SET_UP)
            if status:
                return last_line(said)
        return ""

    def _start(self, argv: list[str], name: str, pid_file: Path, bounds: Bounds) -> Process:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            self._containers.guard()
            child, output = spawn(
                argv, user=None, cwd=None, environment=environment(), stdin=reading
            )
        except OSError as error:
            os.close(writing)
            raise SandboxFailed(f"podman could not be started: {error}") from error
        except SandboxFailed:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        container = Container(child, output, name=name)
        try:
            _wait_until_ready(container)
            container.first = int(pid_file.read_text())
            container.handle = os.pidfd_open(container.first)
            _hold(container.first, bounds)
            os.write(writing, b"go\n")
        except (OSError, ValueError, SandboxFailed) as error:
            child.kill()
            child.wait()
            remove(name)
            container.close()
            raise SandboxFailed(f"{_NOT_SET_UP}{error}") from error
        finally:
            os.close(writing)
            pid_file.unlink(missing_ok=True)
        return container

    def _runtime_words(self) -> tuple[str, ...]:
        return ("--runtime", self.runtime) if self.runtime else ()

    def _user_words(self) -> Iterator[str]:
        yield f"--user={self._uid}:{self._gid}"
        if os.geteuid() != 0:
            yield "--userns=keep-id"

    def _user_files(self) -> Iterator[str]:
        if self.root.users is None:
            return
        users, groups = self.root.users.with_build(self._uid, self._gid, self.shell)
        yield bind(self._files.holding(users), "/etc/passwd")
        yield bind(self._files.holding(groups), "/etc/group")

    def _network_words(self, network: Network) -> Iterator[str]:
        yield f"--network={f'ns:{network.namespace}' if network.namespace else network.kind}"
        if network.resolver:
            yield bind(self._files.holding(network.resolver.decode()), str(RESOLVER))


def _container(process: Process) -> Container:
    if not isinstance(process, Container):
        raise TypeError(f"{process!r} was not started by podman")
    return process


def _wait_until_ready(container: Container) -> None:
    """Raises SandboxFailed with what podman said instead."""
    until = time.monotonic() + _START_SECONDS
    poll = select.poll()
    poll.register(container.output, select.POLLIN)
    said, ready = b"", f"{_READY}\n".encode()
    while not said.endswith(ready):
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise SandboxFailed(f"nothing happened for {_START_SECONDS} s")
        piece = os.read(container.output, 65536)
        if not piece:
            raise SandboxFailed(last_line(said.decode(errors="replace")))
        said += piece


def _hold(pid: int, bounds: Bounds) -> None:
    for path in bounds.groups:
        try:
            (path / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            log.warning("control-group-not-entered", path=str(path), error=str(error))


def _has_range(path: Path, user: str) -> bool:
    lines = path.read_text().splitlines() if path.exists() else []
    return any(line.startswith((f"{user}:", f"{os.geteuid()}:")) for line in lines)


def _remedy(faults: Mapping[str, str]) -> str:
    said = "\n".join(faults.values())
    user = pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() != 0 and not (_has_range(_SUBUID, user) and _has_range(_SUBGID, user)):
        return (
            "give the server's user a range of numbers: usermod --add-subuids 100000-165535"
            f" --add-subgids 100000-165535 {user}"
        )
    if "hybrid" in said and "runc" not in faults:
        return "install runc, which knows control groups in hybrid mode"
    return (
        "make `podman run` work for the server's user, or use bubblewrap; inside a container run"
        " the server outside of it"
    )
