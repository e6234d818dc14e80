"""Submodules as `.gitmodules` states them: which paths, from which addresses."""

import re
from collections.abc import Iterator
from pathlib import Path

from pygit2 import Blob, Repository, Tree
from pygit2.enums import FileMode

from ciserver.git.program import Failed, Program
from ciserver.git.tree import entry_of
from ciserver.model.errors import BadAddress, Invalid
from ciserver.model.frozen import frozen

_FILE = ".gitmodules"
_LARGEST = 1 << 20


@frozen
class Submodule:
    """`url` as it is written; only name, path and url are read, so no update command is known."""

    name: str
    path: str
    url: str


def may_have_submodules(tree: Tree) -> bool:
    return entry_of(tree, _FILE) is not None


def read_submodules(repository: Repository, tree: Tree, program: Program) -> tuple[Submodule, ...]:
    """The submodules that a tree describes. Raises Invalid when git cannot read the file."""
    blob = entry_of(tree, _FILE)
    if not isinstance(blob, Blob) or blob.filemode == FileMode.LINK:
        return ()
    if blob.size > _LARGEST:
        raise _unreadable(f"it is larger than {_LARGEST} bytes")
    arguments = ["config", "--null", "--no-includes", "--list", f"--blob={blob.id}"]
    try:
        listing = program.run(Path(repository.path), arguments)
    except (Failed, TimeoutError) as err:
        raise _unreadable(str(err)) from err
    return tuple(_submodules(listing.decode("utf-8", "surrogateescape")))


def _submodules(listing: str) -> Iterator[Submodule]:
    sections: dict[str, dict[str, str]] = {}
    for item in listing.split("\0"):
        key, _, value = item.partition("\n")
        found = re.fullmatch(r"submodule\.(.+)\.(path|url)", key, re.DOTALL)
        if found:
            sections.setdefault(found[1], {})[found[2]] = value
    for name, values in sections.items():
        if "path" in values:
            yield Submodule(name, values["path"], values.get("url", ""))


def resolve_url(parent: str, url: str) -> str:
    """The address of a submodule; one that begins with ./ or ../ starts at its parent's address.

    Raises BadAddress when it climbs out of the parent's host.
    """
    if not re.match(r"\.\.?(/|$)", url):
        return url
    base = parent.rstrip("/")
    for part in url.split("/"):
        if part == "..":
            base = _one_up(base, url)
        elif part not in {"", "."}:
            base += part if base.endswith(":") else f"/{part}"
    return base


def _one_up(base: str, url: str) -> str:
    head, separator, _ = base.rpartition("/")
    if not separator and ":" in base and not base.endswith(":"):
        return base.rpartition(":")[0] + ":"
    if not separator or head.endswith(("/", ":")):
        raise BadAddress(
            f"the submodule address {url!r} is refused: it climbs out of its parent's host",
            hint="write a full address in .gitmodules",
        )
    return head


def _unreadable(reason: str) -> Invalid:
    return Invalid(
        f"{_FILE} cannot be read: {reason}", hint=f"see git config --file {_FILE} --list"
    )
