"""A killed supervisor: what dies with it, and what the next start finds."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ciserver.executor.removal import remove_tree, remove_trees
from ciserver.executor.workdir import WorkDirectories, sweep

ROOT = Path(__file__).parents[2]
LOOKING = """
import os, sys
from ciserver.executor.processes import kill_leftovers

os.setuid(int(sys.argv[2]))
looks = []
path = f"/proc/{sys.argv[1]}/environ"
sys.addaudithook(lambda what, given: what == "open" and given[0] == path and looks.append(what))
assert kill_leftovers("/nowhere/")
print(len(looks))
"""
GET_FLAGS, SET_FLAGS, TOP_OF_TREES = 0x80086601, 0x40086602, 0x20000
SUPERVISOR = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.lease import Stop
from ciserver.executor.limits import Limits
from ciserver.executor.plain import Plain
from ciserver.executor.podman import Podman
from ciserver.executor.run import Runner
from ciserver.executor.sandbox import BuildUser
from ciserver.model.build import Job, Lease, Task, Work

class Clock:
    def now(self):
        return datetime.now(UTC)

class Reporter:
    def renew(self, lease):
        return False
    def advance(self, lease, done, starting, *, sandbox):
        pass
    def append_log(self, lease, step, offset, chunk):
        if b"ready" in chunk:
            print("ready", flush=True)

kind, root, user, script, runtime = json.loads(sys.argv[1])
user = BuildUser(*user) if user else None
if kind == "podman":
    sandbox = Podman(user=user, place=Path(root).parent / "podman", runtime=runtime)
else:
    sandbox = {"plain": Plain, "bubblewrap": Bubblewrap}[kind](user=user)
runner = Runner(Reporter(), sandbox, None, Clock(), work_root=Path(root), limits=Limits())
job = Job("test", "", "", "", (Task("task", script),))
runner.run(Work(Lease(1, 1, "token"), job, {}), Stop())
"""


@pytest.fixture
def killed(place, tools):
    """Starts a supervisor with this script in a task and kills it when the task is ready."""

    def kill(kind, script, runtime=""):
        user = tools.build_user()
        whom = user and [user.uid, user.gid, user.name]
        words = [kind, str(place / "work"), whom, script, runtime]
        child = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, json.dumps(words)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(signal.SIGKILL)

    return kill


def orphans(mark):
    return (
        f"set +x; trap '' TERM; sleep {mark}1 & setsid sleep {mark}2 & "
        f"(setsid sleep {mark}3 >/dev/null 2>&1 &); echo ready; wait"
    )


def test_bubblewrap_dies_with_its_supervisor(bubblewrap_works, killed, tools):
    """Nothing of the build is left, without anybody looking for it."""
    mark = f"41{os.getpid()}"
    killed("bubblewrap", orphans(mark))
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))


def test_a_container_dies_with_its_supervisor(podman_runtime, killed, tools):
    """Nothing of the build is left, also in podman's own list."""
    mark = f"44{os.getpid()}"
    killed("podman", orphans(mark), podman_runtime)
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))


def test_plain_leftovers_are_found_by_their_marker(killed, place, tools):
    """The next start ends them and removes the files; other attempts' programs are left alone."""
    mark = f"42{os.getpid()}"
    other = {"CISERVER_ATTEMPT": f"{place}/other/build-1-1/home", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(["sleep", f"{mark}9"], env=other) as neighbour:
        killed("plain", orphans(mark))
        assert tools.eventually(lambda: len(tools.programs_with(f"sleep\0{mark}")) == 4)
        sweep(place / "work")
        assert tools.eventually(lambda: len(tools.programs_with(f"sleep\0{mark}")) == 1)
        assert neighbour.poll() is None
        neighbour.kill()
    assert not list((place / "work").iterdir())


@pytest.mark.parametrize("user", [os.geteuid(), 65534])
@pytest.mark.parametrize("given", [{}, {"A": "B"}])
def test_who_carries_no_marker_is_looked_at_once(given, user):
    """A process that was given no environment is not one that is about to get its own; and the one
    of another user cannot be looked at, however often that is tried.
    """
    if user != os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with subprocess.Popen(["/bin/sleep", "60"], env=given) as neighbour:
        words = [sys.executable, "-c", LOOKING, str(neighbour.pid), str(user)]
        looked = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, text=True)
        neighbour.kill()
    assert looked.stdout == "1\n", looked.stderr


def test_sweep_leaves_other_files_alone(place):
    """Only work directories go; a place that is not there yet is no fault."""
    (place / "build-3-1" / "home").mkdir(parents=True)
    (place / "notes").write_text("mine")
    sweep(place)
    assert [path.name for path in place.iterdir()] == ["notes"]
    sweep(place / "not there")


def test_a_slot_does_not_wait_for_the_removal(place):
    """But for one that finds too much left over: it removes its own directory by itself."""
    goes_on = threading.Event()
    slot = threading.current_thread()

    def remove(roots):
        assert threading.current_thread() is slot or goes_on.wait(60)
        remove_trees(roots)

    directories = WorkDirectories(place / "work", remove=remove)
    for number in range(34):
        with directories.fresh(f"{number}-1", None) as directory:
            (directory.home / "file").write_text("made")
    left = {one.name for one in (place / "work").iterdir()}
    assert left == {f"build-{number}-1" for number in range(32)}
    goes_on.set()
    directories.close()
    assert not list((place / "work").iterdir())


