"""Files of what was built, for programs that read much of it at once.

They hold what everybody may see, whoever asks. A file is made from the database at most once in a
while and kept on disk, so that asking often costs nothing.
"""

import filecmp
import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import IO

from ciserver.model.account import Sight
from ciserver.model.build import Build, Product, Step
from ciserver.model.errors import Busy
from ciserver.model.frozen import frozen
from ciserver.model.links import Links
from ciserver.model.ports import Clock
from ciserver.store.store import Store

_AT_ONCE = 500
_WAIT_SECONDS = 30
_KEPT = timedelta(days=1)
_EVERYBODY = Sight()


@frozen
class Ended:
    """A build that has ended, with the name of its branch, if it has one, and with what its newest
    attempt did and made.
    """

    build: Build
    branch: str
    steps: tuple[Step, ...]
    products: tuple[Product, ...]


@frozen
class Dump:
    """An open file; `made_at` is when it got its content, in whole seconds."""

    file: IO[bytes]
    size: int
    made_at: datetime


class Dumps:
    """`links` are the addresses that they name."""

    def __init__(self, store: Store, clock: Clock, links: Links) -> None:
        self.links = links
        self._store = store
        self._clock = clock
        self._directory = store.dumps
        self._checked: dict[str, datetime] = {}
        self._making = threading.Lock()

    # -- what goes into them ----------------------------------------------------------------------

    def first_end(self) -> datetime | None:
        """When the first build ended, whoever may see it; None before there is one."""
        return self._store.listings.first_end()

    def ended(self, since: datetime, until: datetime) -> Iterator[Ended]:
        """What ended in this time, the earliest first, some at a time."""
        after: tuple[datetime, int] | None = None
        branches: dict[int, str] = {}
        while True:
            builds = self._store.listings.ended(
                _EVERYBODY, since, until, after=after, limit=_AT_ONCE
            )
            steps = self._store.builds.steps_of(builds)
            products = self._store.products.of_builds(builds)
            for one in builds:
                if one.jobset_id not in branches:
                    branches[one.jobset_id] = self._store.jobsets.get(one.jobset_id).branch
                yield Ended(one, branches[one.jobset_id], steps[one.id], products[one.id])
            if len(builds) < _AT_ONCE:
                return
            last = builds[-1]
            assert last.finished_at is not None  # noqa: S101  it has ended
            after = (last.finished_at, last.id)

    # -- kept -------------------------------------------------------------------------------------

    def file(self, name: str, *, lasts: timedelta, write: Callable[[IO[bytes]], None]) -> Dump:
        """The file of this name, made anew by `write` when it is older than it `lasts`. Made with
        the content that it had, it stays what it was. While it is made others get the old one.
        Raises Busy when it takes long and there is none.
        """
        if not self._is_fresh(name, lasts):
            self._renew(name, lasts, write)
        file = (self._directory / name).open("rb")
        told = os.fstat(file.fileno())
        made_at = datetime.fromtimestamp(int(told.st_mtime), self._clock.now().tzinfo)
        return Dump(file, told.st_size, made_at)

    def _is_fresh(self, name: str, lasts: timedelta) -> bool:
        checked = self._checked.get(name)
        is_young = checked is not None and abs(self._clock.now() - checked) < lasts
        return is_young and (self._directory / name).exists()

    def _renew(self, name: str, lasts: timedelta, write: Callable[[IO[bytes]], None]) -> None:
        has_old = name in self._checked and (self._directory / name).exists()
        if not self._making.acquire(timeout=0 if has_old else _WAIT_SECONDS):
            if has_old:
                return
            raise Busy("the file is being made", hint="try again in a moment")
        try:
            if not self._is_fresh(name, lasts):  # somebody made it meanwhile
                self._make(name, write)
        finally:
            self._making.release()

    def _make(self, name: str, write: Callable[[IO[bytes]], None]) -> None:
        now = self._clock.now()
        path, fresh = self._directory / name, self._directory / f"{name}.new"
        try:
            with fresh.open("wb") as file:
                write(file)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise Busy(f"the file cannot be written ({error})", hint="make room") from error
        if path.exists() and filecmp.cmp(path, fresh, shallow=False):
            fresh.unlink()
        else:
            os.utime(fresh, (now.timestamp(), now.timestamp()))
            fresh.replace(path)
        self._checked[name] = now
        self._forget_old(now)

    def _forget_old(self, now: datetime) -> None:
        """Whatever nobody asked for in a day, and what was left half made."""
        kept = {name for name, checked in self._checked.items() if now - checked < _KEPT}
        for path in self._directory.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
        self._checked = {name: self._checked[name] for name in kept}
