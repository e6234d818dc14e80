"""What the kernel says of control groups, as text: where their trees are mounted, in which group
a process is, what a group controls and what it has counted. Nothing here looks at a file.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ciserver.model.frozen import frozen

_VERSIONS = {"cgroup": 1, "cgroup2": 2}
_ESCAPED = re.compile(r"\\([0-7]{3})")


@frozen
class Hierarchy:
    """A tree of control groups as it is mounted. Of version 1 there may be many, with
    `controllers` of their own; in version 2 each group says itself what it controls.

    `root` is the group that is seen at `place`; those above it are not seen at all.
    """

    version: int
    controllers: frozenset[str]
    root: PurePosixPath
    place: Path
    is_writable: bool


@frozen
class Membership:
    """The group of a process in one hierarchy; without controllers: in that of version 2."""

    controllers: frozenset[str]
    group: PurePosixPath


def read_hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """The hierarchies among the mounts of a /proc/PID/mountinfo, in its order."""
    found = []
    for line in mountinfo.splitlines():
        # The fields before the dash vary in number, and a source may be empty.
        mount, _, tree = line.partition(" - ")
        kind, _, rest = tree.partition(" ")
        fields = mount.split(" ")
        if kind not in _VERSIONS or len(fields) < 6:
            continue
        version = _VERSIONS[kind]
        options = frozenset(rest.rpartition(" ")[2].split(","))
        found.append(
            Hierarchy(
                version,
                options - {"rw", "ro"} if version == 1 else frozenset(),
                PurePosixPath(_plain(fields[3])),
                Path(_plain(fields[4])),
                "rw" in fields[5].split(",") and "rw" in options,
            )
        )
    return tuple(found)


def read_memberships(cgroup: str) -> tuple[Membership, ...]:
    """The lines of a /proc/PID/cgroup."""
    found = []
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number.isdecimal() and group.startswith("/"):
            names = frozenset(filter(None, controllers.split(",")))
            found.append(Membership(names, PurePosixPath(group)))
    return tuple(found)


def hierarchy_of(path: Path, hierarchies: Iterable[Hierarchy]) -> Hierarchy | None:
    """The one that a directory lies in; None where it is no control group."""
    above = [one for one in hierarchies if path.is_relative_to(one.place)]
    # Of two mounted at one place the later covers the earlier, so the last of the deepest counts.
    return max(reversed(above), key=lambda one: len(one.place.parts), default=None)


def group_of(hierarchy: Hierarchy, memberships: Iterable[Membership]) -> Path | None:
    """Where the group is seen that a process of these memberships is in; None where it is not."""
    for one in memberships:
        is_here = (
            bool(one.controllers) and one.controllers <= hierarchy.controllers
            if hierarchy.version == 1
            else not one.controllers
        )
        if is_here and ".." not in one.group.parts and one.group.is_relative_to(hierarchy.root):
            return hierarchy.place / one.group.relative_to(hierarchy.root)
    return None


def read_controllers(text: str) -> frozenset[str]:
    """The words of a cgroup.controllers or cgroup.subtree_control."""
    return frozenset(text.split())


def read_counters(text: str) -> dict[str, int]:
    """The lines of a memory.events, memory.oom_control or pids.events, by their names."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _plain(field: str) -> str:
    """Blanks and backslashes stand there as three octal digits."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), field)
