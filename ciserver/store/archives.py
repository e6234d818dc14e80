"""What lies in archives that builds made: read within limits, whoever wrote them."""

import struct
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import IO

from ciserver.model.frozen import frozen
from ciserver.store.unpacking import BadArchive, Unpacked, packed_with

_BLOCK = 512
_MOST_ABOUT = 64 * 1024  # bytes of a long name, or of the headers before an entry
_MOST_HEADERS = 10  # before an entry
_LONG_NAME, _LONG_LINK, _SPARSE, _HEADERS, _COMMON_HEADERS = b"L", b"K", b"S", b"x", b"g"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_END, _END_64, _FAR_END = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_MOST_COMMENT = 65_535
_END_BYTES, _FAR_END_BYTES, _ENTRY_BYTES = 22, 20, 46
_UTF_8 = 0x800
_LARGE = 0xFFFF_FFFF


class EntryKind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


_KINDS = {
    **dict.fromkeys((b"0", b"\0", b"7", _SPARSE), EntryKind.FILE),
    b"1": EntryKind.LINK,
    b"2": EntryKind.LINK,
    b"5": EntryKind.DIRECTORY,
}


@frozen
class Entry:
    """Something in an archive. `offset` is where the content of a file begins, in a tar archive
    that is not packed; `link` is where a link leads.
    """

    name: str
    kind: EntryKind
    size: int
    offset: int = 0
    link: str = ""


@frozen
class Listing:
    """What an archive holds; `is_cut` where to read on would have cost too much."""

    entries: tuple[Entry, ...]
    is_cut: bool = False


@frozen
class ListingLimits:
    entries: int = 10_000
    unpacked_bytes: int = 256 * 1024 * 1024
    seconds: float = 5


USUAL_LIMITS = ListingLimits()


def list_archive(file: IO[bytes], limits: ListingLimits = USUAL_LIMITS) -> Listing:
    """What lies in a tar archive, packed by gzip, bzip2, xz or not at all, or in a zip archive; the
    content tells which it is. Raises BadArchive.
    """
    end = time.monotonic() + limits.seconds
    beginning = file.read(_BLOCK)
    file.seek(0)
    if beginning.startswith(_ZIP):
        return _listing(_walk_zip(file), limits, end)
    packing = packed_with(beginning)
    if packing is None:
        return _listing(walk_tar(file), limits, end)
    unpacked = Unpacked(file, packing, most_bytes=limits.unpacked_bytes, until=end)
    found = _listing(_walk_tar(unpacked.read, unpacked.skip), limits, end)
    return Listing(found.entries, is_cut=found.is_cut or unpacked.is_cut)


def _listing(entries: Iterator[Entry], limits: ListingLimits, end: float) -> Listing:
    found: list[Entry] = []
    for one in entries:
        if len(found) == limits.entries or time.monotonic() > end:
            return Listing(tuple(found), is_cut=True)
        found.append(one)
    return Listing(tuple(found))


# -- tar ------------------------------------------------------------------------------------------


def walk_tar(file: IO[bytes]) -> Iterator[Entry]:
    """The entries of a tar archive that is not packed, in order. Raises BadArchive."""

    def skip(count: int) -> bool:
        file.seek(count, 1)
        return True

    return _walk_tar(file.read, skip)


def _walk_tar(read: Callable[[int], bytes], skip: Callable[[int], bool]) -> Iterator[Entry]:
    """`skip` tells whether there may be more."""
    at, headers, told = 0, 0, dict[str, bytes]()
    while (head := read(_BLOCK)).strip(b"\0") or not at:
        size, kind = _begin(head, is_first=not at), head[156:157]
        at += _BLOCK
        if kind in {_LONG_NAME, _LONG_LINK, _HEADERS, _COMMON_HEADERS}:
            headers += 1
            if size > _MOST_ABOUT or headers > _MOST_HEADERS:
                raise BadArchive("a name in it is too long")
            told |= _about(kind, read(_padded(size))[:size])
            at += _padded(size)
            continue
        more = kind == _SPARSE and head[482]
        while more:
            block = read(_BLOCK)
            at += _BLOCK
            more = len(block) == _BLOCK and block[504]
        size = _decimal(told["size"]) if "size" in told else size
        yield _entry(head, kind, size, at, told)
        headers, told = 0, {}
        if not skip(_padded(size)):
            return
        at += _padded(size)


