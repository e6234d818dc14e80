"""What a path holds, as commits in a mirror of its own.

A content that is seen for the first time becomes a commit without parents, of that moment; seen
again it is the same commit. So a path can be pinned, checked out and compared as a repository is.
"""

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pygit2
from pygit2 import Oid, Repository, Signature
from pygit2.enums import FileMode, ObjectType

from ciserver.git.address import is_local
from ciserver.git.directory import read_path
from ciserver.git.library import opened
from ciserver.git.names import file_name
from ciserver.git.pack import copy_missing, objects_of
from ciserver.git.paths import PathReader
from ciserver.git.tree import tree_bytes
from ciserver.model.errors import NotFound, RemoteFailure

_AUTHOR = ("ciserver", "ciserver@localhost")
_LAST_READ = "last-read"


class PathRemote:
    """Where the mirror of a path fetches from: the path. Implements `Remote`.

    Without a reader only what was read before is known.
    """

    def __init__(self, address: str, reader: PathReader | None, refresh_seconds: int) -> None:
        self._address = address
        self._reader = reader
        self._refresh_seconds = refresh_seconds

    def fetch_ref(self, mirror: Repository, name: str) -> Oid | None:
        """What the path holds now, or held at most `refresh_seconds` ago; it has no refs but HEAD.
        Raises Invalid, TooLarge, RemoteFailure.
        """
        if name != "HEAD":
            return None
        newest = _newest(mirror)
        if self._reader is None:
            return newest
        now = self._reader.clock.now().timestamp()
        if newest is not None and 0 <= now - _last_read(mirror) < self._refresh_seconds:
            return newest
        commit = self._read(mirror, self._reader)
        mirror.set_head(commit)
        _note_read(mirror, now)
        return commit

    def fetch_revision(self, mirror: Repository, revision: str) -> None:
        """Raises NotFound: what is not here cannot be had any more."""
        raise NotFound(
            f"revision {revision} is no content that {self._address} was seen with",
            hint="evaluate what it holds now, without a revision",
        )

    def _read(self, mirror: Repository, reader: PathReader) -> Oid:
        try:
            return self._keep(mirror, reader)
        except (pygit2.GitError, OSError) as err:
            raise RemoteFailure(
                f"what {self._address} holds cannot be kept: {err}",
                temporary=True,
                hint="check the free space of the disk",
            ) from err

    def _keep(self, mirror: Repository, reader: PathReader) -> Oid:
        with _staging(mirror) as staging:
            if is_local(self._address):
                tree = read_path(self._address, staging, mirror, reader.limits)
            else:
                tree = _downloaded(self._address, staging, reader)
            known = f"refs/content/{tree}"
            found = mirror.references.get(known)
            if found is not None:
                return Oid(hex=str(found.target))
            commit = _commit(staging, tree, reader.clock.now())
            copy_missing(staging, mirror, commit, most=math.inf)
            mirror.references.create(known, commit)
            return commit


def _downloaded(url: str, staging: Repository, reader: PathReader) -> Oid:
    content = reader.download(url, reader.limits.most_bytes)
    name = os.fsencode(file_name(url))
    raw = tree_bytes([(name, FileMode.BLOB, staging.create_blob(content))])
    return staging.write(ObjectType.TREE, raw)


def _commit(repository: Repository, tree: Oid, now: datetime) -> Oid:
    seen = now.astimezone(UTC)
    author = Signature(*_AUTHOR, int(seen.timestamp()), 0)
    message = f"Content first seen {seen:%Y-%m-%d %H:%M:%S} UTC\n"
    return repository.create_commit(None, author, author, message, tree, [])


@contextmanager
def _staging(mirror: Repository) -> Iterator[Repository]:
    """A repository for what is read, which knows what the mirror has: it is in the mirror when it
    is whole, or not at all. The caller has the mirror's lock.
    """
    folder = Path(mirror.path) / "staging"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        repository = pygit2.init_repository(folder, bare=True)
        alternates = folder / "objects" / "info" / "alternates"
        alternates.write_bytes(os.fsencode(objects_of(mirror)) + b"\n")
        yield opened(folder)
        repository.free()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _newest(mirror: Repository) -> Oid | None:
    target: Any = mirror.lookup_reference("HEAD").raw_target
    return target if isinstance(target, Oid) else None


def _last_read(mirror: Repository) -> float:
    try:
        return float((Path(mirror.path) / _LAST_READ).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _note_read(mirror: Repository, at: float) -> None:
    noted = Path(mirror.path) / _LAST_READ
    fresh = noted.with_suffix(".new")
    fresh.write_text(f"{at:.3f}")
    fresh.replace(noted)
