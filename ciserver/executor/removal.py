"""Removing what builds left, whatever is in it."""

import errno
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from secrets import token_hex

import structlog

_TRIES = 50
_WALKED = 16  # directories deep; what lies deeper is moved up
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_STILL_CHANGED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_PATH = "/usr/bin:/bin"
_AT_ONCE = 16
log = structlog.get_logger(__name__)


class Removal:
    """A thread that removes directories. It waits a moment for more of them: they go together.
    Only so many may be left over.
    """

    def __init__(
        self,
        remove: Callable[[Sequence[Path]], None],
        *,
        most: int,
        gather_seconds: float,
    ) -> None:
        self._remove = remove
        self._most = most
        self._gather_seconds = gather_seconds
        self._changed = threading.Condition()
        self._left: list[Path] = []
        self._removing = 0
        self._is_over = False
        self._thread: threading.Thread | None = None

    def take(self, root: Path) -> bool:
        """Let it be removed soon; False when too many are left over already."""
        with self._changed:
            if len(self._left) + self._removing >= self._most:
                return False
            self._left.append(root)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="removal", daemon=True)
                self._thread.start()
            if len(self._left) in {1, _AT_ONCE}:  # all between find it waiting for more
                self._changed.notify()
        return True

    def close(self) -> None:
        """Return when all are removed; nothing is taken any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while roots := self._next():
            try:
                self._remove(roots)
            except Exception:
                log.exception("removal-broke")  # the next start finds them
            with self._changed:
                self._removing = 0

    def _next(self) -> list[Path]:
        with self._changed:
            self._changed.wait_for(lambda: self._left or self._is_over)
            self._changed.wait_for(self._has_enough, self._gather_seconds)
            roots, self._left = self._left[:_AT_ONCE], self._left[_AT_ONCE:]
            self._removing = len(roots)
        return roots

    def _has_enough(self) -> bool:
        return self._is_over or len(self._left) >= _AT_ONCE


def remove_trees(roots: Sequence[Path]) -> None:
    """Remove directories that hostile programs filled. What cannot be removed is logged.

    Most are removed by `rm`, since a call of Python's for each file would have the interpreter
    taken from whoever works meanwhile; what it leaves is removed as `remove_tree` does.
    """
    if roots and (program := _rm()):
        quiet = subprocess.DEVNULL
        words = [program, "-rf", "--one-file-system", "--", *map(str, roots)]
        with suppress(OSError):
            subprocess.run(words, env={}, stdin=quiet, stdout=quiet, stderr=quiet, check=False)
    for root in filter(os.path.lexists, roots):
        try:
            remove_tree(root)
        except OSError as error:
            log.warning("work-directory-not-removed", path=str(root), error=str(error))


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


@cache
def _rm() -> str | None:
    return shutil.which("rm", path=_PATH)


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
