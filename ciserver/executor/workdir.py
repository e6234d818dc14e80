"""The directories of one attempt: made, handed over, and removed whatever is in them."""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex
from threading import BoundedSemaphore

import structlog

from ciserver.executor.processes import kill_leftovers
from ciserver.executor.sandbox import BuildUser

_PREFIX = "build-"
_LEFT_OVER = 4
_TRIES = 50
_WALKED = 16  # directories deep; what lies deeper is moved up
_GET_FLAGS, _SET_FLAGS, _TOP_OF_TREES = 0x80086601, 0x40086602, 0x20000  # of linux/fs.h
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_STILL_CHANGED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class WorkDirectory:
    root: Path
    home: Path
    tmp: Path


class WorkDirectories:
    """Makes the directories of attempts, and removes them in a thread of its own: on a disk that
    is told at once what is free, each directory is a wait. Only so many may be left over by builds
    that have ended; the next one is removed by whoever ends.
    """

    def __init__(self, work_root: Path, *, remove: Callable[[Path], None] | None = None) -> None:
        """`remove` is how, else it is `remove_tree`."""
        work_root.mkdir(mode=0o711, parents=True, exist_ok=True)
        _spread(work_root)
        self._work_root = work_root
        self._remove_tree = remove or remove_tree
        self._removal = ThreadPoolExecutor(1, thread_name_prefix="removal")
        self._room = BoundedSemaphore(_LEFT_OVER)

    @contextmanager
    def fresh(self, name: str, user: BuildUser | None) -> Iterator[WorkDirectory]:
        """A new home and tmp, for the block. Raises OSError when they cannot be made."""
        root = self._work_root / f"{_PREFIX}{name}"
        if root.exists():
            remove_tree(root)
        directory = WorkDirectory(root, root / "home", root / "tmp")
        try:
            _make(directory, user)
            yield directory
        finally:
            if self._room.acquire(blocking=False):
                self._removal.submit(self._remove, root)
            else:
                _remove_or_say(root, self._remove_tree)

    def close(self) -> None:
        """Return when all are removed; for when no build runs any more."""
        self._removal.shutdown()

    def _remove(self, root: Path) -> None:
        try:
            _remove_or_say(root, self._remove_tree)
        finally:
            self._room.release()


def sweep(work_root: Path) -> None:
    """At the start of a server: end the processes and remove the directories that a killed one
    left behind. What cannot be removed is logged.
    """
    kill_leftovers(f"{work_root}/")
    with suppress(FileNotFoundError):
        for path in work_root.iterdir():
            if path.name.startswith(_PREFIX):
                _remove_or_say(path, remove_tree)


def hand_over(path: Path, user: BuildUser | None) -> None:
    """Make the user the owner of everything beneath. Links are not followed."""
    if user is None:
        return
    os.chown(path, user.uid, user.gid, follow_symlinks=False)
    for _, folders, files, folder in os.fwalk(path, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, user.uid, user.gid, dir_fd=folder, follow_symlinks=False)


def remove_tree(root: Path) -> None:
    """Remove a directory that hostile programs filled: nothing outside is touched, depth costs
    nothing, and permissions do not matter to the owner. Raises OSError.
    """
    for _ in range(_TRIES):
        try:
            _flatten(root)
            root.rmdir()
        except OSError as error:
            if not root.exists():
                return
            # A process that is just being killed may still have made or replaced a file.
            if error.errno not in _STILL_CHANGED:
                raise
        else:
            return
    raise OSError(errno.ENOTEMPTY, f"{root} is filled faster than it can be emptied")


def _spread(root: Path) -> None:
    """Let ext4 put the directories in it far from each other. In one place it would walk past all
    that were removed there in the last minutes whenever it makes a file.
    """
    flags = bytearray(struct.calcsize("l"))
    with _opened(str(root), None) as folder, suppress(OSError):
        fcntl.ioctl(folder, _GET_FLAGS, flags)
        (known,) = struct.unpack("l", flags)
        fcntl.ioctl(folder, _SET_FLAGS, struct.pack("l", known | _TOP_OF_TREES))


def _make(directory: WorkDirectory, user: BuildUser | None) -> None:
    try:
        directory.root.mkdir(mode=0o711)
    except FileNotFoundError:
        directory.root.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.root.mkdir(mode=0o711)
    directory.root.chmod(0o711)
    for path in (directory.home, directory.tmp):
        path.mkdir(mode=0o700)
        if user:
            os.chown(path, user.uid, user.gid)


def _remove_or_say(root: Path, remove: Callable[[Path], None]) -> None:
    try:
        remove(root)
    except OSError as error:
        log.warning("work-directory-not-removed", path=str(root), error=str(error))


def _flatten(root: Path) -> None:
    """Empty a directory. What lies deep is moved up into `root` before it is opened, so no path and
    no stack grows with the depth of the tree.
    """
    mark = token_hex(8)
    names = (f".{mark}-{number}" for number in count())
    with _opened(str(root), None) as top:
        waiting = _empty(top, top, names, 0)
        while waiting:
            name = waiting.pop()
            with _opened(name, top) as folder:
                waiting += _empty(folder, top, names, 0)
            os.rmdir(name, dir_fd=top)


def _empty(folder: int, top: int, names: Iterator[str], depth: int) -> list[str]:
    """Remove what is in a folder, and move directories that lie too deep to the top; gives their
    new names.
    """
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    moved = []
    for name, is_directory in found:
        if not is_directory:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            continue
        with suppress(OSError):  # it is empty, often enough to try this first
            os.rmdir(name, dir_fd=folder)
            continue
        # root needs no permission, and must not follow a link that a process put there just now.
        if os.geteuid() != 0:
            os.chmod(name, stat.S_IRWXU, dir_fd=folder)
        if depth == _WALKED:
            moved.append(next(names))
            os.rename(name, moved[-1], src_dir_fd=folder, dst_dir_fd=top)
            continue
        inner = os.open(name, _FOLDER, dir_fd=folder)
        try:  # a context manager of Python's costs as much as all the calls around it
            moved += _empty(inner, top, names, depth + 1)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=folder)
    return moved


@contextmanager
def _opened(name: str, top: int | None) -> Iterator[int]:
    folder = os.open(name, _FOLDER, dir_fd=top)
    try:
        yield folder
    finally:
        os.close(folder)
