"""What a script leaves in its work tree: each file of `results/`, and `archives/` as one."""

import gzip
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from ciserver.executor.archive import write_archive
from ciserver.executor.products import BadArtifact, Keeper, Tree, as_file, open_in

RESULTS, ARCHIVES = "results", "archives"
_MOST_FILES = 1000
_MOST_ENTRIES = 200_000
_MOST_DEPTH = 64
_MOST_LINES = 20  # of the log, about what is not kept


class ScriptResults:
    """For when the tasks have ended; `directory` is the work tree, relative to the home."""

    def __init__(self, home: Tree, directory: str) -> None:
        self._home = home
        self._directory = directory
        self._kept = 0
        self._left = _MOST_ENTRIES
        self._refused: list[str] = []

    def keep(self, keeper: Keeper, spool: Path, goes_on: Callable[[], bool]) -> Iterator[str]:
        """Hand in everything; the archive is made in `spool`. Gives the lines to say. It stops
        before the next file when the build does not go on. Raises TooLarge, OSError and what the
        reporter raises.
        """
        self._keep_results(keeper, goes_on)
        if goes_on():
            self._keep_archives(keeper, spool)
        yield from (f"results: {fault}" for fault in self._refused[:_MOST_LINES])
        if len(self._refused) > _MOST_LINES:
            yield f"results: and {len(self._refused) - _MOST_LINES} more lines like these"
        if self._kept:
            yield f"results: {self._kept} file{'s' if self._kept > 1 else ''} kept"

    def _keep_results(self, keeper: Keeper, goes_on: Callable[[], bool]) -> None:
        path = f"{self._directory}/{RESULTS}"
        folder = self._open(path)
        if folder is None:
            return
        try:
            self._keep_beneath(folder, path, keeper, goes_on, _MOST_DEPTH)
        finally:
            os.close(folder)

    def _keep_beneath(
        self, folder: int, path: str, keeper: Keeper, goes_on: Callable[[], bool], depth: int
    ) -> bool:
        """Whether there is room for more files."""
        if not depth:
            self._refuse(path, f"nested more than {_MOST_DEPTH} levels deep")
            return True
        for name in self._names(folder, path):
            if not goes_on():
                return False
            # A name need not be text.
            shown = os.fsencode(name).decode("utf-8", "replace")
            inner = f"{path}/{shown}"
            try:
                opened = open_in(folder, name, os.O_NONBLOCK)
            except BadArtifact as error:
                self._refuse(inner, str(error))
                continue
            if stat.S_ISDIR(os.fstat(opened).st_mode):
                try:
                    has_room = self._keep_beneath(opened, inner, keeper, goes_on, depth - 1)
                finally:
                    os.close(opened)
            else:
                has_room = self._keep_file(opened, inner, shown, keeper)
            if not has_room:
                return False
        return True

    def _keep_file(self, opened: int, path: str, name: str, keeper: Keeper) -> bool:
        try:
            with as_file(opened) as content:
                if self._kept == _MOST_FILES:
                    self._refused.append(f"only {_MOST_FILES} files of a build are kept")
                    return False
                keeper.keep(path, content, name=name)
                self._kept += 1
        except BadArtifact as error:
            self._refuse(path, str(error))
        return True

    def _keep_archives(self, keeper: Keeper, spool: Path) -> None:
        path = f"{self._directory}/{ARCHIVES}"
        folder = self._open(path)
        if folder is None:
            return
        try:
            with tempfile.TemporaryFile(dir=spool) as archive:
                # Without a name and a time: the same content is the same file.
                with gzip.GzipFile("", "wb", 6, archive, mtime=0) as packed:
                    target = cast("IO[bytes]", packed)
                    write_archive(folder, ARCHIVES, target, most_bytes=keeper.room)
                archive.seek(0)
                keeper.keep(path, archive, name=f"{ARCHIVES}.tar.gz")
                self._kept += 1
        except BadArtifact as error:
            self._refuse(path, str(error))
        finally:
            os.close(folder)

    def _open(self, path: str) -> int | None:
        """The directory there, if the script made one."""
        if not self._home.has(path):
            return None
        try:
            opened = self._home.open(path)
        except BadArtifact as error:
            self._refuse(path, str(error))
            return None
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            return opened
        os.close(opened)
        self._refuse(path, "not a directory")
        return None

    def _refuse(self, path: str, fault: str) -> None:
        self._refused.append(f"{path} is not kept: {fault}")

    def _names(self, folder: int, path: str) -> list[str]:
        """As many as are looked at, so that no script can keep the worker busy with its names."""
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if not self._left:
                    self._refuse(path, f"more than {_MOST_ENTRIES} names were looked at")
                    break
                self._left -= 1
                names.append(entry.name)
        return sorted(names)
