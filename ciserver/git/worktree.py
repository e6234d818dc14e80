"""Writing the files of a tree into a fresh directory, never anywhere else.

Every directory is made here and every name is new, so no symbolic link of the tree is ever walked
through: mkdir, symlink and an exclusive open all refuse a name that is there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pygit2 import Oid, Repository, Tree
from pygit2.enums import FileMode

from ciserver.git.names import is_reserved
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.frozen import frozen

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODES = {FileMode.BLOB: 0o644, FileMode.BLOB_EXECUTABLE: 0o755}
_MOST_DEPTH = 500


@frozen
class Entry:
    """A file, symbolic link or submodule as it is in the work tree now."""

    path: bytes
    mode: int
    oid: bytes
    stat: os.stat_result


def write_tree(repository: Repository, tree: Tree, into: Path) -> list[Entry]:
    """Write a tree into the existing, empty directory `into`. Submodules become empty directories.

    Raises Invalid for a tree with names that no honest git writes.
    """
    return list(_Writer(repository, os.fsencode(into)).write(tree, b"", 0))


def write_new(path: bytes, content: bytes, mode: int) -> os.stat_result:
    """Write a file that is not there. Raises OSError."""
    descriptor = os.open(path, _NEW_FILE, mode)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


class _Writer:
    def __init__(self, repository: Repository, into: bytes) -> None:
        self._odb = repository.odb
        self._into = into

    def write(self, tree: Tree, above: bytes, depth: int) -> Iterator[Entry]:
        if depth > _MOST_DEPTH:
            raise _refused(above, "it is too deep")
        seen: set[bytes] = set()
        for entry in tree:
            name = entry.raw_name or b""
            path = above + name
            _check_name(path, name, seen)
            if isinstance(entry, Tree):
                os.mkdir(self._at(path))  # noqa: PTH102 - bytes, thousands of times
                yield from self.write(entry, path + b"/", depth + 1)
            else:
                yield self._write_entry(path, FileMode(entry.filemode), entry.id)

    def _write_entry(self, path: bytes, mode: FileMode, oid: Oid) -> Entry:
        if mode == FileMode.COMMIT:
            os.mkdir(self._at(path))  # noqa: PTH102
        elif mode == FileMode.LINK:
            return self._write_link(path, oid)
        else:
            return self._write_file(path, mode, oid)
        return Entry(path, mode, oid.raw, os.stat(self._at(path)))  # noqa: PTH116

    def _write_file(self, path: bytes, mode: FileMode, oid: Oid) -> Entry:
        _, content = self._odb.read(oid)
        # Old repositories have files that the group may write; git calls them plain files too.
        kind = mode if mode in _MODES else FileMode.BLOB
        return Entry(path, kind, oid.raw, write_new(self._at(path), content, _MODES[kind]))

    def _write_link(self, path: bytes, oid: Oid) -> Entry:
        _, target = self._odb.read(oid)
        if not target or b"\0" in target:
            raise _refused(path, "its symbolic link points at nothing")
        os.symlink(target, self._at(path))  # noqa: PTH211
        return Entry(path, FileMode.LINK, oid.raw, os.lstat(self._at(path)))

    def _at(self, path: bytes) -> bytes:
        return self._into + b"/" + path


def _check_name(path: bytes, name: bytes, seen: set[bytes]) -> None:
    if name in seen:
        raise _refused(path, "its name is there twice")
    seen.add(name)
    if is_reserved(name):
        raise _refused(path, "its name is reserved")


def _refused(path: bytes, reason: str) -> Invalid:
    shown = path.decode("utf-8", "backslashreplace")
    return Invalid(
        f"the repository cannot be checked out: {shown!r}: {reason}",
        complaints=[Complaint(shown, reason)],
        hint="rewrite the commit without this entry",
    )
