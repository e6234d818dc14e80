"""The light `.git` of a work tree: five files, and the mirror's objects."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pygit2 import Repository

from ciserver.git.index import index_bytes
from ciserver.git.refs import commit_at, target
from ciserver.git.submodule import Submodule
from ciserver.git.worktree import Entry, write_new

_MODE = 0o644
_PACKED_REFS = "# pack-refs with: peeled fully-peeled sorted \n"
# checkStat: the files may change their owner after this, which is no change of a file.
_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
\tcheckStat = minimal
[remote "origin"]
\turl = {url}
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""
_SUBMODULE = """\
[submodule {name}]
\tactive = true
"""


def write_git(
    into: Path,
    repository: Repository,
    revision: str,
    entries: Iterable[Entry],
    *,
    address: str,
    objects: str,
    submodules: Sequence[Submodule] = (),
) -> None:
    """Make `into` a work tree of git, at `revision`, that borrows the objects at `objects`."""
    folder = os.fsencode(into / ".git")
    for name in (b"", b"/objects", b"/objects/info", b"/refs"):
        os.mkdir(folder + name)  # noqa: PTH102 - for each build
    for name, content in (
        (b"/HEAD", f"{revision}\n"),
        (b"/config", _config(address, submodules)),
        (b"/packed-refs", _packed_refs(repository)),
        (b"/objects/info/alternates", f"{objects}\n"),
    ):
        write_new(folder + name, content.encode("utf-8", "surrogateescape"), _MODE)
    write_new(folder + b"/index", index_bytes(entries), _MODE)


def _config(address: str, submodules: Sequence[Submodule]) -> str:
    parts = [_CONFIG.format(url=_quoted(address))]
    parts += (
        _SUBMODULE.format(name=_quoted(one.name)) for one in submodules if one.name.isprintable()
    )
    return "".join(parts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _packed_refs(repository: Repository) -> str:
    """The mirror's branches as those of origin, and its tags."""
    shown = {_shown_as(name): name for name in repository.listall_references()}
    lines = (_packed_ref(repository, shown[name], name) for name in sorted(shown) if name)
    return _PACKED_REFS + "".join(lines)


def _shown_as(name: str) -> str:
    if name.startswith("refs/tags/"):
        return name
    if name.startswith("refs/heads/"):
        return name.replace("refs/heads/", "refs/remotes/origin/", 1)
    return ""


def _packed_ref(repository: Repository, name: str, shown: str) -> str:
    oid = target(repository, name)
    if oid is None:
        return ""
    peeled = commit_at(repository, oid)
    peel = f"^{peeled.id}\n" if peeled and peeled.id != oid else ""
    return f"{oid} {shown}\n{peel}"
