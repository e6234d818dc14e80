"""Opening the artifacts of a build, which wrote its home as it liked."""

import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO


class BadArtifact(Exception):
    """The file is not there, or is not one to hand out; the message says why."""


def open_artifact(home: Path, path: str, *, home_inside: PurePosixPath) -> IO[bytes]:
    """Open a regular file of the home: `path` is relative to it, or absolute as the task sees it.

    No link is followed at any component, so nothing outside of the home is ever opened.
    Raises BadArtifact.
    """
    parts = _parts(path, home_inside)
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for part in parts[:-1]:
            inner = _open(part, folder, os.O_DIRECTORY)
            os.close(folder)
            folder = inner
        # Non-blocking: a named pipe must not wait for a writer.
        file = _open(parts[-1], folder, os.O_NONBLOCK)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise BadArtifact("not a regular file")
    return os.fdopen(file, "rb")


def _parts(path: str, home_inside: PurePosixPath) -> tuple[str, ...]:
    pure = PurePosixPath(path)
    if pure.is_absolute():
        with suppress(ValueError):
            pure = pure.relative_to(home_inside)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise BadArtifact("outside of the home")
    if not pure.parts:
        raise BadArtifact("not a regular file")
    return pure.parts


def _open(name: str, folder: int, flags: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    except OSError as error:
        with suppress(OSError):
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise BadArtifact(f"{name} is a symbolic link") from error
        raise BadArtifact((error.strerror or "cannot be opened").lower()) from error
