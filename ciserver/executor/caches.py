"""What builds keep for each other, packed and unpacked by `tar` inside of the sandbox: it sees and
writes what the tasks see and write, so no link and no name in an archive leads anywhere else.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import IO

from ciserver.executor.products import BadArtifact, open_artifact
from ciserver.executor.sandbox import Sandbox
from ciserver.executor.workdir import WorkDirectory
from ciserver.model.build import Cache, Work
from ciserver.model.ports import Reporter

# Sources and earlier caches stay as they are. Nothing is compressed: an archive is never smaller
# than what comes out of it.
_UNPACK = 'exec tar -x --skip-old-files -f "${TMPDIR:-/tmp}/$0"'
_PACK = 'exec tar -c --sort=name --numeric-owner -f "${TMPDIR:-/tmp}/$0" -- "$@"'
_KIB = 1024

# Runs a program in the sandbox, whose files may have so many bytes; gives its exit status, or None
# when the build has to end.
Run = Callable[[tuple[str, ...], int], int | None]


class CacheArchives:
    def __init__(
        self, reporter: Reporter, sandbox: Sandbox, work: Work, directory: WorkDirectory, run: Run
    ) -> None:
        self._reporter = reporter
        self._sandbox = sandbox
        self._work = work
        self._directory = directory
        self._run = run

    def restore(self) -> Iterator[str]:
        """Unpack what is kept into the home; gives lines for the log. Before any task."""
        for cache in self._work.job.cache:
            content = self._reporter.open_cache(self._work.lease, cache.key)
            if content is None:
                yield f"cache: {cache.key}: nothing under this key"
                continue
            with content:
                yield self._unpack(cache.key, content)

    def save(self) -> Iterator[str]:
        """Keep what is in the home; gives lines for the log. After the last task."""
        room = self._work.cache_bytes
        for cache in self._work.job.cache:
            paths = tuple(path for path in cache.paths if _is_there(self._directory.home, path))
            if not room:
                yield f"cache: {cache.key}: builds of this kind change nothing of it"
            elif not paths:
                yield f"cache: {cache.key}: none of its paths is there, nothing is saved"
            else:
                yield self._pack(cache, paths, room)

    def _unpack(self, key: str, content: IO[bytes]) -> str:
        name = f".cache-{token_hex(8)}"
        path = self._directory.tmp / name
        user = self._sandbox.user
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "wb") as target:
            shutil.copyfileobj(content, target, 1 << 20)
            size = target.tell()
            if user:
                os.fchown(file, user.uid, user.gid)
        status = self._run((self._sandbox.shell, "-c", _UNPACK, name), 0)
        path.unlink(missing_ok=True)
        if status is None:
            return f"cache: {key}: not everything is restored, the build has to end"
        if status:
            return f"cache: {key}: not everything is restored, tar exited with status {status}"
        return f"cache: {key}: {_size(size)} restored"

    def _pack(self, cache: Cache, paths: tuple[str, ...], room: int) -> str:
        # Nobody in the build can know this name and put a link there beforehand.
        name = f".cache-{token_hex(8)}"
        command = (self._sandbox.shell, "-c", _PACK, name, *paths)
        status = self._run(command, room)
        if status is None:
            return f"cache: {cache.key}: nothing is saved, the build has to end"
        if status:
            return f"cache: {cache.key}: nothing is saved, tar exited with status {status}"
        try:
            with open_artifact(self._directory.tmp, name, home_inside=_NOWHERE) as content:
                size = os.fstat(content.fileno()).st_size
                self._reporter.save_cache(self._work.lease, cache.key, content)
        except OSError as error:
            return f"cache: {cache.key}: nothing is saved, {error.strerror}"
        except BadArtifact as error:
            return f"cache: {cache.key}: nothing is saved, the archive is {error}"
        finally:
            with suppress(OSError):
                (self._directory.tmp / name).unlink()
        return f"cache: {cache.key}: {_size(size)} saved"


_NOWHERE = "/"


def _is_there(home: Path, path: str) -> bool:
    """Whether the home has it, without walking any link on the way."""
    at = home
    parts = PurePosixPath(path).parts
    try:
        for part in parts[:-1]:
            at /= part
            if not stat.S_ISDIR(at.lstat().st_mode):
                return False
        (at / parts[-1]).lstat()
    except OSError:
        return False
    return True


def _size(count: int) -> str:
    return f"{count / _KIB / _KIB:.1f} MiB" if count >= _KIB * _KIB else f"{count / _KIB:.0f} KiB"
