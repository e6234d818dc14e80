"""Mirrors over months: packed, and removed where they can be had again."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from ciserver.git.care import MirrorCare
from ciserver.model.errors import RemoteFailure


class Clock:
    """One that begins now, since files have the time of the machine."""

    def __init__(self):
        self._passed = timedelta()

    def now(self):
        return datetime.now(UTC) + self._passed

    def forward(self, **time):
        self._passed += timedelta(**time)


@pytest.fixture
def clock():
    return Clock()


def packs_of(mirror):
    return len([*(mirror.objects / "pack").glob("*.pack")])


def test_mirrors_are_packed_once_a_day(mirrors, mirror, origin, clock):
    """Whatever their addresses are: they are known by their names."""
    revisions = []
    for number in range(52):
        revisions.append(origin.commit_and_push({"a": str(number)}))
        mirror.pin("refs/heads/main", revisions[-1])
    care = MirrorCare(mirrors, clock)
    care.look()
    joined = packs_of(mirror)
    assert joined == 53  # and the others go with the next joining
    assert mirror.read(revisions[0], "a", limit=9) == b"0"


def test_what_nobody_used_for_long_is_removed(mirrors, mirror, make_origin, clock):
    """And had again when it is wanted; what was used meanwhile stays."""
    origin = make_origin("again")
    revision = origin.commit_and_push({"a": "1"})
    opened = mirrors.open(origin.uri, local=True)
    opened.pin("refs/heads/main", revision)
    unread = mirrors.open(origin.uri, local=True)
    care = MirrorCare(mirrors, clock, unused=timedelta(days=30))
    care.look()
    clock.forward(days=29)
    care.look()
    assert set(mirrors.names()) == {opened.name, mirror.name}
    clock.forward(days=2)
    care.look()
    assert mirrors.names() == []
    with pytest.raises(RemoteFailure, match="cannot be opened"):
        unread.commit(revision)
    again = mirrors.open(origin.uri, local=True)
    assert again.pin("refs/heads/main", revision) == revision


def test_using_a_mirror_keeps_it(mirrors, mirror, origin, clock):
    """Looking after it is no use, else none would ever go."""
    used = mirror.objects.parents[1] / f"{mirror.name}.used"
    os.utime(used, (0, 0))
    mirrors.open(origin.uri, local=True)
    care = MirrorCare(mirrors, clock, unused=timedelta(days=30))
    care.look()
    assert mirrors.names() == [mirror.name]
    os.utime(used, (0, 0))
    MirrorCare(mirrors, clock).look()
    clock.forward(days=1)
    care.look()
    assert mirrors.names() == []


def test_a_server_removes_none(mirrors, mirror, clock):
    """It has the only copy of what paths held."""
    care = MirrorCare(mirrors, clock)
    clock.forward(days=4000)
    care.look()
    assert mirrors.names() == [mirror.name]
