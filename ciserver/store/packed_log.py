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


class PackedLog(io.RawIOBase):
    """The text of a packed log as a file; a frame at a time is in memory. Raises FileNotFoundError,
    BadLog.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("rb", buffering=0)
        try:
            self._read_index(path)
        except struct.error as error:
            self._file.close()
            raise BadLog(f"the packed log {path.name} is too short") from error
        except BaseException:
            self._file.close()
            raise
        self._at = 0
        self._known: tuple[int, bytes] = (-1, b"")

    def _read_index(self, path: Path) -> None:
        end = self._file.seek(0, io.SEEK_END) - len(_EMPTY)
        index = _INDEX.unpack(self._pread(end - _INDEX.size, _INDEX.size))
        self.size, self._frame, count = (int(one) for one in index)
        start = end - _INDEX.size - count * _FRAME.size
        head = _HEAD.size + _FIELD.size
        told = _FIELD.unpack(self._pread(start - _FIELD.size, _FIELD.size))
        if told[1] != _NAME or count > _MOST_FRAMES:
            raise BadLog(f"the packed log {path.name} has no index")
        frames = list(_FRAME.iter_unpack(self._pread(start, count * _FRAME.size)))
        self._starts = [0, *accumulate(length for length, _ in frames)]
        self._lines = [0, *accumulate(lines for _, lines in frames)]
        if self._starts[-1] != start - head:
            raise BadLog(f"the packed log {path.name} is cut off")

    def _pread(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, max(offset, 0))

    def lines_before(self, offset: int) -> tuple[int, int]:
        """How many line feeds there are before the frame of an offset, and where it begins."""
        frame = min(offset // self._frame, len(self._lines) - 1)
        return self._lines[frame], min(frame * self._frame, self.size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self.size:
            return 0
        number, within = divmod(self._at, self._frame)
        content = self._text(number)[within : within + len(buffer)]
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _text(self, number: int) -> bytes:
        known, text = self._known
        if known != number:
            start, end = self._starts[number : number + 2]
            try:
                text = zlib.decompress(self._pread(start, end - start), _GZIP)
            except zlib.error as error:
                raise BadLog(f"a part of the packed log is broken: {error}") from error
            self._known = (number, text)
        return text

    def close(self) -> None:
        self._file.close()
        super().close()
