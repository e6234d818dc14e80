"""Control groups, of version 1 or 2, where somebody gave the server some to make others in."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from ciserver.executor.limits import Limits

log = structlog.get_logger(__name__)

_PREFIX = "build-"
_SERVER = "server"
_TRIES = 100
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
                found += _counter(path / name, word)
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
        return tuple(fault for path in self._given if (fault := _fault(path)))

    def prepare(self) -> None:
        """At the start of a server: make the groups ready and remove what a killed one left.
        What cannot be used is logged, and left out.
        """
        ready = []
        for path in self._given:
            try:
                _sweep(path)
                if (path / "cgroup.controllers").exists():
                    _share_out(path)
                ready.append(path)
            except OSError as error:
                log.warning("control-group-not-usable", path=str(path), error=str(error))
        self._given = tuple(ready)

    @contextmanager
    def group(self, name: str, limits: Limits) -> Iterator[TaskGroups]:
        """Groups with these limits for the length of the block; none where nothing is limited or
        no group can be made.
        """
        made: list[Path] = []
        try:
            if limits.memory_mb or limits.pids:
                made += filter(None, (_make(path / f"{_PREFIX}{name}") for path in self._given))
            for path in made:
                _set(path, limits)
            yield TaskGroups(tuple(made))
        finally:
            for path in made:
                _remove(path)


def _fault(path: Path) -> str:
    if not os.access(path, os.W_OK) or not (path / "cgroup.procs").exists():
        return f"{path} is not a control group that this user may use"
    controllers = path / "cgroup.controllers"
    if controllers.exists():
        missing = {"memory", "pids"} - set(controllers.read_text().split())
        if missing:
            return f"{path} does not control {', '.join(sorted(missing))}"
    return ""


def _share_out(path: Path) -> None:
    """In version 2 a group has processes or shares out its controllers, not both."""
    own = str(os.getpid())
    if own in (path / "cgroup.procs").read_text().split():
        (path / _SERVER).mkdir(exist_ok=True)
        (path / _SERVER / "cgroup.procs").write_text(own)
    (path / "cgroup.subtree_control").write_text("+memory +pids")


def _make(path: Path) -> Path | None:
    try:
        path.mkdir()
    except OSError as error:
        log.warning("control-group-not-made", path=str(path), error=str(error))
        return None
    return path


def _set(path: Path, limits: Limits) -> None:
    for name, value in _values(limits):
        # A group has the files of its controllers only, and swap may not be counted.
        if (path / name).exists():
            with suppress(OSError):
                (path / name).write_text(str(value))


def _values(limits: Limits) -> Iterable[tuple[str, int]]:
    if limits.memory_mb:
        yield "memory.max", limits.memory_bytes
        yield "memory.swap.max", 0
        yield "memory.oom.group", 1
        yield "memory.limit_in_bytes", limits.memory_bytes
        yield "memory.memsw.limit_in_bytes", limits.memory_bytes
    if limits.pids:
        yield "pids.max", limits.pids + _SANDBOX_PROCESSES


def _counter(path: Path, word: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.split()[0] == word)


def _sweep(path: Path) -> None:
    for left in path.glob(f"{_PREFIX}*"):
        _remove(left)


def _remove(path: Path) -> None:
    for _ in range(_TRIES):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)  # a killed process is a member until the kernel is done with it
        else:
            return
    log.warning("control-group-not-removed", path=str(path))
