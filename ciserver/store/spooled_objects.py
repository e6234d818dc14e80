"""Finished files in a bucket, behind a directory through which they go there."""

import fcntl
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

from ciserver.model.errors import StorageAway
from ciserver.model.storage import Waiting
from ciserver.store.named_files import write
from ciserver.store.objects import FINISHED, DirectoryObjects, Kept, Objects

_LOCKS = 256


class SpooledObjects:
    """A file that is taken is safe in the directory first, and then in the bucket. While the bucket
    is away it stays where it is, and is found there. It leaves the directory last, so whoever looks
    there first and in the bucket then finds it.

    Files have no name of their own there, only that of their content, so the bucket cannot tell one
    that is put from one that was there before. Locks in the directory do: whoever puts one shares
    the lock of its key, and who removes has it alone.
    """

    def __init__(self, root: Path, near: DirectoryObjects, far: Objects) -> None:
        self.near = near
        self.far = far
        self._spool = root / "products"
        self._locks = root / "locks"
        self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def fault(self) -> str:
        return self.far.fault

    def check(self) -> None:
        self.far.check()

    def take(self, key: str, file: Path) -> None:
        with self._lock(key, fcntl.LOCK_SH):
            self.near.take(key, file)
            with suppress(StorageAway):  # it goes there with the next round
                self._move(key)

    def open(self, key: str) -> IO[bytes]:
        try:
            return self.near.open(key)
        except FileNotFoundError:
            return self.far.open(key)

    def find(self, key: str) -> Kept | None:
        return self.near.find(key) or self.far.find(key)

    def list(self, folder: str) -> Iterator[Kept]:
        near = {one.key: one for one in self.near.list(folder)}
        yield from near.values()
        yield from (one for one in self.far.list(folder) if one.key not in near)

    def remove(self, key: str) -> None:
        with self._lock(key, fcntl.LOCK_EX):
            self.near.remove(key)
            self.far.remove(key)

    def remove_old(self, key: str, before: float) -> bool:
        try:
            with self._lock(key, fcntl.LOCK_EX | fcntl.LOCK_NB):
                is_old = self.far.remove_old(key, before) and self.near.remove_old(key, before)
        except BlockingIOError:
            return False
        return is_old

    def move(self, tell: Callable[[Kept], None]) -> None:
        """Bring everything that waits to the bucket; `tell` hears of each file that is there then.
        Raises StorageAway. It may be killed at any time, and done again.
        """
        self.check()
        for one in self.list_waiting():
            with self._lock(one.key, fcntl.LOCK_SH):
                self._move(one.key)
            tell(one)

    def copy_out(self, key: str) -> None:
        """Bring a file to the bucket that stays in the directory as well."""
        link = self._make_spool()
        with self._lock(key, fcntl.LOCK_SH):
            os.link(self.near.path(key), link)
            try:
                self.far.take(key, link)
            finally:
                link.unlink(missing_ok=True)

    def copy_in(self, key: str, is_sound: Callable[[IO[bytes]], bool]) -> bool:
        """Bring a file to the directory that stays in the bucket as well, if it is sound."""
        spool = self._make_spool()
        try:
            with self.far.open(key) as content:
                write(spool, content)
            with spool.open("rb") as content:
                if not is_sound(content):
                    return False
            self.near.take(key, spool)
        finally:
            spool.unlink(missing_ok=True)
        return True

    def _make_spool(self) -> Path:
        """A name for what is on its way; swept when its time is over."""
        return self._spool / f".incoming-{token_hex(8)}"

    def waiting(self) -> Waiting:
        sizes = [one.size for one in self.list_waiting()]
        return Waiting(len(sizes), sum(sizes), self.fault)

    def list_waiting(self) -> Iterator[Kept]:
        for folder in FINISHED:
            yield from self.near.list(folder)

    def _move(self, key: str) -> None:
        with suppress(FileNotFoundError):  # another process moved it
            self.far.take(key, self.near.path(key))

    @contextmanager
    def _lock(self, key: str, how: int) -> Iterator[None]:
        """The lock of a key, which some share; raises BlockingIOError where it is not to be waited
        for.
        """
        name = f"{zlib.crc32(key.encode()) % _LOCKS:02x}"
        with (self._locks / name).open("a") as file:
            fcntl.flock(file, how)
            yield
