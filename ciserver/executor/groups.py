"""Control groups, of version 1 or 2, where somebody gave the server some to make others in."""

import errno
import fcntl
import os
import signal
import subprocess
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from ciserver.executor.hierarchies import (
    Hierarchy,
    group_of,
    hierarchy_of,
    read_controllers,
    read_counters,
    read_hierarchies,
    read_memberships,
)
from ciserver.executor.limits import Limits
from ciserver.executor.processes import signal_all

log = structlog.get_logger(__name__)

_WANTED = frozenset({"memory", "pids"})
_PREFIX = "build-"
_PROBE = f"{_PREFIX}probe"
_SERVER = "server"
_TRIES = 100
_ENTER = 'echo 0 >"$1"'
# Those of the sandbox itself are in the group too.
_SANDBOX_PROCESSES = 3


class TaskGroups:
    """The groups of one task: processes in them are held by the kernel."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the task for its use of memory."""
        return self._count("oom_kill", "memory.events", "memory.oom_control") > 0

    def ran_out_of_pids(self) -> bool:
        """Whether the kernel refused the task a process."""
        return self._count("max", "pids.events") > 0

    def _count(self, word: str, *names: str) -> int:
        found = 0
        for path in self.paths:
            for name in names:
                found += _counters(path / name).get(word, 0)
        return found


NO_GROUPS = TaskGroups(())


class ControlGroups:
    """Makes groups for tasks beneath the given ones, which must be the server's own to use:
    one of version 2, or one for each controller of version 1.
    """

    def __init__(self, given: tuple[Path, ...]) -> None:
        self._given = given

    def faults(self) -> tuple[str, ...]:
        """Why limits cannot be held by the given groups, as far as looking tells."""
        faults: list[str] = []
        controlled: frozenset[str] = frozenset()
        for path in self._given:
            if _is_ours(path):
                controlled |= _controlled(path)
            else:
                faults.append(f"{path} is not a control group that this user may use")
        missing = _WANTED - controlled
        if self._given and missing and not faults:
            given = ", ".join(map(str, self._given))
            faults.append(f"{given} does not control {', '.join(sorted(missing))}")
        return tuple(faults)

    def prepare(self) -> None:
        """At the start of a server: make the groups ready, and end and remove what a killed one
        left in them. What cannot be used is logged, and left out; so is what another server uses,
        whose builds are no leftovers.
        """
        ready = []
        for path in self._given:
            try:
                self._hold(path)
                _sweep(path)
                _share_out(path)
                _try_out(path)
                ready.append(path)
            except OSError as error:
                log.warning("control-group-not-usable", path=str(path), error=str(error))
        self._given = tuple(ready)

    @contextmanager
    def group(self, name: str, limits: Limits) -> Iterator[TaskGroups]:
        """Groups with these limits for the length of the block; none where nothing is limited or
        no group can be made. At its end nothing that was in them lives.
        """
        made: tuple[Path, ...] = ()
        try:
            if limits.memory_mb or limits.pids:
                for path in self._given:
                    made += _make(path / f"{_PREFIX}{name}", limits)
            yield TaskGroups(made)
        finally:
            for path in made:
                _remove(path)

    def _hold(self, path: Path) -> None:
        """Keep the group to this process until its end, also an unforeseen one."""
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, folder)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(errno.EBUSY, "another server uses it") from error


def _hierarchy(path: Path) -> Hierarchy | None:
    mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    return hierarchy_of(path.resolve(), read_hierarchies(mounts))


def _is_ours(path: Path) -> bool:
    is_group = _hierarchy(path) is not None and (path / "cgroup.procs").exists()
    return is_group and os.access(path, os.W_OK)


def _controlled(path: Path) -> frozenset[str]:
    """What can be limited in the groups beneath this one."""
    hierarchy = _hierarchy(path)
    if hierarchy is None:
        return frozenset()
    if hierarchy.version == 1:
        return _WANTED & hierarchy.controllers
    return _WANTED & read_controllers((path / "cgroup.controllers").read_text())


