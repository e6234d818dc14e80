"""What the kernel says of control groups is read right, whatever the machine is like."""

from pathlib import Path, PurePosixPath

import pytest

from ciserver.executor.hierarchies import (
    group_of,
    hierarchy_of,
    read_controllers,
    read_counters,
    read_hierarchies,
    read_memberships,
)

ID = "c33988ec7651"
OTHERS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
24 22 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
"""
V1 = (
    "3:cpu:/\n2:pids:/\n1:memory:/\n",
    """\
21 19 0:19 / /sys/fs/cgroup rw,relatime - tmpfs cgroup rw
22 21 0:20 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
23 21 0:21 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
24 21 0:22 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
""",
)
V2 = ("0::/\n", "21 19 0:19 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n")
# Everything of version 1, and a tree of version 2 beside it that has nothing left to control.
HYBRID = (
    "9:name=systemd:/\n8:pids:/\n4:memory:/agent/7\n2:cpuacct:/\n1:cpu:/\n0::/\n",
    """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
""",
)
# A service of systemd, in version 2 and in its hybrid layout.
SYSTEMD = (
    "0::/system.slice/ciserver.service\n",
    """\
35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
""",
)
SYSTEMD_HYBRID = (
    """\
12:cpu,cpuacct:/system.slice
7:pids:/system.slice/ciserver.service
5:memory:/system.slice/ciserver.service
1:name=systemd:/system.slice/ciserver.service
0::/system.slice/ciserver.service
""",
    """\
28 24 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:4 - tmpfs tmpfs ro,mode=755
29 28 0:26 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:5 - cgroup2 cgroup2 rw,nsdelegate
30 28 0:27 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:6 - cgroup cgroup rw,xattr,name=systemd
33 28 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct
35 28 0:32 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime shared:12 - cgroup cgroup rw,pids
36 28 0:33 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:13 - cgroup cgroup rw,memory
""",  # noqa: E501
)
# Containers: of version 1 with the group of the container at the root, of version 2 in a namespace.
DOCKER_V1 = (
    f"11:memory:/docker/{ID}\n6:pids:/docker/{ID}\n0::/docker/{ID}\n",
    f"""\
516 515 0:58 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755,inode64
518 516 0:31 /docker/{ID} /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:15 - cgroup cgroup rw,memory
519 516 0:32 /docker/{ID} /sys/fs/cgroup/pids ro,nosuid,nodev,noexec,relatime master:16 - cgroup cgroup rw,pids
""",  # noqa: E501
)
DOCKER_V2 = (
    "0::/\n",
    "487 486 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec - cgroup2 cgroup rw,nsdelegate\n",
)
ROOT = "/sys/fs/cgroup"
SERVICE = "system.slice/ciserver.service"


@pytest.mark.parametrize(
    ("texts", "path", "version", "controls", "own"),
    [
        (V1, "memory/ci", 1, {"memory"}, "memory"),
        (V1, "pids/ci", 1, {"pids"}, "pids"),
        (V2, "ci", 2, set(), ""),
        (HYBRID, "memory/ci", 1, {"memory"}, "memory/agent/7"),
        (HYBRID, "unified/ci", 2, set(), "unified"),
        (SYSTEMD, SERVICE, 2, set(), SERVICE),
        (SYSTEMD_HYBRID, "memory/ci", 1, {"memory"}, f"memory/{SERVICE}"),
        (SYSTEMD_HYBRID, "cpu,cpuacct/ci", 1, {"cpu", "cpuacct"}, "cpu,cpuacct/system.slice"),
        (SYSTEMD_HYBRID, "unified/ci", 2, set(), f"unified/{SERVICE}"),
        (DOCKER_V1, "memory/ci", 1, {"memory"}, "memory"),
        (DOCKER_V2, "ci", 2, set(), ""),
    ],
)
def test_a_group_is_found(texts, path, version, controls, own):
    """Its version, its controllers, and where a process of that machine is in its hierarchy."""
    cgroup, mountinfo = texts
    found = hierarchy_of(Path(ROOT, path), read_hierarchies(OTHERS + mountinfo))
    assert (found.version, found.controllers) == (version, controls)
    assert found.is_writable is (texts not in (DOCKER_V1, DOCKER_V2))
    assert group_of(found, read_memberships(cgroup)) == Path(ROOT, own)


@pytest.mark.parametrize("texts", [V1, HYBRID, SYSTEMD_HYBRID, DOCKER_V1])
def test_a_directory_between_hierarchies_is_no_group(texts):
    """In version 1 they are mounted in a directory that is a file system in memory."""
    hierarchies = read_hierarchies(OTHERS + texts[1])
    assert hierarchy_of(Path(ROOT), hierarchies) is None
    assert hierarchy_of(Path("/sys/fs/cgroup-else/memory"), hierarchies) is None
    assert hierarchy_of(Path("/home"), hierarchies) is None


def test_a_process_elsewhere_is_not_seen():
    """What lies outside of a namespace or of what is mounted has no place here."""
    (mounted,) = read_hierarchies("1 2 0:3 /docker/a /sys/fs/cgroup rw - cgroup2 none rw\n")
    for line in ("0::/../b", "0::/docker/b", "0::/docker", "4:memory:/docker/a", "0::/docker/a/.."):
        assert group_of(mounted, read_memberships(line)) is None
    assert group_of(mounted, read_memberships("0::/docker/a/in")) == Path(ROOT, "in")


def test_a_mount_covers_an_earlier_one():
    """The last one at a place is the one that is seen there; one inside another is nearer."""
    lines = (
        "1 9 0:1 / /groups rw - cgroup cgroup rw,memory\n"
        "2 1 0:2 / /groups rw - cgroup2 cgroup2 rw\n"
        "3 2 0:3 / /groups/pids rw - cgroup cgroup rw,pids\n"
    )
    hierarchies = read_hierarchies(lines)
    assert hierarchy_of(Path("/groups/ci"), hierarchies).version == 2
    assert hierarchy_of(Path("/groups/pids/ci"), hierarchies).controllers == {"pids"}


def test_odd_lines_are_read():
    """Blanks in paths, sources that are empty, colons in names; other lines are passed over."""
    (found,) = read_hierarchies(
        "not a mount\n\n1 2 0:3 / /a rw\n7 2 0:3 /x\\040y /my\\040groups rw -  cgroup2\n"
        "8 2 0:3 /a\\134b /my\\040groups ro,nosuid master:1 - cgroup2  rw\n"
    )
    assert (found.root, found.place) == (PurePosixPath("/a\\b"), Path("/my groups"))
    assert not found.is_writable
    (membership,) = read_memberships("nothing\n\n0::/a:b c\nx:memory:/y\n5:memory\n")
    assert membership.group == PurePosixPath("/a:b c")


def test_controllers_and_counters_are_read():
    """As the files of a group have them; a file of an old kernel says less."""
    assert read_controllers("cpuset cpu io memory pids\n") == {
        *("cpuset", "cpu", "io", "memory", "pids"),
    }
    assert read_controllers("\n") == frozenset()
    events = "low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 1\n"
    assert read_counters(events)["oom_kill"] == 1
    assert read_counters("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")["oom_kill"] == 4
    assert "oom_kill" not in read_counters("oom_kill_disable 0\nunder_oom 0\n")
    assert read_counters("max 7\nmax.imposed x\n\n") == {"max": 7}
