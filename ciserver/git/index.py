"""The index file of a fresh work tree: with it, git sees at once that nothing was changed."""

import hashlib
import struct
from collections.abc import Iterable

from ciserver.git.worktree import Entry

_VERSION = 2
_FIXED = struct.Struct(">10I20sH")
_LONGEST_NAME = 0xFFF
_SECOND = 1_000_000_000
_WORD = 0xFFFFFFFF


def index_bytes(entries: Iterable[Entry]) -> bytes:
    """The content of an index of these entries, with what the file system says of each."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    body = b"DIRC" + struct.pack(">2I", _VERSION, len(ordered)) + b"".join(map(_packed, ordered))
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _packed(entry: Entry) -> bytes:
    stat = entry.stat
    fixed = _FIXED.pack(
        stat.st_ctime_ns // _SECOND & _WORD,
        stat.st_ctime_ns % _SECOND,
        stat.st_mtime_ns // _SECOND & _WORD,
        stat.st_mtime_ns % _SECOND,
        stat.st_dev & _WORD,
        stat.st_ino & _WORD,
        entry.mode,
        stat.st_uid & _WORD,
        stat.st_gid & _WORD,
        stat.st_size & _WORD,
        entry.oid,
        min(len(entry.path), _LONGEST_NAME),
    )
    # At least one NUL ends the path, and as many as fill up eight bytes.
    return fixed + entry.path + b"\0" * (8 - (len(fixed) + len(entry.path)) % 8)
