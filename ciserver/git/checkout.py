"""Work trees for builds: all files of a revision, and a light `.git` that borrows the mirror."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pygit2
from pygit2 import Repository, Tree
from pygit2.enums import FileMode

from ciserver.git.address import host_of, is_local
from ciserver.git.gitdir import write_git
from ciserver.git.mirror import Mirror
from ciserver.git.mirrors import Mirrors
from ciserver.git.program import Program
from ciserver.git.submodule import Submodule, read_submodules, resolve_url
from ciserver.git.tree import entry_of
from ciserver.git.worktree import Entry, write_tree
from ciserver.model.build import Source
from ciserver.model.errors import BadAddress, CiError, Invalid, NotFound, RemoteFailure
from ciserver.model.frozen import frozen
from ciserver.model.project import Credential

_DEEPEST = 8


@frozen
class Place:
    """One repository of a source: where in its directory it goes, and at which revision."""

    path: str
    mirror: Mirror
    revision: str


@frozen
class Visit:
    """One repository being checked out; submodules are visits below it."""

    mirror: Mirror
    revision: str
    into: Path
    credential: Credential | None = None
    local: bool = False
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
        # Another server may have evaluated it, with a mirror of its own.
        mirror.pin(source.ref or "HEAD", source.revision)
        first = Visit(mirror, source.revision, into, credential, local)
        return check_out(
            first, self._mirrors.program, self._below if source.submodules else None, objects_at
        )

    def places(
        self, source: Source, *, credential: Credential | None = None, local: bool = False
    ) -> Iterator[Place]:
        """What `make` would check out, and where, each as soon as its mirror has the revision.
        Raises what `make` does.
        """
        mirror = self._mirrors.open_source(source, credential, local=local)
        mirror.pin(source.ref or "HEAD", source.revision)
        top = Path()
        waiting = [Visit(mirror, source.revision, top, credential, local)]
        while waiting:
            visit = waiting.pop()
            yield Place("" if visit.into == top else str(visit.into), visit.mirror, visit.revision)
            if source.submodules:
                repository = visit.mirror.repository()
                tree = visit.mirror.find(repository, visit.revision).tree
                found = _stated(visit, repository, tree, self._mirrors.program)
                waiting += [self._below(visit, *one) for one in found]

    def _below(self, visit: Visit, module: Submodule, revision: str) -> Visit:
        try:
            address = self._address(visit, module.url)
            credential = _credential_for(visit, address)
            mirror = self._mirrors.open(address, credential, local=is_local(address))
            mirror.pin("HEAD", revision)
        except (BadAddress, Invalid) as err:
            raise BadAddress(_naming(module, err), hint=err.hint) from err
        except (NotFound, RemoteFailure) as err:
            temporary = isinstance(err, RemoteFailure) and err.temporary
            raise RemoteFailure(_naming(module, err), temporary=temporary, hint=err.hint) from err
        into = visit.into / module.path
        return Visit(mirror, revision, into, credential, visit.local, visit.depth + 1)

    def _address(self, visit: Visit, url: str) -> str:
        """The checked address of a submodule.

        Who pushes to a registered repository did not register others: such a path is accepted
        beside its parent, or beneath a directory that is open to all.
        """
        parent = visit.mirror.address
        address = resolve_url(parent, url)
        beside = visit.local and is_local(parent)
        checked = self._mirrors.addresses.check(address, local=beside)
        if not is_local(checked):
            return checked
        if not is_local(parent):
            raise BadAddress(
                f"the repository address {address!r} is refused: it is a path on this machine",
                hint="only a repository on this machine may have such a submodule",
            )
        if Path(checked).is_relative_to(Path(parent).parent):
            return checked
        return self._mirrors.addresses.check(address)


# Finds a submodule of what is checked out, with its mirror at the revision.
Below = Callable[[Visit, Submodule, str], Visit]


def check_out(
    first: Visit,
    program: Program,
    below: Below | None,
    objects_at: Callable[[Path], str] | None,
) -> tuple[Path, ...]:
    """As `Checkouts.make` does; without `below` no submodule is followed."""
    first.into.mkdir(parents=True)
    writing = _Writing(program, objects_at or str, below)
    try:
        writing.write(first)
    except BaseException:
        shutil.rmtree(first.into, ignore_errors=True)
        raise
    return tuple(writing.borrowed)


@dataclass
class _Writing:
    """One run over a source and its submodules."""

    program: Program
    objects_at: Callable[[Path], str]
    below: Below | None
    borrowed: dict[Path, None] = field(default_factory=dict)

    def write(self, visit: Visit) -> None:
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
        if self.below is not None:
            for module, revision in modules:
                self.write(self.below(visit, module, revision))

    def _modules(
        self, visit: Visit, repository: Repository, tree: Tree, entries: list[Entry]
    ) -> list[tuple[Submodule, str]]:
        """The submodules to check out, each with the revision that the tree pins."""
        if self.below is None or not any(one.mode == FileMode.COMMIT for one in entries):
            return []
        return _stated(visit, repository, tree, self.program)


def _stated(
    visit: Visit, repository: Repository, tree: Tree, program: Program
) -> list[tuple[Submodule, str]]:
    """The submodules that a tree has and describes, with the revisions that it pins, by path."""
    known = {os.fsencode(one.path): one for one in read_submodules(repository, tree, program)}
    found = ((known[path], entry_of(tree, known[path].path)) for path in sorted(known))
    pinned = [
        (module, str(entry.id))
        for module, entry in found
        if entry is not None and entry.filemode == FileMode.COMMIT
    ]
    if pinned and visit.depth == _DEEPEST:
        raise Invalid(
            f"the submodules of {visit.mirror.address} are nested more than {_DEEPEST} deep",
            hint="ask for the source without submodules",
        )
    return pinned


def _written(visit: Visit, repository: Repository, tree: Tree) -> list[Entry]:
    try:
        return write_tree(repository, tree, visit.into)
    except (pygit2.GitError, KeyError) as err:
        raise RemoteFailure(
            f"{visit.revision} of {visit.mirror.address} cannot be read: {err}",
            temporary=False,
            hint=f"remove its mirror {visit.mirror.objects.parent.name}; it is fetched anew",
        ) from err


def _credential_for(visit: Visit, address: str) -> Credential | None:
    """A credential is for its own host: a submodule elsewhere never sees it."""
    is_same = host_of(address) == host_of(visit.mirror.address)
    return visit.credential if is_same else None


def _naming(module: Submodule, err: CiError) -> str:
    return f"the submodule {module.path!r} cannot be had: {err.message}"
