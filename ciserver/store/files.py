"""Logs and products on disk. The only place that makes a path beneath the data directory."""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import IO

_CHUNK = 1024 * 1024


class Files:
    """Logs are one append-only file a step; products are stored by SHA-256, equal ones once."""

    def __init__(self, root: Path) -> None:
        self._logs = root / "logs"
        self._products = root / "products"
        self._caches = root / "caches"
        for directory in (self._logs, self._products, self._caches):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._made: set[Path] = set()

    def log_path(self, build_id: int, attempt: int, step: int) -> Path:
        # No directory a build: making one costs more than a file in a shared one.
        return self._logs / str(build_id // 1000) / f"{build_id}.{attempt}.{step}.log"

    def write_log(self, build_id: int, attempt: int, step: int, offset: int, chunk: bytes) -> None:
        """Put bytes at an offset; the same bytes at the same offset again change nothing."""
        path = self.log_path(build_id, attempt, step)
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
        try:
            return self.log_path(build_id, attempt, step).stat().st_size
        except FileNotFoundError:
            return 0

    def read_log(self, build_id: int, attempt: int, step: int, offset: int, limit: int) -> bytes:
        try:
            handle = os.open(self.log_path(build_id, attempt, step), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            # The system refuses an offset so far out that the end would not fit in a number.
            return os.pread(handle, limit, min(offset, os.fstat(handle).st_size))
        finally:
            os.close(handle)

    def open_log(self, build_id: int, attempt: int, step: int) -> IO[bytes]:
        """The log as a file; raises FileNotFoundError when nothing was written."""
        return self.log_path(build_id, attempt, step).open("rb")

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

    def remove_spool(self) -> None:
        """At start: what a killed server was receiving is of no use."""
        for path in self._products.glob(".incoming-*"):
            path.unlink(missing_ok=True)

    def _product_path(self, sha256: str) -> Path:
        return self._products / sha256[:2] / sha256

    def _make(self, directory: Path) -> None:
        if directory not in self._made:
            directory.mkdir(mode=0o700, exist_ok=True)
            self._made.add(directory)


def _write(path: Path, content: IO[bytes]) -> tuple[str, int]:
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
