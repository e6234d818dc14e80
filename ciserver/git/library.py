"""How libgit2 is set up: the little of it that belongs to the process and not to a repository."""

import pygit2
from pygit2.enums import ConfigLevel


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