def _share_out(path: Path) -> None:
    """In version 2 a group has processes or shares out its controllers, not both."""
    controlled, hierarchy = _controlled(path), _hierarchy(path)
    if hierarchy is None or not controlled:
        raise OSError(errno.EINVAL, "it controls neither memory nor processes")
    if hierarchy.version == 1:
        return
    memberships = read_memberships(Path("/proc/self/cgroup").read_text(errors="surrogateescape"))
    if group_of(hierarchy, memberships) == path.resolve():
        (path / _SERVER).mkdir(exist_ok=True)
        (path / _SERVER / "cgroup.procs").write_text(str(os.getpid()))
    shared = " ".join(f"+{one}" for one in sorted(controlled))
    (path / "cgroup.subtree_control").write_text(shared)


def _try_out(path: Path) -> None:
    """Whether a process of this server may go into a group that it made depends on where the
    server is, and on more that only the kernel knows.
    """
    probe = path / _PROBE
    probe.mkdir()
    try:
        command = ("/bin/sh", "-c", _ENTER, "sh", str(probe / "cgroup.procs"))
        done = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise OSError(errno.EACCES, done.stderr.decode(errors="replace").strip())
    finally:
        _remove(probe)


def _make(path: Path, limits: Limits) -> tuple[Path, ...]:
    """The group, or nothing: a group without its limits would only look as if it held them."""
    try:
        path.mkdir()
    except OSError as error:
        log.warning("control-group-not-made", path=str(path), error=str(error))
        return ()
    try:
        _set(path, limits)
    except OSError as error:
        log.warning("control-group-not-made", path=str(path), error=str(error))
        _remove(path)
        return ()
    return (path,)


def _set(path: Path, limits: Limits) -> None:
    # A group has the files of its controllers only.
    for name, value in _values(limits):
        if (path / name).exists():
            (path / name).write_text(str(value))
    for name, value in _refinements(limits):
        if (path / name).exists():
            with suppress(OSError):
                (path / name).write_text(str(value))


def _values(limits: Limits) -> Iterable[tuple[str, int]]:
    if limits.memory_mb:
        yield "memory.max", limits.memory_bytes
        yield "memory.limit_in_bytes", limits.memory_bytes
    if limits.pids:
        yield "pids.max", limits.pids + _SANDBOX_PROCESSES


def _refinements(limits: Limits) -> Iterable[tuple[str, int]]:
    """What not every kernel has, or lets anybody set: swap may not be counted."""
    if limits.memory_mb:
        yield "memory.swap.max", 0
        yield "memory.oom.group", 1
        yield "memory.memsw.limit_in_bytes", limits.memory_bytes


def _counters(path: Path) -> dict[str, int]:
    try:
        return read_counters(path.read_text())
    except OSError:
        return {}


def _sweep(path: Path) -> None:
    for left in path.glob(f"{_PREFIX}*"):
        _remove(left)


def _remove(path: Path) -> None:
    """Remove a group, and end what is still in it."""
    for _ in range(_TRIES):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            _empty(path)
            time.sleep(0.01)  # a killed process is a member until the kernel is done with it
        else:
            return
    log.warning("control-group-not-removed", path=str(path))


def _empty(path: Path) -> None:
    """Kill the members of a group and of those that they made in it, and remove these."""
    for name, value in (("pids.max", "0"), ("cgroup.kill", "1")):  # where the kernel has them
        with suppress(OSError):
            (path / name).write_text(value)
    for folder, inner, _ in os.walk(path, topdown=False):
        signal_all(_members(Path(folder)), signal.SIGKILL)
        for name in inner:
            with suppress(OSError):
                Path(folder, name).rmdir()


def _members(path: Path) -> list[int]:
    with suppress(OSError):
        # 0 stands for processes that this one cannot see; for a signal it would mean ourselves.
        return [int(pid) for pid in (path / "cgroup.procs").read_text().split() if int(pid)]
    return []
