"""Logs and products. The only place that makes a path beneath the directory of files."""

import io
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from ciserver.model.frozen import frozen
from ciserver.model.storage import Waiting
from ciserver.store.named_files import YOUNG_SECONDS, age_seconds, write
from ciserver.store.objects import DirectoryObjects, Objects
from ciserver.store.packed_log import LogIndex, PackedLog, pack, read_index
from ciserver.store.spooled_objects import SpooledObjects

FOLDERS = ("logs", "products", "caches", "uploads", "incoming")
_CHUNK = 1024 * 1024
_SMALL = 4096  # a block of the disk: less than that is not saved
_MOST_FRAMES = 200_000  # of packed logs whose indexes are remembered
_ASIDE_SECONDS = 60.0  # far longer than a file is aside that is being removed


def folders_with_files(root: Path) -> tuple[str, ...]:
    """The folders there of files that belong to rows, but for empty ones."""
    return tuple(one for one in FOLDERS if any(any(files) for *_, files in os.walk(root / one)))


@frozen
class KeptFile:
    """The content of products; a young one's product may not be written down yet."""

    sha256: str
    size: int
    is_young: bool


@frozen
class LogFile:
    """A file of the log of a step that has ended, or still grows where it is not packed."""

    build_id: int
    attempt: int
    step: int
    is_packed: bool


class Files:
    """Logs are one append-only file a step, and packed when they have ended; products are stored by
    SHA-256, equal ones once. With a bucket packed logs and products go there, and all that may
    raise StorageAway which reads or removes them.
    """

    def __init__(self, root: Path, bucket: Objects | None = None) -> None:
        self._logs = root / "logs"
        self._products = root / "products"
        for directory in (self._logs, self._products):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._near = DirectoryObjects(root)
        self._spooled = SpooledObjects(root, self._near, bucket) if bucket else None
        self._objects: Objects = self._spooled or self._near
        self._small = 0 if bucket else _SMALL
        self._made: set[str] = set()
        self._indexes = _Indexes(self._objects)

    # -- logs -------------------------------------------------------------------------------------

    def log_path(self, build_id: int, attempt: int, step: int) -> Path:
        return Path(self._log_name(build_id, attempt, step))

    def _log_name(self, build_id: int, attempt: int, step: int) -> str:
        # No directory a build: making one costs more than a file in a shared one.
        return f"{self._logs}/{build_id // 1000}/{build_id}.{attempt}.{step}.log"

    def write_log(self, build_id: int, attempt: int, step: int, offset: int, chunk: bytes) -> None:
        """Put bytes at an offset; the same bytes at the same offset again change nothing."""
        name = self._log_name(build_id, attempt, step)
        try:
            handle = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if os.path.exists(f"{name}.gz"):  # noqa: PTH110 - for each step
                return  # from a worker that lost its build long ago
            self._make(name.rpartition("/")[0])
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(chunk)
            while rest:
                written = os.pwrite(handle, rest, offset)
                rest, offset = rest[written:], offset + written
        finally:
            os.close(handle)

    def log_size(self, build_id: int, attempt: int, step: int, *, live: bool = False) -> int:
        """How long the log is. A `live` one, of a step that has not ended, is in the directory or
        nowhere.
        """
        path = self.log_path(build_id, attempt, step)
        try:
            return path.stat().st_size
        except FileNotFoundError:
            pass
        try:
            return 0 if live else self._indexes.of(_packed(path)).size
        except FileNotFoundError:
            return 0

    def read_log(
        self,
        build_id: int,
        attempt: int,
        step: int,
        offset: int,
        limit: int,
        *,
        live: bool = False,
    ) -> bytes:
        path = self.log_path(build_id, attempt, step)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b"" if live else self._read_packed(_packed(path), offset, limit)
        try:
            # The system refuses an offset so far out that the end would not fit in a number.
            return os.pread(handle, limit, min(offset, os.fstat(handle).st_size))
        finally:
            os.close(handle)

    def _read_packed(self, key: str, offset: int, limit: int) -> bytes:
        try:
            with self._indexes.open(key) as text:
                text.seek(offset)
                return text.read(limit)
        except FileNotFoundError:
            return b""

    def open_log(self, build_id: int, attempt: int, step: int, *, live: bool = False) -> IO[bytes]:
        """The log as a file; raises FileNotFoundError when nothing was written."""
        path = self.log_path(build_id, attempt, step)
        try:
            return path.open("rb")
        except FileNotFoundError:
            if live:
                raise
            return self._indexes.open(_packed(path))

    def count_log_lines(
        self, build_id: int, attempt: int, step: int, end: int, *, live: bool = False
    ) -> int:
        """How many line feeds stand before `end`; of a packed log nearly all are known."""
        path, lines, at = self.log_path(build_id, attempt, step), 0, 0
        try:
            file = self.open_log(build_id, attempt, step, live=live)
        except FileNotFoundError:
            return 0
        with file:
            if not path.exists():
                lines, at = self._indexes.of(_packed(path)).lines_before(end)
            file.seek(at)
            while at < end and (block := file.read(min(_CHUNK, end - at))):
                lines, at = lines + block.count(b"\n"), at + len(block)
        return lines

    def pack_log(self, build_id: int, attempt: int, step: int) -> int:
        """Compress a log that nobody writes any more; a small one stays as it is, unless it goes to
        a bucket. Answers how many bytes it takes now. It may be killed at any time, and done again:
        the log as it was goes only when the other is safe.
        """
        path = self.log_path(build_id, attempt, step)
        key = _packed(path)
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            if size < self._small:
                return size
            part = self._logs / f".packing-{secrets.token_hex(8)}"
            try:
                pack(path, part)
                self._objects.take(key, part)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            path.unlink()
        found = self._objects.find(key)
        return found.size if found else 0

    def remove_log(self, build_id: int, attempt: int, step: int) -> None:
        path = self.log_path(build_id, attempt, step)
        path.unlink(missing_ok=True)
        self._indexes.forget(_packed(path))
        self._objects.remove(_packed(path))

    def list_logs(self) -> Iterator[LogFile]:
        for path in self._logs.glob("*/*.log"):
            yield _log_file(path.name, is_packed=False)
        for one in self._objects.list("logs"):
            yield _log_file(one.key.rpartition("/")[2], is_packed=True)

    # -- products ---------------------------------------------------------------------------------

    def keep_product(self, content: IO[bytes]) -> tuple[str, int]:
        """Store a file; answers its SHA-256 and size. Durable before it answers."""
        spool = self._products / f".incoming-{secrets.token_hex(8)}"
        sha256, size = write(spool, content)
        try:
            self._objects.take(_product(sha256), spool)
        except BaseException:
            spool.unlink(missing_ok=True)
            raise
        return sha256, size

    def open_product(self, sha256: str) -> IO[bytes]:
        """Raises FileNotFoundError."""
        return self._objects.open(_product(sha256))

    def has_product(self, sha256: str) -> bool:
        return self._objects.find(_product(sha256)) is not None

    def list_products(self) -> Iterator[KeptFile]:
        """Every content that is kept, of products or not."""
        young_since = time.time() - YOUNG_SECONDS
        for one in self._objects.list("products"):
            sha256 = one.key.rpartition("/")[2]
            yield KeptFile(sha256, one.size, one.changed_at > young_since)

    def remove_product(self, sha256: str, *, young_seconds: float = YOUNG_SECONDS) -> bool:
        """Remove the content of products that are no more; False when it is so young that somebody
        may be about to write down a product of it. One that is not there is removed.
        """
        return self._objects.remove_old(_product(sha256), time.time() - young_seconds)

    # -- what goes to the bucket ------------------------------------------------------------------

    def check_bucket(self) -> None:
        """Raises StorageAway where there is one that cannot be used."""
        self._objects.check()

    def spooled(self) -> SpooledObjects | None:
        """The way to the bucket, if there is one."""
        return self._spooled

    def waiting(self) -> Waiting:
        """What still has to go to the bucket."""
        return self._spooled.waiting() if self._spooled else Waiting()

    def remove_spool(self, *, young_seconds: float = YOUNG_SECONDS) -> None:
        """What a killed server was receiving or packing is of no use; others may be at the rest.
        What it was removing is there again.
        """
        for path in (*self._products.glob(".incoming-*"), *self._logs.glob(".packing-*")):
            if age_seconds(path) > young_seconds:
                path.unlink(missing_ok=True)
        self._near.bring_back("products", min(young_seconds, _ASIDE_SECONDS))

    def _make(self, directory: str) -> None:
        if directory not in self._made:
            Path(directory).mkdir(mode=0o700, exist_ok=True)
            self._made.add(directory)


