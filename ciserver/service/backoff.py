"""Workers through which one build after the other ends at once get no more for a while.

What counts is a build that ended within seconds of its claim, and not by its commands: the worker
gave it back, as when its sandbox does not work; or it failed before its first command. The latter
is a job's own fault more often than not, so that it counts once for each jobset, and a build counts
once, however often it is tried. So neither a test that fails fast nor a recipe that nobody can
build puts a worker out of work. A build whose commands were judged ends the row.
"""

from dataclasses import replace
from datetime import timedelta

import structlog

from ciserver.model.build import Build
from ciserver.model.ports import Clock
from ciserver.model.status import Reason
from ciserver.store.store import Store
from ciserver.store.worker_faults import Faults

log = structlog.get_logger()

AT_ONCE = timedelta(seconds=5)
IN_A_ROW = 3
MINUTES = (1, 5, 15, 60)  # out of work for so long, and then for the last again and again
_MOST_REASON = 150
# Ways to be given back, or to end, that say something of the worker.
_ITS_OWN = {Reason.SANDBOX_BROKEN, Reason.WORKER_LOST, Reason.DISK_FULL}
# Ways to fail before the first command that another worker might not have failed in.
_PERHAPS = {Reason.PACKAGES_UNAVAILABLE, Reason.SOURCE_UNAVAILABLE}


class Backoff:
    """Called within the transactions in which attempts end. A worker that is out of work is one
    that is paused, until a moment that is known; when it is back, one more such build is enough.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def ended(self, build_id: int, reason: Reason, detail: str) -> None:
        """The attempt of the build ends, and not by its commands."""
        if reason not in _ITS_OWN | _PERHAPS:
            return
        build, now = self._store.builds.get(build_id), self._clock.now()
        started = build.started_at
        if not build.worker or started is None or now - started > AT_ONCE:
            return
        known = self._store.worker_faults.get(build.worker)
        if known.out_at is not None and started <= known.out_at:
            return  # it was claimed together with those that count already
        faults = _counted(known, build, reason)
        if faults.total >= IN_A_ROW and faults is not known:
            minutes = MINUTES[min(faults.total - IN_A_ROW, len(MINUTES) - 1)]
            reason_told = _told(faults.total, detail)
            self._store.pauses.put_out(
                build.worker, reason_told, now, now + timedelta(minutes=minutes)
            )
            faults = replace(faults, out_at=now)
            log.warning("worker-out-of-work", worker=build.worker, minutes=minutes, why=reason_told)
        self._store.worker_faults.put(build.worker, faults)

    def went_well(self, worker: str) -> None:
        """Commands of a build were run and judged."""
        self._store.worker_faults.forget(worker)


def _counted(known: Faults, build: Build, reason: Reason) -> Faults:
    """The row with this build, if it counts; else the same."""
    jobsets = known.jobsets
    if reason in _PERHAPS and build.jobset_id not in jobsets:
        jobsets = (*jobsets, build.jobset_id)[-IN_A_ROW:]
    elif reason not in _ITS_OWN:
        return known
    if build.id in known.builds:
        return known
    return replace(
        known,
        total=known.total + 1,
        builds=(*known.builds, build.id)[-IN_A_ROW:],
        jobsets=jobsets,
    )


def _told(total: int, detail: str) -> str:
    text = " ".join(detail.split())
    short = text if len(text) <= _MOST_REASON else f"{text[:_MOST_REASON]}..."
    return f"{total} builds in a row ended at once, the last one so: {short}"
