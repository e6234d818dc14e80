"""Mirrors over months: they are packed, and those that can be had again are removed when unused."""

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from ciserver.git.mirrors import Mirrors
from ciserver.model.errors import CiError, RemoteFailure
from ciserver.model.ports import Clock

if TYPE_CHECKING:
    from pygit2 import Oid, Repository

log = structlog.get_logger(__name__)
_EVERY = timedelta(days=1)


class _Nowhere:
    """Of a mirror that is known by its name alone."""

    def fetch_ref(self, mirror: "Repository", name: str) -> "Oid | None":
        raise RemoteFailure("a mirror that is looked after fetches nothing", temporary=False)

    def fetch_revision(self, mirror: "Repository", revision: str) -> None:
        raise RemoteFailure("a mirror that is looked after fetches nothing", temporary=False)


class MirrorCare:
    """May be called at any time, beside all that is done with mirrors, and works once a day.
    `unused` is for how long a mirror stays that nobody opens; None: for good. It has to be longer
    than any build, whose work trees borrow from mirrors.
    """

    def __init__(self, mirrors: Mirrors, clock: Clock, *, unused: timedelta | None = None) -> None:
        self._mirrors = mirrors
        self._clock = clock
        self._unused = unused
        self._done_at = clock.now() - _EVERY

    def look(self) -> None:
        now = self._clock.now()
        if now - self._done_at < _EVERY:
            return
        self._done_at = now
        if self._unused is not None:
            since = now - self._unused
            names = self._mirrors.names()
            if removed := sum(self._mirrors.remove_unused(name, since) for name in names):
                log.info("mirrors-removed", mirrors=removed, unused_days=self._unused.days)
        for name in self._mirrors.names():
            try:
                self._mirrors.open_by_name(name, name, _Nowhere(), is_use=False).maintain()
            except CiError as error:
                log.warning("mirror-not-packed", mirror=name, why=error.message)
