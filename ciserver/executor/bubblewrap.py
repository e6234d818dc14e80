"""Tasks in bubblewrap: own files, processes, users and, where asked, no network."""

import hashlib
import os
import re
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from ciserver.executor.network import HOST, NONE, Network
from ciserver.executor.processes import descendants, signal_all
from ciserver.executor.sandbox import (
    FREE,
    PATH,
    Bind,
    Bounds,
    BuildUser,
    Process,
    SandboxBroken,
    SandboxFailed,
    find_shell,
    limited,
    spawn,
)
from ciserver.executor.usage import in_memory_files
from ciserver.model.frozen import frozen

HOME = "/home/build"
RESOLVER = Path("/etc/resolv.conf")
_TMP, VAR_TMP = "/tmp", "/var/tmp"  # noqa: S108 (the task's own, not those of this machine)
_IN_MEMORY = ("/dev", "/run")
_COUNTS_ALONE = (5, 14)
_OWN_PROCESSES = 2  # the first one inside, and one that makes the difference seen
_PASSWD = (
    b"root:x:0:0:root:/root:/bin/sh\n"
    b"build:x:1000:1000:build:/home/build:%s\n"
    b"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
)
_GROUP = b"root:x:0:\nbuild:x:1000:\nnogroup:x:65534:\n"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt")
_NAMESPACES = (
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
    *("--unshare-cgroup-try", "--hostname", "build"),
)
KERNEL_PLACES = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run")


@frozen
class View:
    """What bubblewrap is told of the inside, but for what each task has of its own.

    `outer` are programs that prepare what it needs and then run it, `root` comes before anything
    is mounted and `closing` after that; `handed` are contents that it reads from pipes, each with
    the words around the pipe's number. `resolver` is where programs look for their name servers.
    """

    mounts: tuple[str, ...]
    uid: int = 1000
    outer: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    handed: tuple[tuple[str, bytes, tuple[str, ...]], ...] = ()
    closing: tuple[str, ...] = ()
    resolver: str = ""


class Bubblewrap:
    """One bubblewrap for each task. The files of a build last between its tasks in the home and
    /tmp, which are directories of this machine; the system is read-only, and everything else is
    not there. When the task's first process ends, the kernel ends all others.

    `user` is needed when the server is root; the path to the work directories and mirrors must
    then be searchable for that user. `readable` is shown beside the system directories, `hidden`
    is covered where it would be seen beneath them.
    """

    name = "bubblewrap"
    about = "bubblewrap (own files, processes and users; the system is read-only)"
    login = "build"
    closes_network = True
    enters_network = True
    image = ""

    def __init__(
        self,
        *,
        user: BuildUser | None,
        readable: tuple[Path, ...] = (),
        hidden: tuple[Path, ...] = (),
    ) -> None:
        self.user = user
        self.shell = find_shell()
        self.readable = readable
        self.hidden = hidden
        visible = (*map(Path, SYSTEM), *readable)
        passwd = _PASSWD % self.shell.encode()
        self._view = View(
            mounts=(
                *KERNEL_PLACES,
                *("--symlink", _TMP, VAR_TMP),
                *shown(visible),
                *covers(visible, hidden, user),
                *_name_servers(visible),
            ),
            handed=(
                ("--ro-bind-data", passwd, ("/etc/passwd",)),
                ("--ro-bind-data", _GROUP, ("/etc/group",)),
            ),
            closing=("--remount-ro", "/"),
            resolver=str(RESOLVER.resolve()) if RESOLVER.exists() else "",
        )

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
        """Start the command inside. Raises SandboxFailed when bubblewrap itself cannot be run;
        a failure to set up the inside is told by `fault`.
        """
        status, status_end = os.pipe2(os.O_CLOEXEC)
        view = self._view
        handed = (*view.handed, *_name_servers_of(network, view))
        pipes = [(word, _pipe_with(content), rest) for word, content, rest in handed]
        argv = [
            *(*view.outer, "bwrap", *view.root, "--bind", str(tmp), _TMP),
            *(*_NAMESPACES, "--uid", str(view.uid), "--gid", str(view.uid)),
            *(*view.mounts, *(("--unshare-net",) if network.kind == "none" else ())),
            *("--json-status-fd", str(status_end)),
            *(word for first, pipe, rest in pipes for word in (first, str(pipe), *rest)),
            *(word for name, value in environment.items() for word in ("--setenv", name, value)),
            *(word for one in readable for word in ("--ro-bind", str(one.source), one.target)),
            *(word for one in writable for word in ("--bind", str(one.source), one.target)),
            *("--bind", str(home), HOME),
            *(*view.closing, "--chdir", HOME, "--"),
            *(*self._limiter(bounds), *command),
        ]
        # The job's variables are never those of bwrap itself: a loader variable would let it out.
        outside = {"PATH": PATH}
        ends = (status_end, *(pipe for _, pipe, _ in pipes))
        try:
            child, output = spawn(
                argv,
                user=self.user,
                cwd=None,
                environment=outside,
                pass_fds=ends,
                bounds=bounds,
                enter=network.enter,
            )
        except SandboxFailed:
            os.close(status)
            raise
        finally:
            for end in ends:
                os.close(end)
        return Process(child, output, status=status)

    def processes(self, process: Process) -> list[int]:
        return descendants(process.child.pid)[1:]

    def in_memory_files(self, process: Process) -> int:
        first = descendants(process.child.pid)[:1]
        return sum(in_memory_files(pid, _IN_MEMORY) for pid in first)

    def terminate(self, process: Process) -> None:
        """TERM to all but bubblewrap itself: the outer process, whose end ends all at once, and
        the first process inside.
        """
        own = descendants(process.child.pid)
        signal_all(own[1:], signal.SIGTERM)

    def kill(self, process: Process) -> None:
        process.child.kill()
        process.child.wait()

    def fault(self, process: Process) -> str:
        # bubblewrap reports an exit code only of a command that it got as far as running.
        if b'"exit-code"' in os.read(process.status, 65536):
            return ""
        return f"bubblewrap could not set up the sandbox (status {process.child.returncode})"

    def probe(self) -> str:
        """Empty when it works, by really running it with and without network; else the reason
        and what to do.
        """
        broken = self.diagnose()
        return str(broken) if broken else ""

    def diagnose(self) -> SandboxBroken | None:
        """What `probe` says, in two parts."""
        if shutil.which("bwrap", path=PATH) is None:
            return SandboxBroken("bubblewrap is not installed", "install the package bubblewrap")
        for network in (HOST, NONE):
            said = self._try(network=network)
            if said is not None:
                reason = f"bubblewrap does not work here: {said or 'it failed without a word'}"
                return SandboxBroken(reason, _remedy(said))
        return None

    def _limiter(self, bounds: Bounds) -> list[str]:
        if not bounds.processes or not counts_alone():
            return []
        return limited(f"--nproc={bounds.processes + _OWN_PROCESSES}")

    def _try(self, *, network: Network) -> str | None:
        """None when a command runs inside, else what bubblewrap says."""
        with tempfile.TemporaryDirectory(prefix="ciserver-probe-") as folder:
            place = Path(folder)
            if self.user:
                os.chown(place, self.user.uid, self.user.gid)
            try:
                process = self.start(
                    (self.shell, "-c", "exit 0"),
                    home=place,
                    tmp=place,
                    environment={"PATH": PATH},
                    network=network,
                    readable=(),
                )
            except SandboxFailed as error:
                return str(error)
            try:
                failed = process.child.wait() != 0
                said = os.read(process.output, 65536) if failed else b""
            finally:
                process.close()
            return said.decode(errors="replace").strip() if failed else None


