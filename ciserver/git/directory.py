"""Reading a directory or file of this machine into a tree, without ever leaving it.

Everything is opened by its name in a directory that is open already, and no symbolic link is
walked through, so whoever may write there cannot lead the server elsewhere while it reads.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pygit2 import GitError, Oid, Repository
from pygit2.enums import FileMode, ObjectType

from ciserver.git.names import is_reserved
from ciserver.git.paths import ContentLimits
from ciserver.git.tree import object_id, tree_bytes
from ciserver.model.errors import Complaint, Invalid, RemoteFailure, TooLarge

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LEFT_OUT = b".git"
_MOST_DEPTH = 100
_MOST_FAULTS = 20
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


_Entry = tuple[bytes, FileMode, Oid]


def read_path(path: str, repository: Repository, known: Repository, limits: ContentLimits) -> Oid:
    """Write what a checked path holds into `repository`, but for what `known` has; answers the
    tree. A file is alone in its tree, under its own name. Links stay links, and `.git` is left out.

    Raises Invalid with everything that cannot be taken, TooLarge, RemoteFailure where the path is
    not there or changes while it is read, and GitError where it cannot be written.
    """
    reading = _Reading(path, repository, known, limits)
    try:
        tree = reading.read()
    except OSError as err:
        raise RemoteFailure(
            f"the path {path} cannot be read: {err.strerror}",
            temporary=False,
            hint="see whether it is there and the server's user may read it",
        ) from err
    reading.check()
    return tree


@contextmanager
def _opened(name: str | bytes, within: int | None = None, flags: int = 0) -> Iterator[int]:
    descriptor = os.open(name, _OPEN | flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass
class _Reading:
    """One run over a path; `faults` are the first of what cannot be taken."""

    path: str
    repository: Repository
    known: Repository
    limits: ContentLimits
    files: int = 0
    size: int = 0
    faults: list[Complaint] = field(default_factory=list)
    more: int = 0

    def read(self) -> Oid:
        mode = os.lstat(self.path).st_mode
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            self._fault(b"", f"is {_kind(mode)}, which cannot be taken along")
            return self._tree([])
        with _opened(self.path) as descriptor:
            if os.readlink(f"/proc/self/fd/{descriptor}") != self.path:  # noqa: PTH115
                raise _changed(self.path)
            if stat.S_ISDIR(mode):
                return self._directory(descriptor, b"", 0)
            return self._single(descriptor, os.fsencode(self.path.rpartition("/")[2]), mode)

    def _single(self, descriptor: int, name: bytes, mode: int) -> Oid:
        if is_reserved(name):
            self._fault(b"", "its name is reserved")
            return self._tree([])
        return self._tree([(name, _file_mode(mode), self._content(descriptor, b""))])

    def check(self) -> None:
        if not self.faults:
            return
        if self.more:
            self.faults.append(Complaint("", f"and {self.more} more", self.path))
        raise Invalid(
            f"the path {self.path} cannot be taken: {'; '.join(map(str, self.faults))}",
            complaints=self.faults,
            hint="remove what is named, or let the server's user read it",
        )

    def _directory(self, descriptor: int, above: bytes, depth: int) -> Oid:
        entries: list[_Entry] = []
        for name in self._names(descriptor):
            path = above + name
            if is_reserved(name):
                self._fault(path, "its name is reserved")
                continue
            try:
                found = self._entry(descriptor, name, path, depth)
            except (FileNotFoundError, NotADirectoryError) as err:
                raise _changed(self._shown(path)) from err
            except OSError as err:
                self._fault(path, f"cannot be read: {err.strerror}")
                continue
            if found is not None:
                entries.append((name, *found))
        return self._tree(entries)

    def _names(self, descriptor: int) -> list[bytes]:
        names: list[bytes] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if name == _LEFT_OUT:
                    continue
                self.files += 1
                if self.files > self.limits.most_files:
                    raise self._too_large(f"{self.limits.most_files} files and directories")
                names.append(name)
        return names

    def _entry(
        self, within: int, name: bytes, path: bytes, depth: int
    ) -> tuple[FileMode, Oid] | None:
        mode = os.stat(name, dir_fd=within, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(name, dir_fd=within)
            return FileMode.LINK, self._blob(target)
        if stat.S_ISDIR(mode):
            return self._below(within, name, path, depth)
        if not stat.S_ISREG(mode):
            self._fault(path, f"is {_kind(mode)}, which cannot be taken along")
            return None
        with _opened(name, within) as descriptor:
            return _file_mode(mode), self._content(descriptor, path)

    def _below(
        self, within: int, name: bytes, path: bytes, depth: int
    ) -> tuple[FileMode, Oid] | None:
        if depth == _MOST_DEPTH:
            self._fault(path, f"is more than {_MOST_DEPTH} directories deep")
            return None
        with _opened(name, within, os.O_DIRECTORY) as descriptor:
            return FileMode.TREE, self._directory(descriptor, path + b"/", depth + 1)

    def _content(self, descriptor: int, path: bytes) -> Oid:
        before = os.fstat(descriptor)
        if self.size + before.st_size > self.limits.most_bytes:
            raise self._too_large(f"{self.limits.most_bytes / (1 << 20):g} MB")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(before.st_size + 1)
        if len(content) != before.st_size or _moment(os.fstat(descriptor)) != _moment(before):
            raise _changed(self._shown(path))
        self.size += len(content)
        return self._blob(content)

    def _tree(self, entries: list[_Entry]) -> Oid:
        return self._written(ObjectType.TREE, tree_bytes(entries))

    def _blob(self, content: bytes) -> Oid:
        return self._written(ObjectType.BLOB, content)

    def _written(self, kind: ObjectType, content: bytes) -> Oid:
        # The library looks for what is there again and again; what is known is most of it.
        oid = object_id(kind, content)
        return oid if oid in self.known else _kept(lambda: self.repository.write(kind, content))

    def _fault(self, path: bytes, message: str) -> None:
        if len(self.faults) == _MOST_FAULTS:
            self.more += 1
        else:
            self.faults.append(Complaint("", message, self._shown(path)))

    def _shown(self, path: bytes) -> str:
        below = path.decode("utf-8", "backslashreplace")
        return f"{self.path}/{below}" if below else self.path

    def _too_large(self, most: str) -> TooLarge:
        return TooLarge(
            f"the path {self.path} holds more than {most}",
            hint="name a smaller directory, or raise git.path_files or git.path_limit_mb",
        )


def _kept(write: Callable[[], Oid]) -> Oid:
    """What went wrong with our own disk is no fault of the path."""
    try:
        return write()
    except OSError as err:
        raise GitError(str(err)) from err


def _changed(path: str) -> RemoteFailure:
    return RemoteFailure(
        f"the path {path} changed while it was read",
        temporary=True,
        hint="it is tried again; write elsewhere and rename when all is there",
    )


def _moment(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _file_mode(mode: int) -> FileMode:
    return FileMode.BLOB_EXECUTABLE if mode & stat.S_IXUSR else FileMode.BLOB


def _kind(mode: int) -> str:
    return next((name for is_one, name in _KINDS if is_one(mode)), "neither file nor directory")
