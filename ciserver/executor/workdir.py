"""The directories of one attempt: made, handed over, and removed whatever is in them."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex

import structlog

from ciserver.executor.processes import kill_leftovers
from ciserver.executor.sandbox import BuildUser

_PREFIX = "build-"
_TRIES = 50
_WALKED = 16  # directories deep; what lies deeper is moved up
_STILL_CHANGED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class WorkDirectory:
    root: Path
    home: Path
    tmp: Path


@contextmanager
def work_directory(work_root: Path, name: str, user: BuildUser | None) -> Iterator[WorkDirectory]:
    """A fresh home and tmp, removed at the end. Raises OSError when they cannot be made."""
    root = work_root / f"{_PREFIX}{name}"
    if root.exists():
        remove_tree(root)
    directory = WorkDirectory(root, root / "home", root / "tmp")
    try:
        _make(directory, user)
        yield directory
    finally:
        _remove_or_say(root)


def sweep(work_root: Path) -> None:
    """At the start of a server: end the processes and remove the directories that a killed one
    left behind. What cannot be removed is logged.
    """
    kill_leftovers(f"{work_root}/")
    with suppress(FileNotFoundError):
        for path in work_root.iterdir():
            if path.name.startswith(_PREFIX):
                _remove_or_say(path)


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


def _remove_or_say(root: Path) -> None:
    try:
        remove_tree(root)
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
        # root needs no permission, and must not follow a link that a process put there just now.
        if os.geteuid() != 0:
            os.chmod(name, stat.S_IRWXU, dir_fd=folder)
        if depth == _WALKED:
            moved.append(next(names))
            os.rename(name, moved[-1], src_dir_fd=folder, dst_dir_fd=top)
            continue
        with _opened(name, folder) as inner:
            moved += _empty(inner, top, names, depth + 1)
        os.rmdir(name, dir_fd=folder)
    return moved


@contextmanager
def _opened(name: str, top: int | None) -> Iterator[int]:
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        yield folder
    finally:
        os.close(folder)