@cache
def counts_alone() -> bool:
    """Whether this kernel counts the processes of a user namespace beside those of its user."""
    major, minor, *_ = (int(number) for number in re.findall(r"\d+", os.uname().release))
    return (major, minor) >= _COUNTS_ALONE


def shown(visible: tuple[Path, ...]) -> Iterator[str]:
    for path in visible:
        if path.is_symlink() and is_seen(path.resolve(), (Path("/usr"),)):
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from ("--ro-bind", str(path), str(path))


def covers(
    visible: tuple[Path, ...], hidden: tuple[Path, ...], user: BuildUser | None
) -> Iterator[str]:
    for path in map(Path.resolve, hidden):
        if path.exists() and is_seen(path, visible) and _may_reach(path, user):
            how = ("--tmpfs",) if path.is_dir() else ("--ro-bind", "/dev/null")
            yield from (*how, str(path))


def is_seen(path: Path, visible: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(one.resolve()) for one in visible)


def _may_reach(path: Path, user: BuildUser | None) -> bool:
    """Whether the path can be walked by that user. Where not, nothing needs to be covered, and
    bubblewrap, which runs as that user, could not do it.
    """
    if user is None:
        return True
    for folder in path.parents:
        found = folder.stat()
        bit = stat.S_IXOTH
        if found.st_uid == user.uid:
            bit = stat.S_IXUSR
        elif found.st_gid == user.gid:
            bit = stat.S_IXGRP
        if not found.st_mode & bit:
            return False
    return True


def _name_servers(visible: tuple[Path, ...]) -> Iterator[str]:
    """Of this machine: the file is often a link to where a resolver keeps it, in /run."""
    real = RESOLVER.resolve()
    if not is_seen(real, visible):
        yield from ("--ro-bind-try", str(real), str(real))


def _name_servers_of(network: Network, view: View) -> Iterator[tuple[str, bytes, tuple[str, ...]]]:
    if network.resolver and view.resolver:
        yield "--ro-bind-data", network.resolver, (view.resolver,)


def _pipe_with(content: bytes) -> int:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.write(writing, content)
    os.close(writing)
    return reading


def _remedy(said: str) -> str:
    if _switch("apparmor_restrict_unprivileged_userns") == "1":
        return (
            "allow it: sysctl kernel.apparmor_restrict_unprivileged_userns=0, "
            "or give bwrap an AppArmor profile"
        )
    if _switch("unprivileged_userns_clone") == "0":
        return "allow it: sysctl kernel.unprivileged_userns_clone=1"
    if "mount proc" in said or "namespace" in said:
        return (
            "this looks like a container: let it make user namespaces and mount /proc, run the "
            'server outside of it, or set sandbox = "plain" where every push is trusted'
        )
    return 'make bwrap work for the build user, or set sandbox = "plain" where pushes are trusted'


def _switch(name: str) -> str:
    try:
        return Path("/proc/sys/kernel", name).read_text().strip()
    except OSError:
        return ""
