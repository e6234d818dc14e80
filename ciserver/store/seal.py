"""Secrets that must be read again are sealed with a key that does not live in the database."""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ciserver.model.errors import BadConfiguration

SEAL_FILE = "secret.key"
Stamp = tuple[int, int, int]


class Seal:
    """The key file (mode 0600) holds one key a line, newest first: the first one seals, all open,
    so that keys can be changed. Another process may do that: the file is read again whenever it is
    another one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _make(path)
        self._stamp: Stamp | None = None
        self._lines: list[bytes] = []
        self._keys = self._load()

    def close(self, secret: str) -> bytes:
        return self._load().encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        try:
            return self._load().decrypt(bytes(sealed)).decode()
        except InvalidToken as error:
            raise BadConfiguration(
                f"a stored secret cannot be opened with the key in {self._path}",
                hint="restore the key file that belongs to this database",
            ) from error

    # -- another key ------------------------------------------------------------------------------

    def begin_change(self) -> bool:
        """Put a new key before the others, which still open; False when there are others already,
        because a change was begun and never ended.
        """
        self._load()
        if len(self._lines) > 1:
            return False
        self._write([Fernet.generate_key(), *self._lines])
        return True

    def renewed(self, sealed: bytes) -> bytes | None:
        """The same, sealed with the newest key; None where it is so already. Raises
        BadConfiguration for what no key opens.
        """
        self._load()
        try:
            Fernet(self._lines[0]).decrypt(bytes(sealed))
        except InvalidToken:
            return self.close(self.open(sealed))
        return None

    def end_change(self) -> None:
        """Forget every key but the newest one. All that is stored must be sealed with it."""
        self._load()
        self._write(self._lines[:1])

    def _load(self) -> MultiFernet:
        """The keys as the file has them now; those of before where it is gone."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return self._keys
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return self._keys
        lines = self._path.read_bytes().split()
        try:
            keys = MultiFernet([Fernet(line) for line in lines])
        except ValueError as error:
            raise BadConfiguration(
                f"the key file {self._path} holds no usable key: {error}",
                hint="restore the key file that belongs to this database",
            ) from error
        # The stamp last: what another thread finds together belongs together, or is read again.
        self._keys, self._lines, self._stamp = keys, lines, stamp
        return keys

    def _write(self, lines: list[bytes]) -> None:
        """Put another file in the place of the old one, in one step that survives a power cut."""
        making = self._path.with_name(f"{self._path.name}.making")
        making.unlink(missing_ok=True)
        _write_new(making, b"".join(line + b"\n" for line in lines))
        making.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._load()


def _make(path: Path) -> None:
    """Write the file with a key of its own, unless there is one."""
    if path.exists():
        return
    try:
        _write_new(path, Fernet.generate_key() + b"\n")
    except FileExistsError:
        return


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
