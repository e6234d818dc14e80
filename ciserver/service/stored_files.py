"""Finished logs and products on their way to the bucket, where there is one."""

import structlog

from ciserver.model.errors import BadConfiguration, StorageAway
from ciserver.model.storage import Waiting
from ciserver.store.objects import Kept
from ciserver.store.store import Store

log = structlog.get_logger()


class StoredFiles:
    def __init__(self, store: Store) -> None:
        self._files = store.files

    def prepare(self) -> None:
        """At start: raises BadConfiguration where the bucket cannot be used and no waiting mends
        it. One that does not answer is waited for.
        """
        try:
            self._files.check_bucket()
        except StorageAway as away:
            if away.is_fault:
                raise BadConfiguration(away.message, hint=away.hint) from away
            log.warning("storage-away", why=away.message)

    def sweep(self) -> None:
        """Move what waited while the bucket was away, and remove what killed servers left; may be
        cut off at any time, and called again.
        """
        moved = list[Kept]()
        try:
            if spooled := self._files.spooled():
                spooled.move(moved.append)
        except StorageAway as away:
            log.warning("storage-away", why=away.message)
        if moved:
            log.info("files-moved", files=len(moved), size=sum(one.size for one in moved))
        self._files.remove_spool()

    def waiting(self) -> Waiting:
        """What still has to go to the bucket."""
        return self._files.waiting()
