"""A directory that a build made, as one file: a tar archive, the same for the same content."""

import os
import stat
import tarfile
from typing import IO

from ciserver.executor.products import BadArtifact, TooLarge, open_in, reason

_MOST_ENTRIES = 200_000
_MOST_DEPTH = 100
_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def write_archive(folder: int, top: str, target: IO[bytes], *, most_bytes: float) -> None:
    """Write the open directory into an archive in which it has the name `top`.

    Links are kept as links and nothing behind them is read. Owners are left out, times are those
    that Nix gives, and of the modes only what may be executed is kept. Raises BadArtifact for
    what is no file, directory or link, TooLarge when all files together have more bytes, and
    OSError when it cannot be written.
    """
    _Writer(target, most_bytes).directory(folder, top, _MOST_DEPTH)
    target.write(bytes(2 * tarfile.BLOCKSIZE))


class _Writer:
    """Entry by entry: what the library remembers of each would not fit where there are many."""

    def __init__(self, target: IO[bytes], most_bytes: float) -> None:
        self._target = target
        self._most_bytes = most_bytes
        self._bytes = self._entries = 0

    def directory(self, folder: int, path: str, depth: int) -> None:
        if not depth:
            raise BadArtifact(f"nested more than {_MOST_DEPTH} levels deep")
        self._head(path, tarfile.DIRTYPE, executable=True)
        for name in self._names(folder, path):
            inner = f"{path}/{name}"
            try:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(mode) else None
            except OSError as error:
                raise BadArtifact(f"{inner}: {reason(error)}") from error
            if link is not None:
                self._head(inner, tarfile.SYMTYPE, executable=True, link=link)
            elif kind := _KINDS.get(stat.S_IFMT(mode)):
                raise BadArtifact(f"{inner} is {kind}")
            else:
                self._open(folder, name, inner, depth)

    def _open(self, folder: int, name: str, path: str, depth: int) -> None:
        opened = open_in(folder, name, os.O_NONBLOCK)
        try:
            if stat.S_ISDIR(os.fstat(opened).st_mode):
                self.directory(opened, path, depth - 1)
            else:
                self._file(opened, path)
        finally:
            os.close(opened)

    def _file(self, opened: int, path: str) -> None:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise BadArtifact(f"{path} is no regular file")
        left = found.st_size
        self._bytes += left
        if self._bytes > self._most_bytes:
            raise TooLarge
        is_program = bool(found.st_mode & stat.S_IXUSR)
        self._head(path, tarfile.REGTYPE, executable=is_program, size=left)
        while left:
            chunk = os.read(opened, min(left, _CHUNK))
            if not chunk:
                raise BadArtifact(f"{path} changed while it was read")
            self._target.write(chunk)
            left -= len(chunk)
        self._target.write(bytes(-found.st_size % tarfile.BLOCKSIZE))

    def _names(self, folder: int, path: str) -> list[str]:
        names = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    names.append(entry.name)
                    self._entries += 1
                    if self._entries > _MOST_ENTRIES:
                        raise BadArtifact(f"it has more than {_MOST_ENTRIES} files")
        except OSError as error:
            raise BadArtifact(f"{path}: {reason(error)}") from error
        return sorted(names)

    def _head(
        self, path: str, kind: bytes, *, executable: bool, size: int = 0, link: str = ""
    ) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.size, entry.linkname = kind, size, link
        entry.mode, entry.mtime = (0o755 if executable else 0o644), 1
        self._target.write(entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
