"""Logs and products on disk. The only place that makes a path beneath the data directory."""

import hashlib
import io
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Protocol

from ciserver.store.packed_log import PackedLog, pack

_CHUNK = 1024 * 1024
YOUNG_SECONDS = 3600.0
_SMALL = 4096  # a block of the disk: less than that is not saved


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class KeptFile:
    """The content of products; a young one's product may not be written down yet."""

    sha256: str
    size: int
    is_young: bool


class Files:
    """Logs are one append-only file a step, and packed when they have ended; products are stored by
    SHA-256, equal ones once.
    """

    def __init__(self, root: Path) -> None:
        self._logs = root / "logs"
        self._products = root / "products"
        self._caches = root / "caches"
        self._uploads = root / "uploads"
        self.dumps = root / "dumps"  # what can be made again from the database
        for directory in (
            self._logs,
            self._products,
            self._caches,
            self._uploads,
            self.dumps,
        ):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._made: set[Path] = set()

    def log_path(self, build_id: int, attempt: int, step: int) -> Path:
        # No directory a build: making one costs more than a file in a shared one.
        return self._logs / str(build_id // 1000) / f"{build_id}.{attempt}.{step}.log"

    def write_log(self, build_id: int, attempt: int, step: int, offset: int, chunk: bytes) -> None:
        """Put bytes at an offset; the same bytes at the same offset again change nothing."""
        path = self.log_path(build_id, attempt, step)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if _packed(path).exists():
                return  # from a worker that lost its build long ago
            self._make(path.parent)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(chunk)
            while rest:
                written = os.pwrite(handle, rest, offset)
                rest, offset = rest[written:], offset + written
        finally:
            os.close(handle)

    def log_size(self, build_id: int, attempt: int, step: int) -> int:
        path = self.log_path(build_id, attempt, step)
        try:
            return path.stat().st_size
        except FileNotFoundError:
            pass
        try:
            with PackedLog(_packed(path)) as packed:
                return packed.size
        except FileNotFoundError:
            return 0

    def read_log(self, build_id: int, attempt: int, step: int, offset: int, limit: int) -> bytes:
        path = self.log_path(build_id, attempt, step)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return _read_packed(_packed(path), offset, limit)
        try:
            # The system refuses an offset so far out that the end would not fit in a number.
            return os.pread(handle, limit, min(offset, os.fstat(handle).st_size))
        finally:
            os.close(handle)

    def open_log(self, build_id: int, attempt: int, step: int) -> IO[bytes]:
        """The log as a file; raises FileNotFoundError when nothing was written."""
        path = self.log_path(build_id, attempt, step)
        try:
            return path.open("rb")
        except FileNotFoundError:
            return io.BufferedReader(PackedLog(_packed(path)))

    def count_log_lines(self, build_id: int, attempt: int, step: int, end: int) -> int:
        """How many line feeds stand before `end`; of a packed log nearly all are known."""
        path, lines, at = self.log_path(build_id, attempt, step), 0, 0
        with suppress(FileNotFoundError), PackedLog(_packed(path)) as packed:
            lines, at = packed.lines_before(end)
        try:
            file = self.open_log(build_id, attempt, step)
        except FileNotFoundError:
            return 0
        with file:
            file.seek(at)
            while at < end and (block := file.read(min(_CHUNK, end - at))):
                lines, at = lines + block.count(b"\n"), at + len(block)
        return lines

    def pack_log(self, build_id: int, attempt: int, step: int) -> int:
        """Compress a log that nobody writes any more; a small one stays as it is. Answers how many
        bytes it takes now. It may be killed at any time, and done again: the log as it was goes
        only when the other is on the disk.
        """
        path = self.log_path(build_id, attempt, step)
        packed = _packed(path)
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            if size < _SMALL:
                return size
            part = packed.with_name(f"{packed.name}.part")
            try:
                pack(path, part)
            except OSError:
                part.unlink(missing_ok=True)
                raise
            part.replace(packed)
            _keep_names(packed.parent)
            path.unlink()
        try:
            return packed.stat().st_size
        except FileNotFoundError:
            return 0

    def remove_log(self, build_id: int, attempt: int, step: int) -> None:
        path = self.log_path(build_id, attempt, step)
        packed = _packed(path)
        for one in (path, packed, packed.with_name(f"{packed.name}.part")):
            one.unlink(missing_ok=True)

    def keep_product(self, content: IO[bytes]) -> tuple[str, int]:
        """Store a file; answers its SHA-256 and size. Durable before it answers."""
        spool = self._products / f".incoming-{secrets.token_hex(8)}"
        sha256, size = _write(spool, content)
        try:
            path = self._product_path(sha256)
            self._make(path.parent)
            spool.replace(path)
        except BaseException:
            spool.unlink(missing_ok=True)
            raise
        return sha256, size

    def open_product(self, sha256: str) -> IO[bytes]:
        return self._product_path(sha256).open("rb")

    def has_product(self, sha256: str) -> bool:
        return self._product_path(sha256).exists()

    def list_products(self) -> Iterator[KeptFile]:
        """Every content that is kept, of products or not."""
        for path in self._products.glob("*/*"):
            if not path.name.startswith("."):
                with suppress(FileNotFoundError):  # removed meanwhile
                    found = path.stat()
                    is_young = found.st_mtime > time.time() - YOUNG_SECONDS
                    yield KeptFile(path.name, found.st_size, is_young)

    def remove_product(self, sha256: str, *, young_seconds: float = YOUNG_SECONDS) -> bool:
        """Remove the content of products that are no more; False when it is so young that somebody
        may be about to write down a product of it. One that is not there is removed.

        It is taken aside first: a file that is put in its place meanwhile is another one.
        """
        path = self._product_path(sha256)
        aside = path.with_name(f".removing-{sha256}-{secrets.token_hex(4)}")
        try:
            path.rename(aside)
        except FileNotFoundError:
            return True
        is_young = aside.stat().st_mtime > time.time() - young_seconds
        if is_young:
            _put_back(aside, path)
        aside.unlink()
        return not is_young

    def keep_cache(self, content: IO[bytes]) -> tuple[str, str, int]:
        """Store a file under a name of its own; answers the name, its SHA-256 and size."""
        name = secrets.token_hex(16)
        return name, *_write(self._caches / name, content)

    def open_cache(self, name: str) -> IO[bytes]:
        """Raises FileNotFoundError."""
        return (self._caches / name).open("rb")

    def remove_caches(self, names: Iterable[str]) -> None:
        for name in names:
            (self._caches / name).unlink(missing_ok=True)

    def sweep_caches(self, known: set[str]) -> None:
        """At start: remove those that nobody knows of."""
        self.remove_caches(path.name for path in self._caches.iterdir() if path.name not in known)

    def keep_upload(self, content: Readable) -> str:
        """Store a file that was sent in under a name of its own, and answer that."""
        name = secrets.token_hex(16)
        _write(self._uploads / name, content)
        return name

    def open_upload(self, name: str) -> IO[bytes]:
        """Raises FileNotFoundError."""
        return (self._uploads / name).open("rb")

    def remove_upload(self, name: str) -> None:
        (self._uploads / name).unlink(missing_ok=True)

    def list_old_uploads(
        self, at_once: int, *, young_seconds: float = YOUNG_SECONDS
    ) -> Iterator[frozenset[str]]:
        """The names of uploads, some at once, without those that may still be coming in."""
        names = (
            path.name for path in self._uploads.iterdir() if _age_seconds(path) > young_seconds
        )
        while some := frozenset(islice(names, at_once)):
            yield some

    def remove_spool(self) -> None:
        """At start: what a killed server was receiving is of no use."""
        for path in self._products.glob(".incoming-*"):
            path.unlink(missing_ok=True)
        for aside in self._products.glob("*/.removing-*"):
            _put_back(aside, self._product_path(aside.name.split("-")[1]))
            aside.unlink()

    def _product_path(self, sha256: str) -> Path:
        return self._products / sha256[:2] / sha256

    def _make(self, directory: Path) -> None:
        if directory not in self._made:
            directory.mkdir(mode=0o700, exist_ok=True)
            self._made.add(directory)


def _packed(log: Path) -> Path:
    return log.with_name(f"{log.name}.gz")


def _read_packed(path: Path, offset: int, limit: int) -> bytes:
    try:
        with PackedLog(path) as packed:
            packed.seek(offset)
            return io.BufferedReader(packed).read(limit)
    except FileNotFoundError:
        return b""


def _keep_names(directory: Path) -> None:
    """What was renamed in there outlives a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _age_seconds(path: Path) -> float:
    """None of a file that is gone meanwhile."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _put_back(aside: Path, path: Path) -> None:
    with suppress(FileExistsError):  # the same content came again meanwhile
        os.link(aside, path)


def _write(path: Path, content: Readable) -> tuple[str, int]:
    """A new file, on the disk before this answers; gone again when it fails."""
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("xb") as file:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return digest.hexdigest(), size
