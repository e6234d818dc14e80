"""How libgit2 is set up, and how it opens a repository."""

from pathlib import Path
from weakref import proxy

import pygit2
from pygit2 import Repository
from pygit2.branches import Branches
from pygit2.enums import ConfigLevel
from pygit2.references import References
from pygit2.remotes import RemoteCollection
from pygit2.submodules import SubmoduleCollection


def prepare(timeout_seconds: float) -> None:
    """Make libgit2 ignore the machine's git settings and give up on silent servers.

    These are switches of the library, so they hold for the process; setting them again is harmless.
    Who owns a repository is not asked: an address is checked before, bare repositories usually
    belong to a user of their own, and the library runs nothing that it finds in one.
    """
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
    milliseconds = max(1, int(min(timeout_seconds, 60) * 1000))
    pygit2.settings.server_connect_timeout = milliseconds
    pygit2.settings.server_timeout = milliseconds


def opened(folder: Path) -> Repository:
    """A repository that is closed as soon as nobody has it. Raises pygit2.GitError.

    The library's own refers to itself by what it offers, so it would stay open, with its packs,
    until garbage is collected. Whoever uses its references or remotes must keep it meanwhile.
    """
    repository = Repository(str(folder))
    itself = proxy(repository)
    repository.branches = Branches(itself)
    repository.references = References(itself)
    repository.remotes = RemoteCollection(itself)
    repository.submodules = SubmoduleCollection(itself)
    return repository
