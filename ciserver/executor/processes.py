"""Looking through /proc for the processes of a task."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from io import FileIO

from ciserver.executor.sandbox import MARKER

_ROUNDS = 200
_DOUBTS = 50
_STARTED_A_SECOND = 250_000  # by one processor: more than it can
_RESERVED_PIDS = 300  # which the kernel does not give again
_VSIZE, _ENV_END = 20, 48  # among what follows the name in `stat`


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on; nearest first."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for one in _pids():
        children[_parent(one)].append(one)
    found = list(children[pid])
    for one in found:
        found += children[one]
    return found


def marked(value: str, *, uid: int | None = None) -> list[int]:
    """The processes that were started with this marker in their environment. With `uid` only
    those of that user are looked at.
    """
    return _with_environment(f"\0{MARKER}={value}\0".encode(), uid)


def kill_marked(value: str, *, uid: int | None, first: int, began: float) -> bool:
    """Kill whatever carries the marker until nothing is left; False when it multiplied faster.
    `first` is the process that had it first, and began at that moment of the monotonic clock.
    """
    pids = partial(_started_after, first, began)
    return _kill_all(f"\0{MARKER}={value}\0".encode(), uid, pids)


def kill_leftovers(prefix: str) -> bool:
    """Kill whatever carries a marker that begins so: what a killed server left behind."""
    return _kill_all(f"\0{MARKER}={prefix}".encode(), None, _pids)


def any_in_network(inode: int) -> bool:
    """Whether a process lives in the network namespace with this number."""
    folder = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return any(_network(pid, folder) == inode for pid in _pids())
    finally:
        os.close(folder)


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def _kill_all(needle: bytes, uid: int | None, pids: Callable[[], Sequence[int]]) -> bool:
    doubts, doubtful = 0, list[int]()
    for _ in range(_ROUNDS):
        found, unclear = _look(doubtful or pids(), needle, uid)
        signal_all(found, signal.SIGKILL)
        if found:
            doubtful = []
            continue
        # Who is no longer in doubt, or gone, may have left a child: then all are looked at again.
        has_changed = len(unclear) < len(doubtful)
        if doubts == _DOUBTS or not (unclear or has_changed):
            return True
        doubtful = [] if has_changed else unclear
        doubts += 1
        time.sleep(0.001)
    return False


def _with_environment(needle: bytes, uid: int | None) -> list[int]:
    return _look(_pids(), needle, uid)[0]


def _look(pids: Iterable[int], needle: bytes, uid: int | None) -> tuple[list[int], list[int]]:
    """Of these processes those with the needle in their environment, and those that have none yet,
    because they are becoming another program. Who may not be looked at carries no marker of ours.
    """
    own, found, unclear = os.getpid(), list[int](), list[int]()
    for pid in pids:
        if pid == own or (uid is not None and _owner(pid) != uid):
            continue
        try:
            environment = _contents(f"/proc/{pid}/environ")
        except PermissionError:
            continue
        except OSError:
            environment = b""
        if needle in b"\0" + environment:
            found.append(pid)
        elif not environment and _is_becoming_another(pid):
            unclear.append(pid)
    return found, unclear


def _pids() -> list[int]:
    with os.scandir("/proc") as entries:
        return [int(entry.name) for entry in entries if entry.name.isdecimal()]


def _started_after(first: int, began: float) -> Sequence[int]:
    """The numbers of all processes that may be younger than this one, and perhaps some that nobody
    has. They are given in turn, so these are greater, unless all may have been used up since.
    """
    said = _read("sys/kernel/ns_last_pid")
    most = (time.monotonic() - began) * _STARTED_A_SECOND * _processors()
    if not said or int(said) < first or most > _greatest_pid() - _RESERVED_PIDS:
        return _pids()
    return range(first + 1, int(said) + 1)


@cache
def _greatest_pid() -> int:
    return int(_read("sys/kernel/pid_max"))


@cache
def _processors() -> int:
    return os.cpu_count() or 1


def _parent(pid: int) -> int:
    after_name = _after_name(pid)
    return int(after_name[1]) if after_name else 0


def _is_becoming_another(pid: int) -> bool:
    """Whether its memory is there, and not yet where its environment ends (proc_pid_stat(5)). It is
    elsewhere for a process that was given nothing, and there is no memory once it has ended.
    """
    after_name = _after_name(pid)
    return len(after_name) > _ENV_END and after_name[_VSIZE] != b"0" == after_name[_ENV_END]


def _after_name(pid: int) -> list[bytes]:
    # The name of the program stands in brackets and may hold anything, brackets too.
    return _read(pid, "stat").rpartition(b")")[2].split()


def _owner(pid: int) -> int:
    try:
        return os.lstat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def _network(pid: int, folder: int) -> int:
    try:
        return os.stat(f"{pid}/ns/net", dir_fd=folder).st_ino
    except OSError:
        return -1


def _read(*path: str | int) -> bytes:
    try:
        return _contents("/".join(("/proc", *map(str, path))))
    except OSError:
        return b""


def _contents(path: str) -> bytes:
    with FileIO(path) as file:
        return file.readall()
