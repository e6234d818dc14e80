"""Opening what a build made: it wrote its home, and the store of its Nix, as it liked."""

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ciserver.model.build import PLAIN, Lease, ProductKind
from ciserver.model.frozen import frozen
from ciserver.model.ports import Reporter


class BadArtifact(Exception):
    """The file is not there, or is not one to hand out; the message says why."""


class TooLarge(Exception):
    """More would be kept than one build may have kept."""


class Keeper:
    """Hands in the products of an attempt, until they have `most_bytes` together; 0 = any."""

    def __init__(self, reporter: Reporter, lease: Lease, *, most_bytes: int) -> None:
        self._reporter = reporter
        self._lease = lease
        self._most_bytes = most_bytes
        self._bytes = 0

    @property
    def room(self) -> float:
        return self._most_bytes - self._bytes if self._most_bytes else math.inf

    def keep(
        self, path: str, content: IO[bytes], *, kind: ProductKind = PLAIN, name: str = ""
    ) -> None:
        """Hand in a file. Raises TooLarge, and what the reporter raises."""
        size = os.fstat(content.fileno()).st_size
        if size > self.room:
            raise TooLarge
        self._reporter.add_product(self._lease, path, content, kind=kind, name=name)
        self._bytes += size


@frozen
class Tree:
    """A directory of this machine that a build wrote, and where its tasks see it."""

    place: Path
    inside: str
    name: str = "home"

    def open(self, path: str) -> int:
        """Open what lies at a path: relative to the tree, or absolute as the task sees it.

        No link is followed at any component, so nothing outside of the tree is ever opened.
        Raises BadArtifact.
        """
        with self._above(path) as (folder, name):
            # Non-blocking: a named pipe must not wait for a writer.
            return open_in(folder, name, os.O_NONBLOCK)

    def has(self, path: str) -> bool:
        """Whether anything lies there, a link as well."""
        try:
            with self._above(path) as (folder, name):
                os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (BadArtifact, OSError):
            return False
        return True

    @contextmanager
    def _above(self, path: str) -> Iterator[tuple[int, str]]:
        """The open directory that a path leads to, and the last part of the path."""
        *above, name = _parts(path, self)
        try:
            folder = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise BadArtifact(reason(error)) from error
        try:
            for part in above:
                inner = open_in(folder, part, os.O_DIRECTORY)
                os.close(folder)
                folder = inner
            yield folder, name
        finally:
            os.close(folder)


def open_artifact(home: Path, path: str, *, home_inside: str) -> IO[bytes]:
    """Open a regular file of the home: `path` is relative to it, or absolute as the task sees it.
    Raises BadArtifact.
    """
    return as_file(Tree(home, home_inside).open(path))


def as_file(opened: int) -> IO[bytes]:
    """A regular file to read from, which closes what is opened; all else is closed at once.
    Raises BadArtifact.
    """
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise BadArtifact("not a regular file")
    return os.fdopen(opened, "rb")


def open_in(folder: int, name: str, flags: int) -> int:
    """Open an entry of a directory, no link. Raises BadArtifact."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    except OSError as error:
        with suppress(OSError):
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise BadArtifact(f"{name} is a symbolic link") from error
        raise BadArtifact(reason(error)) from error


def reason(error: OSError) -> str:
    return (error.strerror or "cannot be read").lower()


def _parts(path: str, tree: Tree) -> list[str]:
    names, above = _names(path), _names(tree.inside) if path.startswith("/") else []
    below = names[len(above) :]
    if names[: len(above)] != above or ".." in below or "\0" in path:
        raise BadArtifact(f"outside of the {tree.name}")
    if not below:
        raise BadArtifact("not a regular file")
    return below


def _names(path: str) -> list[str]:
    return [one for one in path.split("/") if one not in {"", "."}]
