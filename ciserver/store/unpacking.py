"""Packed archives as they come: no more bytes, memory and time than they may cost."""

import bz2
import lzma
import time
import zlib
from collections.abc import Callable
from typing import IO, Protocol

from ciserver.model.frozen import frozen

_CHUNK = 64 * 1024
_MOST_MEMORY = 128 * 1024 * 1024


class BadArchive(Exception):
    """It is no archive that can be read, or breaks off; the message says why."""


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """The library's object, with the names that those of the other packings have."""

    def __init__(self) -> None:
        self._one = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._one.eof

    @property
    def needs_input(self) -> bool:
        return not self._one.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._one.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._one.decompress(self._one.unconsumed_tail + data, max_length)


@frozen
class Packing:
    """How a file is packed: what it begins with, and what unpacks it."""

    mark: bytes
    make: Callable[[], _Unpacker]


_PACKINGS = (
    Packing(b"\x1f\x8b", _Gzip),
    Packing(b"BZh", bz2.BZ2Decompressor),
    Packing(b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(memlimit=_MOST_MEMORY)),
)


def packed_with(beginning: bytes) -> Packing | None:
    """How a file is packed that begins so; None where it is not."""
    return next((one for one in _PACKINGS if beginning.startswith(one.mark)), None)


class Unpacked:
    """The content of a packed file. After `most_bytes`, or `until` a moment of the monotonic clock,
    it ends; `is_cut` tells that it did. What is read may raise BadArchive.
    """

    def __init__(self, file: IO[bytes], packing: Packing, *, most_bytes: int, until: float) -> None:
        self._file = file
        self._packing = packing
        self._unpacker = packing.make()
        self._left = most_bytes
        self._until = until
        self.is_cut = False

    def read(self, count: int) -> bytes:
        """So many bytes, or fewer at the end."""
        chunks: list[bytes] = []
        while count and (chunk := self._next(min(count, _CHUNK))):
            chunks.append(chunk)
            count -= len(chunk)
        return b"" if self.is_cut else b"".join(chunks)

    def skip(self, count: int) -> bool:
        """Whether there may be more behind so many bytes."""
        while count:
            chunk = self._next(min(count, _CHUNK))
            if not chunk:
                return False
            count -= len(chunk)
        return True

    def _next(self, most: int) -> bytes:
        """At most so many bytes; none at the end."""
        while self._left > 0 and time.monotonic() <= self._until:
            try:
                content, goes_on = self._unpack(most)
            except (zlib.error, OSError, lzma.LZMAError, ValueError) as error:
                raise BadArchive("it is damaged") from error
            if content or not goes_on:
                self._left -= len(content)
                return content
        self.is_cut = True
        return b""

    def _unpack(self, most: int) -> tuple[bytes, bool]:
        """What came of some more of the file, and whether there may be more: packed files may
        stand behind one another.
        """
        given = b""
        if self._unpacker.eof:
            given = self._unpacker.unused_data or self._file.read(_CHUNK)
            if not given.startswith(self._packing.mark):
                return b"", False
            self._unpacker = self._packing.make()
        elif self._unpacker.needs_input:
            given = self._file.read(_CHUNK)
        content = self._unpacker.decompress(given, most)
        return content, bool(content or given or self._unpacker.eof)
