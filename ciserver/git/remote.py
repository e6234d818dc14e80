"""The three ways to another repository: in place, by the library, by the git program.

All of them put complete history into a mirror: what a mirror has, it has with everything beneath.
"""

from pathlib import Path
from typing import Protocol

import pygit2
from pygit2 import Oid, Reference, Repository

from ciserver.git.address import is_local, is_ref_name, is_ssh
from ciserver.git.failure import remote_failure, says_absent
from ciserver.git.library import opened
from ciserver.git.network import LibraryFetch
from ciserver.git.pack import copy_missing
from ciserver.git.program import Program
from ciserver.git.refs import (
    candidates,
    choose,
    clear_the_way,
    commit_at,
    note_default,
    set_target,
    target,
)
from ciserver.model.errors import RemoteFailure
from ciserver.model.project import Credential


class Remote(Protocol):
    """Where a mirror fetches from. The caller holds the mirror's lock."""

    def fetch_ref(self, mirror: Repository, name: str) -> Oid | None:
        """Bring what a ref points at and move the mirror's ref there.

        `name` is a full ref, a branch or tag by its short name, or HEAD. None when there is no
        such ref. Raises RemoteFailure.
        """

    def fetch_revision(self, mirror: Repository, revision: str) -> None:
        """Bring one revision, whatever refs say. Whether it came is for the caller to see.

        Raises RemoteFailure when the other side cannot be asked.
        """


def remote_for(address: str, credential: Credential | None, program: Program) -> Remote:
    by_program = ProgramRemote(address, credential, program)
    if is_local(address):
        return LocalRemote(Path(address), by_program)
    if is_ssh(address):
        return by_program  # the library cannot be told which host keys to trust, nor which not
    return LibraryRemote(address, credential, program)


class ProgramRemote:
    """By the git program: slower to start, and able to do everything."""

    def __init__(self, address: str, credential: Credential | None, program: Program) -> None:
        self._address = address
        self._credential = credential
        self._program = program

    def fetch_ref(self, mirror: Repository, name: str) -> Oid | None:
        folder = Path(mirror.path)
        refs, head = self._program.list_refs(folder, self._address, self._credential)
        note_default(mirror, head)
        full = choose(name, refs, head)
        return self.fetch_full_ref(mirror, full) if full else None

    def fetch_full_ref(self, mirror: Repository, full: str) -> Oid | None:
        clear_the_way(mirror, full)
        self._fetch(mirror, f"+{full}:{full}")
        return target(mirror, full)

    def fetch_revision(self, mirror: Repository, revision: str) -> None:
        try:
            self._fetch(mirror, revision)
        except RemoteFailure as err:
            if not says_absent(err.message):
                raise

    def _fetch(self, mirror: Repository, refspec: str) -> None:
        self._program.fetch(Path(mirror.path), self._address, self._credential, refspec)


class LibraryRemote:
    """By the library, but for a revision that no ref has: it cannot ask for that."""

    def __init__(self, address: str, credential: Credential | None, program: Program) -> None:
        self._address = address
        self._credential = credential
        self._timeout_seconds = program.timeout_seconds
        self._by_program = ProgramRemote(address, credential, program)

    def fetch_ref(self, mirror: Repository, name: str) -> Oid | None:
        fetch = LibraryFetch(self._address, self._credential, self._timeout_seconds)
        return fetch.bring(mirror, name)

    def fetch_revision(self, mirror: Repository, revision: str) -> None:
        self._by_program.fetch_revision(mirror, revision)


class LocalRemote:
    """A repository on this machine, read in place: a small push is here in a few milliseconds.

    The library's own local transport sends every annotated tag with its whole tree each time, so
    what is missing is looked up object by object; much at once is left to the program.
    """

    def __init__(self, path: Path, by_program: ProgramRemote) -> None:
        self._path = path
        self._by_program = by_program

    def fetch_ref(self, mirror: Repository, name: str) -> Oid | None:
        source = self._open()
        head = source.lookup_reference("HEAD")
        if name == "HEAD" and isinstance(head.raw_target, Oid):
            self.fetch_revision(mirror, str(head.raw_target))
            return head.raw_target
        default = _symbolic_target(head)
        note_default(mirror, default)
        found = _first(source, candidates(name, default))
        return self._bring(source, mirror, found) if found else None

    def fetch_revision(self, mirror: Repository, revision: str) -> None:
        source = self._open()
        if revision in source and not copy_missing(source, mirror, Oid(hex=revision)):
            self._by_program.fetch_revision(mirror, revision)

    def _open(self) -> Repository:
        try:
            return opened(self._path)
        except pygit2.GitError as err:
            gone = not self._path.exists()
            said = "there is no such repository, not found on the disk" if gone else str(err)
            raise remote_failure(str(self._path), said) from err

    def _bring(self, source: Repository, mirror: Repository, full: str) -> Oid | None:
        tip = target(source, full)
        if tip is None:
            return None
        if not copy_missing(source, mirror, tip):
            return self._by_program.fetch_full_ref(mirror, full)
        set_target(mirror, full, tip)
        _follow_tags(source, mirror)
        return tip


def _first(source: Repository, names: tuple[str, ...]) -> str | None:
    return next((one for one in names if source.references.get(one) is not None), None)


def _symbolic_target(reference: Reference) -> str:
    name = reference.raw_target
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else ""


def _follow_tags(source: Repository, mirror: Repository) -> None:
    """Take over new tags of what the mirror has, as a fetch does."""
    for raw in set(source.raw_listall_references()) - set(mirror.raw_listall_references()):
        name = raw.decode("utf-8", "replace")
        if not name.startswith("refs/tags/") or not is_ref_name(name):
            continue
        tip = target(source, name)
        commit = commit_at(source, tip) if tip else None
        if tip and commit and commit.id in mirror and copy_missing(source, mirror, tip):
            set_target(mirror, name, tip)
