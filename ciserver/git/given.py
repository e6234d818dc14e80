"""Sources that a server gives to a worker elsewhere: as packs, from mirrors that lie at the server.

The worker has mirrors of its own under the same names, and asks for what these lack. It knows no
address that it could ask elsewhere, and no credential.
"""

from collections.abc import Callable
from pathlib import Path
from typing import IO

from pygit2 import Commit, Oid, Repository

from ciserver.git.address import is_ref_name
from ciserver.git.checkout import Visit, check_out
from ciserver.git.mirror import Mirror
from ciserver.git.mirrors import Mirrors
from ciserver.git.pack import put_pack
from ciserver.git.program import Failed, Program
from ciserver.git.refs import commit_at, note_default, set_target, target
from ciserver.git.submodule import Submodule, may_have_submodules
from ciserver.model.build import Source
from ciserver.model.errors import Invalid, RemoteFailure
from ciserver.model.worker import Checkout

_SHOWN = ("refs/heads/", "refs/tags/")
_GIVEN = "refs/given/"  # the revisions that came: what they need is here as well
_MOST_GIVEN = 100

# Gives the pack of a mirror, by its name, without what these revisions hold. Raises RemoteFailure.
AskPack = Callable[[str, tuple[str, ...]], IO[bytes]]


class PackRemote:
    """Implements git.remote.Remote: one mirror of the server."""

    def __init__(self, given: Checkout, ask: AskPack, program: Program, most_have: int) -> None:
        self._given = given
        self._ask = ask
        self._program = program
        self._most_have = most_have

    def fetch_ref(self, mirror: Repository, name: str) -> Oid | None:
        """The server pins; here only revisions are asked for."""
        return None

    def fetch_revision(self, mirror: Repository, revision: str) -> None:
        have = dict.fromkeys(str(commit.id) for _, commit in _newest(mirror, "refs/"))
        told = tuple(have)[: self._most_have]
        with self._ask(self._given.mirror, told) as pack:
            try:
                put_pack(Path(mirror.path), self._program, pack)
            except (Failed, TimeoutError) as err:
                message = f"what the server sent of {self._given.mirror} cannot be read: {err}"
                raise RemoteFailure(message, temporary=True) from err
        self._note_refs(mirror, revision)

    def _note_refs(self, mirror: Repository, revision: str) -> None:
        there = {one for one in mirror.listall_references() if one.startswith(_SHOWN)}
        for gone in there - self._given.refs.keys():
            mirror.references.delete(gone)
        for name, value in self._given.refs.items():
            if name.startswith(_SHOWN) and is_ref_name(name) and Oid(hex=value) in mirror:
                set_target(mirror, name, Oid(hex=value))
        if Oid(hex=revision) in mirror:
            set_target(mirror, f"{_GIVEN}{revision}", Oid(hex=revision))
        for old, _ in _newest(mirror, _GIVEN)[_MOST_GIVEN:]:
            mirror.references.delete(old)
        note_default(mirror, self._given.default)


def _newest(mirror: Repository, prefix: str) -> list[tuple[str, Commit]]:
    """Refs of this kind with their commits, the newest first."""
    names = (name for name in mirror.listall_references() if name.startswith(prefix))
    targets = ((name, target(mirror, name)) for name in names)
    found = ((name, commit_at(mirror, oid)) for name, oid in targets if oid)
    known = [(name, commit) for name, commit in found if commit]
    return sorted(known, key=lambda one: one[1].commit_time, reverse=True)


class GivenCheckouts:
    """Work trees of what the server listed of a source."""

    def __init__(self, mirrors: Mirrors, *, most_have: int) -> None:
        """`most_have` bounds what is said to be here already."""
        self._mirrors = mirrors
        self._most_have = most_have

    def again(
        self,
        source: Source,
        name: str,
        into: Path,
        ask: AskPack,
        objects_at: Callable[[Path], str],
    ) -> tuple[Path, ...] | None:
        """The work tree of a source whose revision came before to the mirror of that name, without
        asking the server; None, and nothing made, where it did not or may have submodules.
        """
        mirror = self._open(Checkout("", name, source.revision, {}), source.uri, ask)
        commit = commit_at(mirror.repository(), source.revision)
        if commit is None or (source.submodules and may_have_submodules(commit.tree)):
            return None
        first = Visit(mirror, source.revision, into)
        return check_out(first, self._mirrors.program, None, objects_at)

    def make(
        self,
        source: Source,
        given: tuple[Checkout, ...],
        into: Path,
        ask: AskPack,
        objects_at: Callable[[Path], str],
    ) -> tuple[Path, ...]:
        """As git.checkout.Checkouts.make does."""
        by_path = {one.path: one for one in given}

        def below(visit: Visit, module: Submodule, revision: str) -> Visit:
            place = visit.into / module.path
            found = by_path.get(str(place.relative_to(into)))
            if found is None or found.revision != revision:
                raise Invalid(f"the server does not give the submodule {module.path!r}")
            return self._visit(found, module.url, place, ask, visit.depth + 1)

        first = self._visit(by_path[""], source.uri, into, ask, 0)
        follow = below if source.submodules else None
        return check_out(first, self._mirrors.program, follow, objects_at)

    def _visit(self, given: Checkout, address: str, into: Path, ask: AskPack, depth: int) -> Visit:
        mirror = self._open(given, address, ask)
        mirror.pin("HEAD", given.revision)
        return Visit(mirror, given.revision, into, depth=depth)

    def _open(self, given: Checkout, address: str, ask: AskPack) -> Mirror:
        if not given.mirror.isalnum():
            raise Invalid(f"{given.mirror!r} is no name of a mirror")
        remote = PackRemote(given, ask, self._mirrors.program, self._most_have)
        return self._mirrors.open_by_name(given.mirror, address, remote)