def _begin(head: bytes, *, is_first: bool) -> int:
    """The size that a header tells."""
    stated = head[148:156]
    if len(head) == _BLOCK and sum(head) - sum(stated) + 8 * ord(" ") == _number(stated):
        size = _number(head[124:136])
        if size >= 0:
            return size
    raise BadArchive(
        "it is no archive of a kind that is known here" if is_first else "it is damaged"
    )


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _number(field: bytes) -> int:
    """Octal digits, or with the highest bit set binary ones."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") % (1 << 62)
    try:
        return int(field.strip(b"\0 ") or b"0", 8) % (1 << 62)
    except ValueError:
        return -1


def _decimal(text: bytes) -> int:
    if text.isdigit() and len(text) < 19:
        return int(text)
    raise BadArchive("a size in it is no number")


def _about(kind: bytes, content: bytes) -> dict[str, bytes]:
    """What the next entry is called, where it has no room to say so itself."""
    if kind == _LONG_NAME:
        return {"path": content.rstrip(b"\0")}
    if kind == _LONG_LINK:
        return {"linkpath": content.rstrip(b"\0")}
    return dict(_records(content)) if kind == _HEADERS else {}


def _records(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Lines of `LENGTH NAME=VALUE`, in which the value may have line feeds."""
    while content:
        length, _, rest = content.partition(b" ")
        count = _decimal(length)
        if not len(length) < count <= len(content):
            raise BadArchive("a header in it is damaged")
        name, _, value = rest[: count - len(length) - 2].partition(b"=")
        if name in {b"path", b"linkpath", b"size"}:
            yield name.decode(), value
        content = content[count:]


def _entry(head: bytes, kind: bytes, size: int, offset: int, told: dict[str, bytes]) -> Entry:
    name, link = (_text(head[at : at + 100]) for at in (0, 157))
    prefix = _text(head[345:500]) if head[257:263] == b"ustar\0" else b""
    path = told.get("path", b"/".join(filter(None, (prefix, name))))
    found = _KINDS.get(kind, EntryKind.OTHER)
    if found is EntryKind.FILE and path.endswith(b"/"):
        found = EntryKind.DIRECTORY
    leads = told.get("linkpath", link) if found is EntryKind.LINK else b""
    return Entry(_shown(path), found, size, offset, _shown(leads))


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")


# -- zip ------------------------------------------------------------------------------------------


def _walk_zip(file: IO[bytes]) -> Iterator[Entry]:
    """The entries that the directory at the end of the archive tells of."""
    size = file.seek(0, 2)
    count, at = _directory(file, size)
    for _ in range(count):
        file.seek(at)
        head = file.read(_ENTRY_BYTES)
        if len(head) < _ENTRY_BYTES or not head.startswith(b"PK\x01\x02"):
            raise BadArchive("its directory is damaged")
        (flags,) = struct.unpack_from("<8xH", head)
        size, *lengths = struct.unpack_from("<24xLHHH", head)
        name = file.read(lengths[0]).decode("utf-8" if flags & _UTF_8 else "cp437", "replace")
        is_directory = name.endswith("/")
        yield Entry(name, EntryKind.DIRECTORY if is_directory else EntryKind.FILE, size)
        at += _ENTRY_BYTES + sum(lengths)


def _directory(file: IO[bytes], size: int) -> tuple[int, int]:
    """How many entries the directory has, and where it begins."""
    before = max(0, size - _END_BYTES - _MOST_COMMENT)
    file.seek(before)
    tail = file.read(_END_BYTES + _MOST_COMMENT)
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + _END_BYTES:
        raise BadArchive("it has no directory")
    count, at = struct.unpack_from("<10xH4xL", tail, end)
    far = before + end - _FAR_END_BYTES
    if (at != _LARGE and count != 0xFFFF) or far < 0:
        return count, at
    file.seek(far)
    mark, place = struct.unpack("<4s4xQ4x", file.read(_FAR_END_BYTES))
    if mark != _FAR_END or place > size:
        return count, at
    file.seek(place)
    record = file.read(56)
    if len(record) < 56 or not record.startswith(_END_64):
        raise BadArchive("its directory is damaged")
    count, at = struct.unpack_from("<32xQ8xQ", record)
    if at > size:
        raise BadArchive("its directory is damaged")
    return count, at