class _Indexes:
    """Those of packed logs that were looked at last are remembered: a page asks for many."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: OrderedDict[str, LogIndex] = OrderedDict()
        self._frames = 0
        self._lock = threading.Lock()

    def of(self, key: str) -> LogIndex:
        """Raises FileNotFoundError, BadLog."""
        if known := self._find(key):
            return known
        with self._objects.open(key) as file:
            return self._read(key, file)

    def open(self, key: str) -> IO[bytes]:
        """The text of the log. Raises FileNotFoundError, BadLog."""
        file = self._objects.open(key)
        try:
            index = self._find(key) or self._read(key, file)
        except BaseException:
            file.close()
            raise
        return io.BufferedReader(PackedLog(file, index))

    def forget(self, key: str) -> None:
        with self._lock:
            if gone := self._known.pop(key, None):
                self._frames -= len(gone.lines)

    def _find(self, key: str) -> LogIndex | None:
        with self._lock:
            known = self._known.get(key)
            if known:
                self._known.move_to_end(key)
            return known

    def _read(self, key: str, file: IO[bytes]) -> LogIndex:
        index = read_index(file, key)
        self.forget(key)
        with self._lock:
            self._known[key] = index
            self._frames += len(index.lines)
            while self._frames > _MOST_FRAMES:
                _, oldest = self._known.popitem(last=False)
                self._frames -= len(oldest.lines)
        return index


def _packed(log: Path) -> str:
    return f"logs/{log.parent.name}/{log.name}.gz"


def _log_file(name: str, *, is_packed: bool) -> LogFile:
    build_id, attempt, step, *_ = name.split(".")
    return LogFile(int(build_id), int(attempt), int(step), is_packed)


def _product(sha256: str) -> str:
    return f"products/{sha256[:2]}/{sha256}"
