"""Files under names of their own, which rows know: caches of builds, and what was sent in."""

import os
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import IO, Protocol

YOUNG_SECONDS = 3600.0
_CHUNK = 1024 * 1024


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class NamedFiles:
    """Files come before their rows: one without a row may be about to get it while it is young."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, content: Readable) -> tuple[str, str, int]:
        """Store a file; answers its name, its SHA-256 and size. Durable before it answers."""
        name = token_hex(16)
        return name, *write(self._directory / name, content)

    def open(self, name: str) -> IO[bytes]:
        """Raises FileNotFoundError."""
        return (self._directory / name).open("rb")

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self._directory / name).unlink(missing_ok=True)

    def list_old(
        self, at_once: int, *, young_seconds: float = YOUNG_SECONDS
    ) -> Iterator[frozenset[str]]:
        """The names of files, some at once, without young ones."""
        names = (
            path.name for path in self._directory.iterdir() if age_seconds(path) > young_seconds
        )
        while some := frozenset(islice(names, at_once)):
            yield some


def age_seconds(path: Path) -> float:
    """None of a file that is gone meanwhile."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def write(path: Path, content: Readable) -> tuple[str, int]:
    """Make a new file, on the disk before this answers; gone again when it fails. Answers its
    SHA-256 and size.
    """
    digest, size = sha256(), 0
    try:
        with path.open("xb") as file:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return digest.hexdigest(), size
