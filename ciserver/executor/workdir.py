"""The directories of one attempt: made, handed over, and removed whatever is in them."""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ciserver.executor.processes import kill_leftovers
from ciserver.executor.removal import Removal, remove_tree, remove_trees
from ciserver.executor.sandbox import BuildUser
from ciserver.model.frozen import frozen

_PREFIX = "build-"
_LEFT_OVER = 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GATHER_SECONDS = 0.1
_GET_FLAGS, _SET_FLAGS, _TOP_OF_TREES = 0x80086601, 0x40086602, 0x20000  # of linux/fs.h


@frozen
class WorkDirectory:
    root: Path
    home: Path
    tmp: Path


class WorkDirectories:
    """Makes the directories of attempts, and has them removed in a thread of its own: on a disk
    that is told at once what is free, each directory is a wait. Only so many may be left over by
    builds that have ended; the next one is removed by whoever ends.
    """

    def __init__(
        self,
        work_root: Path,
        *,
        remove: Callable[[Sequence[Path]], None] = remove_trees,
        gather_seconds: float = _GATHER_SECONDS,
    ) -> None:
        """`remove` removes some together, which are waited for so long."""
        work_root.mkdir(mode=0o711, parents=True, exist_ok=True)
        _spread(work_root)
        self._work_root = work_root
        self._remove = remove
        self._removal = Removal(remove, most=_LEFT_OVER, gather_seconds=gather_seconds)

    @contextmanager
    def fresh(self, name: str, user: BuildUser | None) -> Iterator[WorkDirectory]:
        """A new home and tmp, for the block. Raises OSError when they cannot be made."""
        root = self._work_root / f"{_PREFIX}{name}"
        directory = WorkDirectory(root, root / "home", root / "tmp")
        try:
            _make(directory, user)
            yield directory
        finally:
            if not self._removal.take(root):
                self._remove([root])

    def close(self) -> None:
        """Return when all are removed; for when no build runs any more."""
        self._removal.close()


def sweep(work_root: Path) -> None:
    """At the start of a server: end the processes and remove the directories that a killed one
    left behind. What cannot be removed is logged.
    """
    kill_leftovers(f"{work_root}/")
    with suppress(FileNotFoundError):
        remove_trees([one for one in work_root.iterdir() if one.name.startswith(_PREFIX)])


def hand_over(path: Path, user: BuildUser | None) -> None:
    """Make the user the owner of everything beneath. Links are not followed."""
    if user is not None:
        _hand_over(path, None, user)


def _hand_over(name: Path | str, above: int | None, user: BuildUser) -> None:
    # As os.fwalk does, which asks about each directory again and again.
    folder = os.open(name, _FOLDER, dir_fd=above)
    try:
        os.fchown(folder, user.uid, user.gid)
        with os.scandir(folder) as entries:
            found = [*entries]
        for one in found:
            if one.is_dir(follow_symlinks=False):
                _hand_over(one.name, folder, user)
            else:
                os.chown(one.name, user.uid, user.gid, dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(folder)


def _spread(root: Path) -> None:
    """Let ext4 put the directories in it far from each other. In one place it would walk past all
    that were removed there in the last minutes whenever it makes a file.
    """
    flags = bytearray(struct.calcsize("l"))
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.ioctl(folder, _GET_FLAGS, flags)
            (known,) = struct.unpack("l", flags)
            fcntl.ioctl(folder, _SET_FLAGS, struct.pack("l", known | _TOP_OF_TREES))
    finally:
        os.close(folder)


def _make(directory: WorkDirectory, user: BuildUser | None) -> None:
    try:
        directory.root.mkdir(mode=0o711)
    except FileExistsError:
        remove_tree(directory.root)
        directory.root.mkdir(mode=0o711)
    except FileNotFoundError:
        directory.root.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.root.mkdir(mode=0o711)
    directory.root.chmod(0o711)
    for path in (directory.home, directory.tmp):
        path.mkdir(mode=0o700)
        if user:
            os.chown(path, user.uid, user.gid)
