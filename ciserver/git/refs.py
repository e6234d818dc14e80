"""Refs of a mirror: choosing among those of another repository, setting, peeling."""

from collections.abc import Container

import pygit2
from pygit2 import Commit, Oid, Repository, Tag

from ciserver.git.address import is_ref_name


def choose(name: str, refs: Container[str], head: str) -> str | None:
    """The full ref that a name means: as it stands, else a branch, else a tag; HEAD by `head`."""
    return next((one for one in candidates(name, head) if one in refs), None)


def candidates(name: str, head: str) -> tuple[str, ...]:
    names: tuple[str, ...]
    if name == "HEAD":
        names = (head,)
    elif name.startswith("refs/"):
        names = (name,)
    else:
        names = (f"refs/heads/{name}", f"refs/tags/{name}")
    # The other side wrote `head`.
    return tuple(one for one in names if one.startswith("refs/") and is_ref_name(one))


def target(repository: Repository, full: str) -> Oid | None:
    """What a ref points at, through symbolic ones; None when there is no such thing."""
    reference = repository.references.get(full)
    if reference is None:
        return None
    try:
        return Oid(hex=str(reference.resolve().target))
    except (KeyError, pygit2.GitError):
        return None


def set_target(mirror: Repository, full: str, oid: Oid) -> None:
    try:
        mirror.references.create(full, oid, force=True)
    except (pygit2.GitError, ValueError, OSError):
        clear_the_way(mirror, full)
        mirror.references.create(full, oid, force=True)


def clear_the_way(mirror: Repository, full: str) -> None:
    """Drop old refs that cannot stand beside `full`: a/b keeps a from being a ref, and back.

    The other repository has `full`, so it cannot have them any more. Their objects stay.
    """
    for other in mirror.listall_references():
        if other.startswith(full + "/") or full.startswith(other + "/"):
            mirror.references.delete(other)


def commit_at(repository: Repository, oid: Oid | str) -> Commit | None:
    """The commit that an object is, through annotated tags; None when it is absent or none."""
    found = repository.get(oid)
    while isinstance(found, Tag):
        found = repository.get(found.target)
    return found if isinstance(found, Commit) else None


def note_default(mirror: Repository, full: str) -> None:
    """Remember the other side's default branch as the mirror's own."""
    if full and default_branch(mirror) != full and is_ref_name(full):
        mirror.set_head(full)


def default_branch(mirror: Repository) -> str:
    """The full name of the default branch, as the last fetch found it."""
    name = mirror.lookup_reference("HEAD").raw_target
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else ""
