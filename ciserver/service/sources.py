"""Puts the pinned sources of a build into its home, from the mirrors of this server."""

from collections.abc import Callable
from pathlib import Path

from ciserver.git.checkout import Checkouts
from ciserver.model.build import Source, Work
from ciserver.store.store import Store


class MirrorSources:
    def __init__(self, store: Store, checkouts: Checkouts) -> None:
        self._store = store
        self._checkouts = checkouts

    def put(
        self, work: Work, source: Source, into: Path, objects_at: Callable[[Path], str]
    ) -> tuple[Path, ...]:
        """Write the work tree; answers the object directories that it borrows.
        Raises RemoteFailure, BadAddress, Invalid.
        """
        build = self._store.builds.get(work.lease.build_id)
        credential, local = self._store.projects.credential(build.jobset_id, source.uri)
        return self._checkouts.make(
            source, into, credential=credential, local=local, objects_at=objects_at
        )
