"""How long files that were sent in are kept: as long as there are builds that they came for."""

import structlog

from ciserver.store.store import Store

_AT_ONCE = 100
log = structlog.get_logger()


class Uploads:
    def __init__(self, store: Store) -> None:
        self._store = store

    def sweep(self) -> None:
        """Remove what nobody needs any more; may be cut off at any time, and called again. Files go
        before their rows, so that none is forgotten; one that came in with no row yet is left alone
        while it is young.
        """
        after, removed = "", 0
        while found := self._store.uploads.list_after(after, _AT_ONCE):
            after = found[-1][0]
            if names := [name for name, is_needed in found if not is_needed]:
                self._store.upload_files.remove(names)
                with self._store.transaction():
                    self._store.uploads.forget(names)
                removed += len(names)
        for some in self._store.upload_files.list_old(_AT_ONCE):
            stray = some - self._store.uploads.known(some)
            self._store.upload_files.remove(stray)
            removed += len(stray)
        if removed:
            log.info("uploads-removed", uploads=removed)
