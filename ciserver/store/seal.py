"""Secrets that must be read again are sealed with a key that does not live in the database."""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ciserver.model.errors import BadConfiguration


class Seal:
    """The key file (mode 0600) holds one key a line, newest first: the first one seals, all open,
    so that keys can be changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._keys = MultiFernet([Fernet(line) for line in _read_or_make(path).split()])
        except ValueError as error:
            raise BadConfiguration(
                f"the key file {path} holds no usable key: {error}",
                hint="restore the key file that belongs to this database",
            ) from error

    def close(self, secret: str) -> bytes:
        return self._keys.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        try:
            return self._keys.decrypt(bytes(sealed)).decode()
        except InvalidToken as error:
            raise BadConfiguration(
                f"a stored secret cannot be opened with the key in {self._path}",
                hint="restore the key file that belongs to this database",
            ) from error


def _read_or_make(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        fresh = Fernet.generate_key() + b"\n"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(handle, "wb") as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        return fresh
