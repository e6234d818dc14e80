"""What a server does beside answering: its loops, the bells that it shares with other servers, and
the broker that it keeps up to date.
"""

import gc
from threading import Thread
from typing import TYPE_CHECKING

from ciserver.clock import SystemClock
from ciserver.executor.disk import DiskGuard
from ciserver.executor.idle import IdleEngine
from ciserver.executor.local import LocalEngine
from ciserver.git.care import MirrorCare
from ciserver.machine import make_broker, storage_root, work_root
from ciserver.store.notices import Notices
from ciserver.ticker import Ticker
from ciserver.wiring import Parts

if TYPE_CHECKING:
    from ciserver.ringing import Ringing


class Background:
    """All of it. `broker` says where the message broker is, empty when there is none."""

    def __init__(self, parts: Parts, engine: LocalEngine | IdleEngine) -> None:
        self._ticker = make_ticker(parts, engine)
        self._mirrors = parts.mirrors
        self._notices = make_notices(parts)
        self._ringing = make_ringing(parts)
        self.broker = self._ringing.place if self._ringing else ""

    def start(self) -> None:
        """Before anything is claimed, so that a full disk is known by then."""
        if self._notices is not None:
            self._notices.start()
        self._ticker.start()
        if self._ringing is not None:
            self._ringing.start()
        Thread(target=self._get_ready, name="readiness", daemon=True).start()

    def stop(self) -> None:
        """When nothing runs here any more. What is told at the end still reaches other servers."""
        self._ticker.stop()
        if self._ringing is not None:
            self._ringing.stop()

    def _get_ready(self) -> None:
        if self._mirrors.get_ready():
            from ciserver.recipe.evaluators import get_ready  # noqa: PLC0415  slow to load

            get_ready()
            gc.freeze()  # as what the start loaded: a look for garbage would take 6 ms more

    def close(self) -> None:
        if self._notices is not None:
            self._notices.close()


def make_ticker(parts: Parts, engine: LocalEngine | IdleEngine) -> Ticker:
    settings, data = parts.settings, parts.data
    disks = (data.root, storage_root(settings, data), work_root(settings, data))
    services = parts.services

    def sweep_files() -> None:
        services.keeping.sweep()
        services.remote_work.sweep()
        services.stored_files.sweep()

    return Ticker(
        services,
        parts.bells,
        guard_disk=DiskGuard(disks, engine).check,
        sweep_caches=parts.caches.sweep_removed,
        lease_seconds=settings.builds.lease_seconds,
        sweep_files=sweep_files,
        care_for_mirrors=MirrorCare(parts.mirrors, SystemClock()).look,
    )


def make_notices(parts: Parts) -> Notices | None:
    """What carries the bells between the servers of a database, where there may be several."""
    bells = parts.bells
    notices = parts.store.database.notices(bells.hear, bells.ring_all_here)
    if notices is not None:
        bells.carry(notices.tell)
    return notices


def make_ringing(parts: Parts) -> "Ringing | None":
    """What tells workers elsewhere of builds by way of the broker of the settings; None where they
    ask the server.
    """
    settings = parts.settings
    broker = make_broker(settings) if settings.engine.kind == "celery" else None
    if broker is None:
        return None
    from ciserver.ringing import Ringing  # noqa: PLC0415  Celery is an extra, and loads slowly

    return Ringing(parts, broker)