def test_directories_are_removed_together(place):
    """Those of builds that end soon after each other, and at once when enough wait."""
    removed = []

    def remove(roots):
        removed.append([one.name for one in roots])
        remove_trees(roots)

    directories = WorkDirectories(place / "work", remove=remove, gather_seconds=3600)
    for number in range(18):
        with directories.fresh(f"{number}-1", None):
            pass
    directories.close()
    names = [f"build-{number}-1" for number in range(18)]
    assert removed == [names[:16], names[16:]]


def test_a_removal_that_broke_is_not_the_last(place, tools):
    """What comes later goes as before."""
    faults = [RuntimeError("odd")]

    def remove(roots):
        if faults:
            raise faults.pop()
        remove_trees(roots)

    directories = WorkDirectories(place / "work", remove=remove, gather_seconds=0)
    with directories.fresh("1-1", None):
        pass
    assert tools.eventually(lambda: not faults)
    with directories.fresh("2-1", None):
        pass
    directories.close()
    assert [one.name for one in (place / "work").iterdir()] == ["build-1-1"]


def test_a_directory_alone_is_removed_soon(place, tools):
    """Without another one, and without an end of the server."""
    directories = WorkDirectories(place / "work")
    with directories.fresh("1-1", None) as directory:
        pass
    assert tools.eventually(lambda: not directory.root.exists())
    directories.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_what_cannot_be_removed_does_not_hold_up_others(place, capsys):
    """It is said, and the next ones are removed all the same."""
    trees = [place / name for name in ("one", "two", "three")]
    for tree in trees:
        (tree / "inner").mkdir(parents=True)
    trees[1].joinpath("mounted").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", trees[1] / "mounted"], check=True)
    try:
        remove_trees(trees)
        assert [one.exists() for one in trees] == [False, True, False]
    finally:
        subprocess.run(["umount", trees[1] / "mounted"], check=True)
    assert capsys.readouterr().out.count("work-directory-not-removed") == 1


def flags(folder, change=0):
    """The attributes that a file system keeps of a directory, with these added."""
    known, opened = bytearray(8), os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(opened, GET_FLAGS, known)
        if change:
            added = int.from_bytes(known, "little") | change
            fcntl.ioctl(opened, SET_FLAGS, added.to_bytes(8, "little"))
    finally:
        os.close(opened)
    return int.from_bytes(known, "little")


def test_directories_of_builds_lie_far_from_each_other():
    """Where the file system can be told so, as ext4 can."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as lasting:
        WorkDirectories(Path(lasting, "work")).close()
        try:
            flags(lasting, TOP_OF_TREES)
        except OSError as error:
            pytest.skip(f"this file system cannot be told: {error}")
        assert flags(Path(lasting, "work")) & TOP_OF_TREES


def test_removal_does_not_follow_links(place):
    """A link to elsewhere goes; what it points to stays."""
    (place / "kept").mkdir()
    (place / "kept" / "file").write_text("mine")
    (place / "tree" / "inner").mkdir(parents=True)
    (place / "tree" / "inner" / "link").symlink_to(place / "kept")
    remove_tree(place / "tree")
    assert not (place / "tree").exists()
    assert (place / "kept" / "file").read_text() == "mine"


def test_removal_goes_to_any_depth(place):
    """A tree deeper than any path or stack may be is removed too."""
    folder = os.open(place, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deeper", dir_fd=folder)
        inner = os.open("deeper", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    remove_tree(place / "deeper")
    assert not list(place.iterdir())


LOOKS = """
import sys, time
from ciserver.executor.processes import kill_marked
looks = []
sys.addaudithook(lambda event, values: looks.append(values[0]) if event == "os.scandir" else None)
user, first, ago = map(int, sys.argv[1:])
assert kill_marked("x", uid=user, first=first, began=time.monotonic() - ago)
print(looks.count("/proc"))
"""
LONG = 100_000  # seconds, in which all numbers of processes may have been used


def looks(user: int, first: int, ago: int) -> int:
    """How often all processes were looked at to find those that carry a marker."""
    command = [sys.executable, "-c", LOOKS, str(user), str(first), str(ago)]
    return int(subprocess.check_output(command, cwd=Path(__file__).parents[2]))


def started_as(user: int, environment: dict[str, str]) -> subprocess.Popen:
    change = ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", "--"]
    started = subprocess.Popen(
        [*change, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    started.stdin.write(b"x")
    started.stdin.flush()
    assert started.stdout.read(1) == b"x"  # it is `cat` now, and not setpriv
    return started


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of another user")
def test_only_who_is_in_doubt_is_looked_at_again():
    """A process may live without an environment for good; it is not all others' fault."""
    user = 61_000 + os.getpid() % 1_000
    with started_as(user, {}) as bare:
        looked = looks(user, 1, LONG)
        bare.stdin.close()
    assert looked == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of another user")
@pytest.mark.parametrize(
    ("before", "ago", "all_others"),
    [(1, 0, False), (1, LONG, True), (-(2**22), 0, True)],
    ids=["just begun", "begun long ago", "its number is not yet given again"],
)
def test_who_began_earlier_is_not_looked_at(before, ago, all_others):
    """What a task that has just begun left behind is found among the newest processes."""
    user = 62_000 + os.getpid() % 1_000
    with started_as(user, {"CISERVER_ATTEMPT": "x"}) as left:
        assert (looks(user, left.pid - before, ago) > 0) == all_others
        assert left.wait(10) == -signal.SIGKILL
