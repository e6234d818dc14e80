"""Sources for workers elsewhere: what one is made of, and packs of exactly that."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from ciserver.model.build import Build, Job, Lease, Source, Work
from ciserver.model.errors import Busy, CiError, NotFound
from ciserver.model.uploads import upload_of
from ciserver.model.worker import Checkout, Listing
from ciserver.recipe.text import job_from_json
from ciserver.service.build_secrets import GivenSecrets
from ciserver.service.sources import MirrorSources
from ciserver.store.store import Store

if TYPE_CHECKING:
    from ciserver.git.checkout import Place


class RemoteSources:
    """The server pins and fetches, with its own credentials; `at_once` bounds how many sources are
    worked on, each of which holds a thread of the server.
    """

    def __init__(
        self, store: Store, sources: MirrorSources, secrets: GivenSecrets, *, at_once: int
    ) -> None:
        self._store = store
        self._sources = sources
        self._secrets = secrets
        self._working = threading.BoundedSemaphore(at_once)

    def mirrors(self, work: Work) -> tuple[str, ...]:
        """The name of the mirror of each source that is pinned; of others nothing. Nobody is asked
        for anything here: whoever has the revision there may have it from that mirror.
        """
        build = self._store.builds.get(work.lease.build_id)
        return tuple(self._mirror(build, work, one) for one in work.job.sources)

    def _mirror(self, build: Build, work: Work, source: Source) -> str:
        if upload_of(source.uri) is not None or not source.revision:
            return ""
        try:
            return self._sources.mirror(build, work.job, source, work.given.ssh_key).name
        except CiError:
            return ""  # it is told when it is asked for

    def listing(self, lease: Lease, number: int) -> Listing:
        """What the source of that number is made of, all of it fetched. Raises NotFound, Busy, and
        RemoteFailure, BadAddress, Invalid where it cannot be had.
        """
        job, source = self._source(lease, number)
        if (upload := upload_of(source.uri)) is not None:
            self._sources.open_upload(upload).close()
            return Listing(upload=upload.name)
        with self._turn():
            return Listing(tuple(_checkout(one) for one in self._places(lease, job, source)))

    def pack(self, lease: Lease, number: int, mirror: str, have: Sequence[str]) -> IO[bytes]:
        """What a worker that has these revisions lacks of a mirror of the source, as a file.
        Raises NotFound for a mirror that is none of it, and what `listing` raises.
        """
        job, source = self._source(lease, number)
        with self._turn():
            found = (one for one in self._places(lease, job, source) if one.mirror.name == mirror)
            place = next(found, None)
            if place is None:
                raise NotFound(f"source {number} has no repository {mirror}")
            packed = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
            try:
                place.mirror.write_pack(place.revision, have, packed)
            except BaseException:
                packed.close()
                raise
        packed.seek(0)
        return packed

    def upload(self, lease: Lease, number: int) -> IO[bytes]:
        """The file that a source is. Raises NotFound."""
        _, source = self._source(lease, number)
        upload = upload_of(source.uri)
        if upload is None:
            raise NotFound(f"source {number} is no file that was sent in")
        return self._sources.open_upload(upload)

    def _source(self, lease: Lease, number: int) -> tuple[Job, Source]:
        job = job_from_json(self._store.builds.job_text(lease.build_id))
        if number >= len(job.sources):
            raise NotFound(f"build {lease.build_id} has no source {number}")
        return job, job.sources[number]

    def _places(self, lease: Lease, job: Job, source: Source) -> "Iterator[Place]":
        build = self._store.builds.get(lease.build_id)
        with self._store.transaction():
            ssh_key = self._secrets.of_build(build, job).ssh_key
        return self._sources.places(build, job, source, ssh_key)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._working.acquire(blocking=False):
            raise Busy("too many workers ask for sources right now", hint="ask again in a moment")
        try:
            yield
        finally:
            self._working.release()


def _checkout(place: "Place") -> Checkout:
    mirror = place.mirror
    default = mirror.default_branch()
    return Checkout(place.path, mirror.name, place.revision, mirror.refs(), default)
