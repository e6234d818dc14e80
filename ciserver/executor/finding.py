"""Finding files by globs in the home of a build, which wrote it as it liked."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

_MOST_DEPTH = 64
_MOST_ENTRIES = 200_000
_WILD = frozenset("*?[")

# What is left of a glob, name by name. Nothing left: all that is beneath is meant.
_Rest = tuple[str, ...]


class Finder:
    """The regular files that globs name, by name or with a directory above them; `*`, `?` and
    `[...]` stay within a name and `**` stands for any number of directories.

    No link is followed at any place. Only directories that a glob can lead into are looked at, and
    after very many entries no more: then `is_exhausted`.
    """

    def __init__(self, home: Path, globs: tuple[str, ...]) -> None:
        self._home = home
        self._globs = frozenset(_names(glob) for glob in globs)
        self._entries = 0
        self.is_exhausted = False

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Each file with its path in the home as text; it is closed when the next one is asked
        for.
        """
        top = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield from self._beneath(top, "", self._globs, _MOST_DEPTH)
        finally:
            os.close(top)

    def _beneath(
        self, folder: int, path: str, globs: frozenset[_Rest], depth: int
    ) -> Iterator[tuple[str, IO[bytes]]]:
        for name in self._candidates(folder, globs):
            self._entries += 1
            if self._entries > _MOST_ENTRIES:
                self.is_exhausted = True
                return
            left = frozenset(rest for glob in globs for rest in _after(name, glob))
            if not left:
                continue
            file = _open(name, folder)
            if file is None:
                continue
            # A name need not be text.
            inner = f"{path}{os.fsencode(name).decode('utf-8', 'replace')}"
            if not stat.S_ISDIR(os.fstat(file).st_mode):
                with os.fdopen(file, "rb") as content:
                    if () in left:
                        yield inner, content
                continue
            try:
                if depth:
                    yield from self._beneath(file, f"{inner}/", left, depth - 1)
            finally:
                os.close(file)

    def _candidates(self, folder: int, globs: frozenset[_Rest]) -> list[str]:
        """The names worth a look: where the globs name them, these alone."""
        heads = {glob[0] if glob else "**" for glob in globs}
        if not any(_WILD & set(head) for head in heads):
            return sorted(heads)
        names = []
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > _MOST_ENTRIES:
                    break
        return sorted(names)


def _names(glob: str) -> _Rest:
    whole = f"{glob}**" if glob.endswith("/") else glob
    return tuple(name for name in whole.split("/") if name)


def _after(name: str, glob: _Rest) -> Iterator[_Rest]:
    """What is left of a glob beneath an entry of this name; nothing where it does not fit."""
    if not glob:
        yield ()
    elif glob[0].startswith("**") and set(glob[0]) == {"*"}:
        yield glob
        yield from _after(name, glob[1:])
    elif fnmatchcase(name, glob[0]):
        yield glob[1:]


def _open(name: str, folder: int) -> int | None:
    """A regular file or a directory; None for everything else, and for what may not be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(name, flags, dir_fd=folder)
    except (OSError, ValueError):
        return None
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return file
    os.close(file)
    return None
