"""Puts the sources of a build into its home, from the mirrors of this server."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ciserver.git.mirrors import Mirrors
from ciserver.model.build import Build, Job, Source, Work
from ciserver.model.errors import NotFound
from ciserver.model.evaluation import PinnedInput
from ciserver.model.project import Credential
from ciserver.model.uploads import Upload, upload_of
from ciserver.store.store import Store

if TYPE_CHECKING:
    from ciserver.git.checkout import Place
    from ciserver.git.mirror import Mirror


class MirrorSources:
    def __init__(self, store: Store, mirrors: Mirrors) -> None:
        self._store = store
        self._mirrors = mirrors

    def put(
        self, work: Work, source: Source, into: Path, objects_at: Callable[[Path], str]
    ) -> tuple[Path, ...]:
        """Write the work tree; answers the object directories that it borrows.
        Raises RemoteFailure, BadAddress, Invalid.
        """
        if (upload := upload_of(source.uri)) is not None:
            self._put_upload(upload, into)
            return ()
        build = self._store.builds.get(work.lease.build_id)
        source, credential, local = self._opened(build, work.job, source, work.given.ssh_key)
        return self._mirrors.checkouts.make(
            source, into, credential=credential, local=local, objects_at=objects_at
        )

    def places(self, build: Build, job: Job, source: Source, ssh_key: str) -> "Iterator[Place]":
        """The repositories that the source of a build is made of, each with its revision there.
        `ssh_key` is of the build's secrets. Raises what `put` does.
        """
        source, credential, local = self._opened(build, job, source, ssh_key)
        return self._mirrors.checkouts.places(source, credential=credential, local=local)

    def mirror(self, build: Build, job: Job, source: Source, ssh_key: str) -> "Mirror":
        """Where a pinned source is, as far as it was fetched. Raises BadAddress."""
        source, credential, local = self._opened(build, job, source, ssh_key)
        return self._mirrors.open_source(source, credential, local=local)

    def _opened(
        self, build: Build, job: Job, source: Source, ssh_key: str
    ) -> tuple[Source, Credential | None, bool]:
        """The source at its revision, and how it is read."""
        owner = job.script_jobset or build.jobset_id
        credential, local = self._store.jobsets.credential(owner, source.uri)
        credential = credential or self._mirrors.key_for(source, ssh_key, local=local)
        if not source.revision:
            source = self._pinned(build, source, credential, local=local)
        return source, credential, local

    def _put_upload(self, upload: Upload, into: Path) -> None:
        """Raises NotFound."""
        with self.open_upload(upload) as content:
            into.mkdir()
            with (into / upload.name).open("xb") as file:
                shutil.copyfileobj(content, file)

    def open_upload(self, upload: Upload) -> IO[bytes]:
        """A file that was sent in. Raises NotFound."""
        try:
            return self._store.upload_files.open(upload.id)
        except FileNotFoundError:
            raise NotFound(
                f"the file {upload.name} that was sent in is not kept any more",
                hint="send it in again",
            ) from None

    def _pinned(
        self, build: Build, source: Source, credential: Credential | None, *, local: bool
    ) -> Source:
        """What was submitted is pinned by the first attempt that gets so far; later ones find it
        written down.
        """
        inputs = self._store.evaluations.get(build.evaluation_id).inputs
        known = next((one for one in inputs if one.name == source.directory), None)
        if known is not None:
            return replace(source, revision=known.revision)
        mirror = self._mirrors.open_source(source, credential, local=local)
        ref = source.ref or "HEAD"
        revision = mirror.pin(ref)
        pinned = PinnedInput(source.directory, mirror.address, ref, revision, type=source.type)
        with self._store.transaction():
            self._store.evaluations.add_input(build.evaluation_id, pinned)
            if not build.revision:
                self._store.evaluations.set_revision(build.evaluation_id, ref, revision)
        return replace(source, revision=revision)
