"""The Nix stores that builds share, so that what did not change is built once."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import structlog

from ciserver.executor.removal import remove_tree
from ciserver.executor.sandbox import BuildUser
from ciserver.executor.usage import DiskUsage

_TRASH = "trash-"
_UNUSED_SECONDS = 30 * 24 * 3600
log = structlog.get_logger(__name__)


class NixStores:
    """A directory for each name, in generations: `NAME.1`, `NAME.2`. Builds that run side by side
    use the same one, which Nix itself makes safe.

    One that has outgrown the `quota` is given to no further build; the next begins with an empty
    one, and the old one goes with its last user. Nix could clean up a store, but only while nobody
    builds in it: in their sandboxes two builds have the same process numbers, by which Nix tells
    whose files are in use.
    """

    def __init__(
        self,
        root: Path,
        user: BuildUser | None,
        *,
        quota: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._user = user
        self._quota = quota
        self._now = now
        self._lock = threading.Lock()
        self._users: Counter[Path] = Counter()
        self._retired: set[Path] = set()

    @contextmanager
    def use(self, name: str) -> Iterator[Path]:
        """The store of that name, for the length of a build. Raises OSError when it cannot be
        made.
        """
        with self._lock:
            path = self._current(name)
            self._users[path] += 1
        try:
            yield path
        finally:
            is_over = DiskUsage((path,)).last() > self._quota
            with self._lock:
                self._users[path] -= 1
                if is_over:
                    self._retired.add(path)
                gone = path in self._retired and not self._users[path]
                if not self._users[path]:
                    del self._users[path]
            if gone:
                self._remove(path)

    def sweep(self) -> None:
        """Remove the stores that nobody used for a month, what newer ones replaced, and what a
        killed server was removing.
        """
        with self._lock:
            for path in self._root.glob(f"{_TRASH}*"):
                _remove_or_say(path)
            newest: dict[str, Path] = {}
            for path in sorted(self._root.glob("*.*"), key=_generation):
                newest[path.stem] = path
            for path in self._root.glob("*.*"):
                is_old = self._now() - path.stat().st_mtime > _UNUSED_SECONDS
                if not self._users[path] and (is_old or path != newest[path.stem]):
                    self._remove(path)

    def _current(self, name: str) -> Path:
        made = sorted(self._root.glob(f"{name}.*"), key=_generation)
        path = made[-1] if made else self._root / f"{name}.1"
        if path in self._retired or (made and not self._is_ours(path)):
            path = path.with_suffix(f".{_generation(path) + 1}")
        if not path.exists():
            self._make(path)
        moment = self._now()
        os.utime(path, (moment, moment))
        return path

    def _is_ours(self, path: Path) -> bool:
        """Whether it is of the user whom builds run as now."""
        owner = self._user.uid if self._user else os.geteuid()
        return path.lstat().st_uid == owner

    def _make(self, path: Path) -> None:
        if not self._root.exists():
            self._root.mkdir(parents=True)
            self._root.chmod(0o711)
        path.mkdir(mode=0o700)
        if self._user:
            os.chown(path, self._user.uid, self._user.gid)

    def _remove(self, path: Path) -> None:
        # Half of a store is worse than none: Nix takes its own word for what is there.
        trash = self._root / f"{_TRASH}{token_hex(8)}"
        try:
            path.rename(trash)
        except OSError as error:
            log.warning("nix-store-not-removed", path=str(path), error=str(error))
            return
        self._retired.discard(path)
        _remove_or_say(trash)


def _remove_or_say(path: Path) -> None:
    try:
        remove_tree(path)
    except OSError as error:
        log.warning("nix-store-not-removed", path=str(path), error=str(error))


def _generation(path: Path) -> int:
    with suppress(ValueError):
        return int(path.suffix[1:])
    return 0
