"""Logs that have ended, compressed so that any part can be read by itself.

A packed log is a gzip file as every tool reads it: a member for each frame of the text, and an
empty one at the end whose extra field says where the frames are and how many lines they have.
"""

import io
import os
import struct
import zlib
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

from ciserver.model.frozen import frozen

FRAME = 1 << 20
_MOST_FRAMES = 8_000  # the field takes 64 KiB
_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS
_HEAD = struct.Struct("<4B I 2B")  # magic, method, flags, time, compression, system
_FIELD = struct.Struct("<H 2s H")  # of all fields; the name of this one, its length
_FRAME = struct.Struct("<I I")  # compressed size, line feeds
_INDEX = struct.Struct("<Q I I")  # size of the text, of a frame, how many frames
_NAME = b"CL"
_EMPTY = b"\x03\0" + bytes(8)  # no text, its checksum and its size
_HAS_FIELD = 4


class BadLog(OSError):
    """The file was not made here, or is broken."""


def pack(
    source: Path, target: Path, *, frame: int = FRAME, most_frames: int = _MOST_FRAMES
) -> None:
    """Write the text of one file packed into another one, which is on the disk when this returns.
    Needs memory for two frames, however long the text is.
    """
    with source.open("rb", buffering=0) as text, target.open("wb") as packed:
        target.chmod(0o600)
        while os.fstat(text.fileno()).st_size > frame * most_frames:
            frame *= 2
        size, frames = 0, b""
        reader = io.BufferedReader(text, frame)
        while block := reader.read(frame):
            member = zlib.compress(block, _LEVEL, _GZIP)
            packed.write(member)
            size += len(block)
            frames += _FRAME.pack(len(member), block.count(b"\n"))
        packed.write(_last_member(frames, size, frame))
        packed.flush()
        os.fsync(packed.fileno())


def _last_member(frames: bytes, size: int, frame: int) -> bytes:
    index = frames + _INDEX.pack(size, frame, len(frames) // _FRAME.size)
    field = _FIELD.pack(len(index) + 4, _NAME, len(index)) + index
    return _HEAD.pack(0x1F, 0x8B, 8, _HAS_FIELD, 0, 0, 255) + field + _EMPTY


@frozen
class LogIndex:
    """What the end of a packed log tells: the size of the text and of a frame of it, where the
    packed frames begin, and how many line feeds stand before each.
    """

    size: int
    frame: int
    starts: tuple[int, ...]
    lines: tuple[int, ...]

    def lines_before(self, offset: int) -> tuple[int, int]:
        """How many line feeds there are before the frame of an offset, and where it begins."""
        frame = min(offset // self.frame, len(self.lines) - 1)
        return self.lines[frame], min(frame * self.frame, self.size)


def read_index(file: IO[bytes], name: str) -> LogIndex:
    """Raises BadLog."""

    def pread(offset: int, size: int) -> bytes:
        file.seek(max(offset, 0))
        return file.read(size)

    try:
        end = file.seek(0, io.SEEK_END) - len(_EMPTY)
        index = _INDEX.unpack(pread(end - _INDEX.size, _INDEX.size))
        size, frame, count = (int(one) for one in index)
        start = end - _INDEX.size - count * _FRAME.size
        told = _FIELD.unpack(pread(start - _FIELD.size, _FIELD.size))
        if told[1] != _NAME or count > _MOST_FRAMES:
            raise BadLog(f"the packed log {name} has no index")
        frames = list(_FRAME.iter_unpack(pread(start, count * _FRAME.size)))
    except struct.error as error:
        raise BadLog(f"the packed log {name} is too short") from error
    starts = (0, *accumulate(length for length, _ in frames))
    if starts[-1] != start - _HEAD.size - _FIELD.size:
        raise BadLog(f"the packed log {name} is cut off")
    return LogIndex(size, frame, starts, (0, *accumulate(lines for _, lines in frames)))


class PackedLog(io.RawIOBase):
    """The text of a packed log as a file; a frame at a time is in memory. `file` is the packed one,
    which is closed with this.
    """

    def __init__(self, file: IO[bytes], index: LogIndex) -> None:
        self._file = file
        self._index = index
        self._at = 0
        self._known: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._index.size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._index.size:
            return 0
        number, within = divmod(self._at, self._index.frame)
        content = self._text(number)[within : within + len(buffer)]
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _text(self, number: int) -> bytes:
        known, text = self._known
        if known != number:
            start, end = self._index.starts[number : number + 2]
            self._file.seek(start)
            try:
                text = zlib.decompress(self._file.read(end - start), _GZIP)
            except zlib.error as error:
                raise BadLog(f"a part of the packed log is broken: {error}") from error
            self._known = (number, text)
        return text

    def close(self) -> None:
        self._file.close()
        super().close()
