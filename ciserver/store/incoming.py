"""Files on their way in from workers elsewhere, piece by piece, until they are kept or given up."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ciserver.model.errors import Invalid, TooLarge


class Incoming:
    """A directory an attempt, and in it a file for each content, named by its SHA-256."""

    def __init__(self, root: Path) -> None:
        self._root = root / "incoming"
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def size(self, build_id: int, attempt: int, sha256: str) -> int:
        """How much of it is there."""
        try:
            return self._path(build_id, attempt, sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def write(
        self, build_id: int, attempt: int, sha256: str, offset: int, chunk: bytes, *, most: int
    ) -> int:
        """Put bytes at an offset; answers how much is there then. The same bytes again change
        nothing. Raises Invalid for a gap, and TooLarge over `most` bytes, if that is not 0.
        """
        path = self._path(build_id, attempt, sha256)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        there = self.size(build_id, attempt, sha256)
        if offset > there:
            raise Invalid(f"only {there} bytes are there, and these begin at {offset}")
        if most and offset + len(chunk) > most:
            raise TooLarge(f"the file is over {most} bytes")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.seek(offset)
            file.write(chunk)
        return max(there, offset + len(chunk))

    @contextmanager
    def whole(self, build_id: int, attempt: int, sha256: str) -> Iterator[IO[bytes]]:
        """The file, which is gone when the block ends well. Raises Invalid unless all of it is
        there; what is not what it is called begins anew.
        """
        path = self._path(build_id, attempt, sha256)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise Invalid(f"nothing of {sha256} is there") from None
        with file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                path.unlink(missing_ok=True)
                raise Invalid(f"what came is not {sha256}: it has to be sent again")
            file.seek(0)
            yield file
        path.unlink(missing_ok=True)

    def forget(self, build_id: int, attempt: int) -> None:
        """The attempt is over: nothing of it is waited for."""
        shutil.rmtree(self._root / f"{build_id}.{attempt}", ignore_errors=True)

    def attempts(self) -> set[tuple[int, int]]:
        """Those that sent something, as (build, number)."""
        names = (one.name.partition(".") for one in self._root.iterdir())
        return {(int(build_id), int(attempt)) for build_id, _, attempt in names}

    def _path(self, build_id: int, attempt: int, sha256: str) -> Path:
        return self._root / f"{build_id}.{attempt}" / sha256
