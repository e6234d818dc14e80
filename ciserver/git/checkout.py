"""Work trees for builds: all files of a revision, and a light `.git` that borrows the mirror."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pygit2
from pygit2 import Repository, Tree
from pygit2.enums import FileMode

from ciserver.git.address import host_of, is_local
from ciserver.git.gitdir import write_git
from ciserver.git.mirror import Mirror, Mirrors
from ciserver.git.submodule import Submodule, read_submodules, resolve_url
from ciserver.git.worktree import Entry, write_tree
from ciserver.model.build import Source
from ciserver.model.errors import BadAddress, CiError, Invalid, NotFound, RemoteFailure
from ciserver.model.project import Credential

_DEEPEST = 8


@dataclass(frozen=True)
class _Visit:
    """One repository being checked out; submodules are visits below it."""

    mirror: Mirror
    revision: str
    into: Path
    credential: Credential | None
    local: bool
    depth: int = 0


class Checkouts:
    def __init__(self, mirrors: Mirrors) -> None:
        self._mirrors = mirrors

    def make(
        self,
        source: Source,
        into: Path,
        *,
        credential: Credential | None = None,
        local: bool = False,
        objects_at: Callable[[Path], str] | None = None,
    ) -> tuple[Path, ...]:
        """Write the work tree of a pinned source into the new directory `into`.

        Returns the object directories that it borrows; `objects_at` says where the build sees one
        of them. Files are written as they are stored: no filters, no hooks, nothing is run. Raises
        BadAddress, Invalid, NotFound, RemoteFailure, and leaves nothing behind then.
        """
        mirror = self._mirrors.open_source(source, credential, local=local)
        first = _Visit(mirror, source.revision, into, credential, local)
        into.mkdir(parents=True)
        writing = _Writing(self._mirrors, objects_at or str, follow=source.submodules)
        try:
            writing.write(first)
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise
        return tuple(writing.borrowed)


@dataclass
class _Writing:
    """One run over a source and its submodules."""

    mirrors: Mirrors
    objects_at: Callable[[Path], str]
    follow: bool
    borrowed: dict[Path, None] = field(default_factory=dict)

    def write(self, visit: _Visit) -> None:
        repository = visit.mirror.repository()
        commit = visit.mirror.find(repository, visit.revision)
        entries = _written(visit, repository, commit.tree)
        modules = self._modules(visit, repository, commit.tree, entries)
        write_git(
            visit.into,
            repository,
            str(commit.id),
            entries,
            address=visit.mirror.address,
            objects=self.objects_at(visit.mirror.objects),
            submodules=[module for module, _ in modules],
        )
        self.borrowed[visit.mirror.objects] = None
        for module, revision in modules:
            self.write(self._below(visit, module, revision))

    def _modules(
        self, visit: _Visit, repository: Repository, tree: Tree, entries: list[Entry]
    ) -> list[tuple[Submodule, str]]:
        """The submodules to check out, each with the revision that the tree pins."""
        pinned = {entry.path: entry.oid.hex() for entry in entries if entry.mode == FileMode.COMMIT}
        if not self.follow or not pinned:
            return []
        if visit.depth == _DEEPEST:
            raise Invalid(
                f"the submodules of {visit.mirror.address} are nested more than {_DEEPEST} deep",
                hint="ask for the source without submodules",
            )
        stated = read_submodules(repository, tree, self.mirrors.program)
        known = {os.fsencode(module.path): module for module in stated}
        return [(known[path], pinned[path]) for path in sorted(pinned) if path in known]

    def _below(self, visit: _Visit, module: Submodule, revision: str) -> _Visit:
        try:
            address = self._address(visit, module.url)
            credential = _credential_for(visit, address)
            mirror = self.mirrors.open(address, credential, local=is_local(address))
            mirror.pin("HEAD", revision)
        except (BadAddress, Invalid) as err:
            raise BadAddress(_naming(module, err), hint=err.hint) from err
        except (NotFound, RemoteFailure) as err:
            temporary = isinstance(err, RemoteFailure) and err.temporary
            raise RemoteFailure(_naming(module, err), temporary=temporary, hint=err.hint) from err
        into = visit.into / module.path
        return _Visit(mirror, revision, into, credential, visit.local, visit.depth + 1)

    def _address(self, visit: _Visit, url: str) -> str:
        """The checked address of a submodule.

        Who pushes to a registered repository did not register others: such a path is accepted
        beside its parent, or beneath a directory that is open to all.
        """
        parent = visit.mirror.address
        address = resolve_url(parent, url)
        beside = visit.local and is_local(parent)
        checked = self.mirrors.addresses.check(address, local=beside)
        if not is_local(checked):
            return checked
        if not is_local(parent):
            raise BadAddress(
                f"the repository address {address!r} is refused: it is a path on this machine",
                hint="only a repository on this machine may have such a submodule",
            )
        if Path(checked).is_relative_to(Path(parent).parent):
            return checked
        return self.mirrors.addresses.check(address)


def _written(visit: _Visit, repository: Repository, tree: Tree) -> list[Entry]:
    try:
        return write_tree(repository, tree, visit.into)
    except (pygit2.GitError, KeyError) as err:
        raise RemoteFailure(
            f"{visit.revision} of {visit.mirror.address} cannot be read: {err}",
            temporary=False,
            hint=f"remove its mirror {visit.mirror.objects.parent.name}; it is fetched anew",
        ) from err


def _credential_for(visit: _Visit, address: str) -> Credential | None:
    """A credential is for its own host: a submodule elsewhere never sees it."""
    is_same = host_of(address) == host_of(visit.mirror.address)
    return visit.credential if is_same else None


def _naming(module: Submodule, err: CiError) -> str:
    return f"the submodule {module.path!r} cannot be had: {err.message}"
