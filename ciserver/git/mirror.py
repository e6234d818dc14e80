"""Local mirrors of the repositories that inputs name: pinning a ref, reading what is pinned."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pygit2
from pygit2 import Oid, Repository

from ciserver.git import library, tree
from ciserver.git.address import (
    check_ref,
    check_revision,
    is_revision,
)
from ciserver.git.commit import Commit, described
from ciserver.git.failure import missing_ref, missing_revision
from ciserver.git.pack import join_packs, write_pack
from ciserver.git.place import (
    share_packs,
    writing,
)
from ciserver.git.program import Failed, Program
from ciserver.git.refs import choose, commit_at, default_branch, target
from ciserver.git.remote import Remote
from ciserver.model.errors import CiError, Invalid, NoCommit, RemoteFailure
from ciserver.model.view import Tip

_SHA1_DIGITS = 40


class Mirror:
    """One mirror. Cheap to make; threads may share it or open their own."""

    def __init__(
        self, folder: Path, lock: Path, address: str, remote: Remote, program: Program
    ) -> None:
        self.address = address
        self.name = folder.stem
        self.objects = folder / "objects"
        self._folder = folder
        self._lock = lock
        self._remote = remote
        self._program = program
        self._opened = threading.local()

    def pin(self, ref: str, revision: str = "") -> str:
        """Make sure that a commit is here and return its revision.

        With a revision: that commit (through annotated tags), without asking the remote when it is
        here. Without: what `ref` (full, a branch, a tag, a revision, or HEAD) is at the remote now.
        Raises Invalid, NotFound, RemoteFailure.
        """
        name = ref or "HEAD"
        if not revision and is_revision(name):
            name, revision = "HEAD", name
        _check_name(name)
        if not revision:
            return self._pin_tip(name)
        _check_length(check_revision(revision))
        return self._present(revision) or self._pin_revision(name, revision)

    def _pin_tip(self, name: str) -> str:
        with writing(self._folder, self._lock):
            repository = self.repository()
            tip = self._fetch_ref(repository, name)
            commit = commit_at(repository, tip) if tip else None
        if commit is None:
            raise missing_ref(self.address, name)
        return str(commit.id)

    def _pin_revision(self, name: str, revision: str) -> str:
        with writing(self._folder, self._lock):
            # Another thread may have brought it while this one waited.
            found = self._present(revision)
            if not found:
                self._fetch_ref(self.repository(), name)
                found = self._present(revision)
            if not found:
                self._remote.fetch_revision(self.repository(), revision)
                share_packs(self._folder)
                found = self._present(revision)
        if not found:
            if self.repository().get(revision) is not None:
                raise NoCommit(revision, name)
            raise missing_revision(self.address, revision, name)
        return found

    def _fetch_ref(self, repository: Repository, name: str) -> Oid | None:
        tip = self._remote.fetch_ref(repository, name)
        share_packs(self._folder)
        return tip

    def _present(self, revision: str) -> str:
        commit = commit_at(self.repository(), revision)
        return str(commit.id) if commit else ""

    def commit(self, revision: str) -> Commit:
        """What a pinned commit says of itself. Raises NotFound."""
        return described(self.find(self.repository(), revision))

    def default_branch(self) -> str:
        """The full name of the remote's default branch, as the last fetch found it."""
        return default_branch(self.repository())

    def full_ref(self, name: str) -> str:
        """The full ref that a branch, a tag or HEAD was at the last fetch; else the name itself."""
        repository = self.repository()
        return choose(name, repository.listall_references(), default_branch(repository)) or name

    def tips(self) -> tuple[Tip, ...]:
        """The branches and tags that were fetched, each as it was then. Raises RemoteFailure."""
        repository = self.repository()
        names = repository.listall_references()
        mine = sorted(one for one in names if one.startswith(("refs/heads/", "refs/tags/")))
        targets = ((name, target(repository, name)) for name in mine)
        found = ((name, commit_at(repository, oid)) for name, oid in targets if oid)
        return tuple(Tip(name, str(commit.id)) for name, commit in found if commit)

    def refs(self) -> dict[str, str]:
        """What each branch and tag points at, as the last fetch found it."""
        repository = self.repository()
        names = (one for one in repository.listall_references() if one.isprintable())
        mine = (one for one in names if one.startswith(("refs/heads/", "refs/tags/")))
        found = ((name, target(repository, name)) for name in mine)
        return {name: str(oid) for name, oid in found if oid}

    def write_pack(self, revision: str, have: Sequence[str], into: IO[bytes]) -> None:
        """Write the revision and all refs, without what `have` and its history hold, as a pack.
        Raises RemoteFailure when git cannot do it.
        """
        repository = self.repository()
        wanted = {revision, *self.refs().values()}
        known = [one for one in have if one in repository]
        try:
            write_pack(self._folder, self._program, wanted, known, into)
        except (Failed, TimeoutError) as err:
            raise RemoteFailure(
                f"the mirror of {self.address} cannot be packed: {err}", temporary=True
            ) from err

    def history(self, revision: str) -> Iterator[Commit]:
        """The commit and those it grew from, by first parent, newest first. Raises NotFound."""
        found: pygit2.Commit | None = self.find(self.repository(), revision)
        while found is not None:
            yield described(found)
            found = found.parents[0] if found.parents else None

    def list_files(self, revision: str, globs: Sequence[str]) -> tuple[str, ...]:
        """Paths of the files that match, in the order of the globs, then by name.

        A star does not match a slash. Raises NotFound when the revision is not here.
        """
        return tree.list_files(self.find(self.repository(), revision).tree, globs)

    def read(self, revision: str, path: str, *, limit: int) -> bytes:
        """The bytes of one file; symbolic links are not followed. Raises NotFound, TooLarge."""
        repository = self.repository()
        return tree.read_file(repository, self.find(repository, revision).tree, path, limit=limit)

    def content_ids(self, revision: str, globs: Sequence[str] = ()) -> tuple[str, ...]:
        """What stands for the content of a revision, or of the files and directories in it that
        match: equal ids, equal content, whatever the history. Raises NotFound.
        """
        found = self.find(self.repository(), revision).tree
        return tree.content_ids(found, globs) if globs else (str(found.id),)

    def changed_paths(self, old: str, new: str) -> tuple[str, ...] | None:
        """The files that differ between two revisions; None when `old` is not here, as when it
        was force-pushed over. Raises NotFound for `new`.
        """
        repository = self.repository()
        after = self.find(repository, new).tree
        before = commit_at(repository, old) if is_revision(old) else None
        if before is None:
            return None
        diff = before.tree.diff_to_tree(after)
        paths = {
            file.raw_path.decode("utf-8", "surrogateescape")
            for delta in diff.deltas
            for file in (delta.old_file, delta.new_file)
        }
        return tuple(sorted(paths))

    def maintain(self, *, many_packs: int = 50) -> None:
        """Join packs when there are more than `many_packs`. Drops no object, disturbs no reader.

        Raises CiError when git cannot do it; the mirror is as good as before then.
        """
        try:
            with writing(self._folder, self._lock):
                self.repository().compress_references()
                join_packs(self._folder, self._program, many_packs)
                share_packs(self._folder)
        except (Failed, TimeoutError, pygit2.GitError) as err:
            raise CiError(
                f"the mirror of {self.address} cannot be packed: {err}",
                hint="check the free space of the disk",
            ) from err

    def repository(self) -> Repository:
        """The mirror as the library has it, for this folder only; each thread has one of its own
        as long as it has this mirror. Raises RemoteFailure.
        """
        # The library finds packs that came later, and opening costs as much as a few small reads.
        known: Repository | None = getattr(self._opened, "repository", None)
        if known is None:
            known = self._opened.repository = self._open()
        return known

    def _open(self) -> Repository:
        try:
            return library.opened(self._folder)
        except pygit2.GitError as err:
            raise RemoteFailure(
                f"the mirror of {self.address} cannot be opened: {err}",
                temporary=True,
                hint="it is made anew when the repository is opened again",
            ) from err

    def find(self, repository: Repository, revision: str) -> pygit2.Commit:
        """The commit itself. Raises Invalid and NotFound."""
        _check_length(check_revision(revision))
        found = commit_at(repository, revision)
        if found is None:
            raise missing_revision(self.address, revision, "")
        return found


def _check_name(name: str) -> None:
    if name.startswith("refs/"):
        check_ref(name)
    elif name != "HEAD":
        check_ref(f"refs/heads/{name}")


def _check_length(revision: str) -> None:
    if len(revision) != _SHA1_DIGITS:
        raise Invalid(
            f"revision {revision} is of a repository with SHA-256 object names",
            hint="only SHA-1 repositories can be built",
        )
