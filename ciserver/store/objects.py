"""Finished files under keys, such as products/ab/ab12...: written as a whole, and never changed."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, Protocol

from ciserver.model.frozen import frozen

# What lies in the folders beside finished files, such as logs that still grow, is none.
FINISHED = {"logs": "*/*.log.gz", "products": "*/*"}
_ASIDE = ".removing-"


@frozen
class Kept:
    """A file; `changed_at` is when it was put there, in seconds of the epoch."""

    key: str
    size: int
    changed_at: float


class Objects(Protocol):
    """Where finished files lie. What asks another machine may raise StorageAway. `fault` says why
    that does not answer, as it was the last time; empty when it did.
    """

    @property
    def fault(self) -> str: ...

    def check(self) -> None:
        """Raises StorageAway where nothing could be read."""

    def take(self, key: str, file: Path) -> None:
        """Keep a file, in the place of what was there; it is gone where it was, and safe here."""

    def open(self, key: str) -> IO[bytes]:
        """To read, by range as well. Raises FileNotFoundError."""

    def find(self, key: str) -> Kept | None: ...

    def list(self, folder: str) -> Iterator[Kept]:
        """Everything in one of the folders of FINISHED."""

    def remove(self, key: str) -> None:
        """One that is not there is removed."""

    def remove_old(self, key: str, before: float) -> bool:
        """Remove it unless it was put there since then, or is just being put; False when it was.
        One that is not there is removed.
        """


class DirectoryObjects:
    """Files of a directory: keys are paths in it."""

    fault = ""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[Path] = set()

    def path(self, key: str) -> Path:
        return self._root / key

    def check(self) -> None:
        """It was made here."""

    def take(self, key: str, file: Path) -> None:
        path = self.path(key)
        if path.parent not in self._made:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._made.add(path.parent)
        file.replace(path)
        keep_names(path.parent)

    def open(self, key: str) -> IO[bytes]:
        return self.path(key).open("rb")

    def find(self, key: str) -> Kept | None:
        try:
            found = self.path(key).stat()
        except FileNotFoundError:
            return None
        return Kept(key, found.st_size, found.st_mtime)

    def list(self, folder: str) -> Iterator[Kept]:
        for path in (self._root / folder).glob(FINISHED[folder]):
            if not path.name.startswith("."):
                kept = self.find(str(path.relative_to(self._root)))
                if kept:  # not removed meanwhile
                    yield kept

    def remove(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def remove_old(self, key: str, before: float) -> bool:
        """It is taken aside first: a file that is put in its place meanwhile is another one."""
        path = self.path(key)
        aside = path.with_name(f"{_ASIDE}{path.name}-{token_hex(4)}")
        try:
            path.rename(aside)
        except FileNotFoundError:
            return True
        is_young = aside.stat().st_mtime > before
        if is_young:
            _put_back(aside, path)
        aside.unlink()
        return not is_young

    def bring_back(self, folder: str, young_seconds: float) -> None:
        """What a killed server had taken aside."""
        for aside in (self._root / folder).glob(f"*/{_ASIDE}*"):
            with suppress(FileNotFoundError):  # another one brings it back, too
                if aside.stat().st_ctime < time.time() - young_seconds:
                    _put_back(aside, aside.with_name(aside.name.split("-")[1]))
                    aside.unlink()


def keep_names(directory: Path) -> None:
    """What was renamed in there outlives a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_back(aside: Path, path: Path) -> None:
    with suppress(FileExistsError):  # the same content came again meanwhile
        os.link(aside, path)
