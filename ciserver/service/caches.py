"""What builds of a project keep for each other: who may read it, who may change it, how much."""

from typing import IO

import structlog

from ciserver.model.build import Build, Lease
from ciserver.model.errors import Forbidden
from ciserver.model.evaluation import Kind
from ciserver.model.ports import Clock
from ciserver.model.push import Trust
from ciserver.store.caches import Kept
from ciserver.store.store import Store

_SWEPT_AT_ONCE = 500
_KINDS = frozenset({Kind.PUSH, Kind.NIGHTLY, Kind.PGO, Kind.PERIODIC})
log = structlog.get_logger()


class Caches:
    """Every build of a project reads what its trusted builds saved. `quota` is in bytes, for all
    that a project keeps.
    """

    def __init__(self, store: Store, clock: Clock, *, quota: int) -> None:
        self._store = store
        self._clock = clock
        self._quota = quota

    def room(self, build: Build) -> int:
        """How many bytes the build may save under a key: none, unless what it was built of was
        written to a branch by people who may push.
        """
        may_save = (
            build.trust is Trust.TRUSTED
            and build.kind in _KINDS
            and build.ref.startswith("refs/heads/")
        )
        return self._quota if may_save else 0

    def open(self, lease: Lease, key: str) -> IO[bytes] | None:
        """What is kept under the key, if anything is. Raises LeaseLost."""
        with self._store.transaction():
            self._store.attempts.check(lease)
            project_id = self._project_of(self._store.builds.get(lease.build_id))
            kept = self._store.caches.find(project_id, Trust.TRUSTED, key)
            if kept is None:
                return None
            self._store.caches.use(project_id, Trust.TRUSTED, key, self._clock.now())
        try:
            return self._store.cache_files.open(kept.file)
        except FileNotFoundError:
            log.warning("cache-file-gone", project=project_id, key=key)
            return None

    def save(self, lease: Lease, key: str, content: IO[bytes]) -> None:
        """Keep it under the key, in the place of what was there; what the project used longest
        ago makes room. Raises LeaseLost, and Forbidden for a build that may not.
        """
        file, sha256, size = self._store.cache_files.keep(content)
        unused = [file]
        try:
            with self._store.transaction():
                self._store.attempts.check(lease)
                build = self._store.builds.get(lease.build_id)
                if size > self.room(build):
                    raise Forbidden(f"build {build.id} may not save {size} bytes under {key!r}")
                project_id = self._project_of(build)
                before = self._store.caches.find(project_id, Trust.TRUSTED, key)
                kept = Kept(file, sha256, size)
                self._store.caches.put(project_id, Trust.TRUSTED, key, kept, self._clock.now())
                evicted = self._store.caches.evict(project_id, self._quota)
            unused = [*evicted, *([before.file] if before else [])]
        finally:
            # Whoever reads one of them now goes on reading it.
            self._store.cache_files.remove(unused)

    def sweep_removed(self) -> None:
        """Forget what removed projects keep; may be called at any time, and again. The rows go
        first: files whose removal is cut off are nobody's, and go at the next start.
        """
        while gone := self._drop_removed():
            self._store.cache_files.remove(gone)
            log.info("caches-of-removed-projects-swept", files=len(gone))

    def _drop_removed(self) -> tuple[str, ...]:
        with self._store.transaction():
            return self._store.caches.drop_removed(_SWEPT_AT_ONCE)

    def sweep(self) -> None:
        """At start: remove files that a killed server left without a row, and what removed
        projects keep. A young one may be what another server is about to write down.
        """
        self.sweep_removed()
        known = self._store.caches.files()
        for some in self._store.cache_files.list_old(_SWEPT_AT_ONCE):
            self._store.cache_files.remove(some - known)

    def _project_of(self, build: Build) -> int:
        return self._store.jobsets.get(build.jobset_id).project_id
