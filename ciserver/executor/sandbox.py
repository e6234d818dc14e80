"""What the executor asks of a sandbox; `bubblewrap`, `podman` and `plain` are those there are."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

from ciserver.executor.network import Network
from ciserver.model.errors import BadConfiguration, Complaint
from ciserver.model.frozen import frozen

MARKER = "CISERVER_ATTEMPT"
_ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1"; shift; done 2>/dev/null; shift; exec "$@"'
LANGUAGE = {"LANG": "C.UTF-8"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@frozen
class BuildUser:
    """The unprivileged user that builds run as when the server is root."""

    uid: int
    gid: int
    name: str


@frozen
class Bind:
    """A directory of this machine that a task may use, and where it is seen in the sandbox."""

    source: Path
    target: str


@frozen
class Bounds:
    """What holds a task from its first instant on: control groups that it is put into, the size
    of one file, and how many processes it may have where these alone can be counted. 0 = any.
    """

    groups: tuple[Path, ...] = ()
    file_bytes: int = 0
    processes: int = 0


FREE = Bounds()


@frozen
class SandboxBroken:
    """Why builds cannot be run, and what to do about it."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


class SandboxFailed(Exception):
    """The sandbox could not be set up: no fault of the build."""


@dataclass
class Process:
    """A started task. `output` is its standard output and error, non-blocking; `began` is
    when, by the monotonic clock.
    """

    child: subprocess.Popen[bytes]
    output: int
    status: int = -1  # a pipe on which the sandbox itself reports, where it does
    marker: str = ""
    began: float = field(default_factory=time.monotonic)
    closed: bool = field(default=False, repr=False)

    def close(self) -> None:
        """Let go of the pipes. Safe to repeat."""
        if self.closed:
            return
        self.closed = True
        os.close(self.output)
        if self.status >= 0:
            os.close(self.status)


class Sandbox(Protocol):
    """Runs one task at a time of each build, in a home that the tasks of a build share."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """What it separates, in a line for the log."""

    @property
    def shell(self) -> str:
        """The path of bash inside, or of sh where there is no bash."""

    @property
    def image(self) -> str:
        """The name of the image that tasks run on; empty where it is the machine's own system."""

    @property
    def login(self) -> str:
        """The name of the user that a task runs as."""

    @property
    def user(self) -> BuildUser | None:
        """Who must own the files of a build; None = the user of the server."""

    @property
    def closes_network(self) -> bool:
        """Whether tasks have the network that they are to have, and no other."""

    @property
    def enters_network(self) -> bool:
        """Whether it goes to a network by the programs that do so, and needs no path to it."""

    def home_inside(self, home: Path) -> str:
        """Where a task sees its home."""

    def objects_at(self, path: Path) -> str:
        """Where a task sees a directory that it is given to read."""

    def store_at(self, path: Path) -> str:
        """Where a task sees the directory of a Nix store, which it may change: at the same place
        in every build that shares the store.
        """

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
        """Start a command in the home with this environment and nothing else.
        Raises SandboxFailed.
        """

    def processes(self, process: Process) -> list[int]:
        """The processes of a task that runs, without those of the sandbox itself."""

    def in_memory_files(self, process: Process) -> int:
        """The bytes that a task that runs has written into memory as files."""

    def terminate(self, process: Process) -> None:
        """Ask every process of the task to end (TERM)."""

    def kill(self, process: Process) -> None:
        """End every process of the task and wait for the first one. Safe to repeat, and right
        after the task ended by itself: what it left behind goes too.
        """

    def fault(self, process: Process) -> str:
        """Why the sandbox itself failed, of a process that ended by itself; empty when the
        command was really run.
        """


def find_build_user(name: str) -> BuildUser:
    """The user of that name. Raises BadConfiguration."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise BadConfiguration(
            f"there is no user {name!r} on this machine to run builds as",
            complaints=[Complaint("user", f"no such user: {name}")],
            hint=f"create it (useradd --system {name}) or name another one",
        ) from None
    return BuildUser(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name)


def spawn(
    argv: list[str],
    *,
    user: BuildUser | None,
    cwd: Path | None,
    environment: Mapping[str, str],
    pass_fds: tuple[int, ...] = (),
    bounds: Bounds = FREE,
    enter: tuple[str, ...] = (),
    stdin: int = subprocess.DEVNULL,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program in its own session with output and errors in one pipe; gives the program
    and the reading end. `enter` are programs that run the rest somewhere else, still with all
    rights. Raises SandboxFailed.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    changer = _user_changer(user) if user else []
    plain_change = user if not changer else None
    limiter = _limiter(bounds)
    try:
        child = subprocess.Popen(
            [*limiter, *enter, *changer, *argv],
            stdin=stdin,
            stdout=writing,
            stderr=writing,
            cwd=cwd,
            env=dict(environment),
            pass_fds=pass_fds,
            start_new_session=True,
            umask=0o022,
            user=plain_change.uid if plain_change else None,
            group=plain_change.gid if plain_change else None,
            extra_groups=[] if plain_change else None,
        )
    except OSError as error:
        os.close(reading)
        raise SandboxFailed(f"{argv[0]} could not be started: {error}") from error
    finally:
        os.close(writing)
    os.set_blocking(reading, False)
    return child, reading


@cache
def _user_changer(user: BuildUser) -> list[str]:
    """The program that becomes the user and then runs the rest. Python itself can do it too, but
    only by copying this whole process first, which takes longer than everything else.
    """
    chroot = ("chroot", f"--userspec=+{user.uid}:+{user.gid}", "--groups=", "--skip-chdir", "/")
    setpriv = ("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "--")
    # chroot is sooner done, as it looks nobody up; some systems have one that knows no users.
    return next((words for words in map(_found, (chroot, setpriv)) if words), [])


def _found(command: tuple[str, ...]) -> list[str]:
    """The words of a command that runs others, with its place; none where it cannot do that."""
    program = shutil.which(command[0], path=PATH)
    if program is None:
        return []
    words = [program, *command[1:]]
    tried = subprocess.run(
        [*words, "true"], env={"PATH": PATH}, capture_output=True, check=False, cwd="/"
    )
    return [] if tried.returncode else words


def limited(limit: str) -> list[str]:
    """The program that sets a limit of the kernel and then runs the rest; nothing where this
    machine does not have it.
    """
    prlimit = _prlimit()
    return [prlimit, limit, "--"] if prlimit else []


@cache
def _prlimit() -> str | None:
    return shutil.which("prlimit", path=PATH)


def _limiter(bounds: Bounds) -> list[str]:
    """Programs that enter the groups and set the limit, and then run the rest."""
    words: list[str] = []
    if bounds.groups:
        members = (str(path / "cgroup.procs") for path in bounds.groups)
        words += ["/bin/sh", "-c", _ENTER, "sh", *members, "--"]
    if bounds.file_bytes:
        words += limited(f"--fsize={bounds.file_bytes}")
    return words


def find_shell() -> str:
    """The bash of this machine, or its sh."""
    there = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash")
    return next((path for path in there if os.access(path, os.X_OK)), "/bin/sh")
