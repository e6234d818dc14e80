"""A killed supervisor: what dies with it, and what the next start finds."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ciserver.executor.workdir import remove_tree, sweep

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
            cwd=Path(__file__).parents[2],
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


def test_sweep_leaves_other_files_alone(place):
    """Only work directories go; a place that is not there yet is no fault."""
    (place / "build-3-1" / "home").mkdir(parents=True)
    (place / "notes").write_text("mine")
    sweep(place)
    assert [path.name for path in place.iterdir()] == ["notes"]
    sweep(place / "not there")


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
import sys
from ciserver.executor.processes import kill_marked
looks = []
sys.addaudithook(lambda event, values: looks.append(values[0]) if event == "os.scandir" else None)
assert kill_marked("nobody-has-this", uid=int(sys.argv[1]))
print(looks.count("/proc"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of another user")
def test_only_who_is_in_doubt_is_looked_at_again():
    """A process may live without an environment for good; it is not all others' fault."""
    user = 61_000 + os.getpid() % 1_000
    change = ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", "--"]
    bare = subprocess.Popen([*change, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
    with bare:
        bare.stdin.write(b"x")
        bare.stdin.flush()
        assert bare.stdout.read(1) == b"x"  # it is `cat` now, and not setpriv
        looked = subprocess.check_output(
            [sys.executable, "-c", LOOKS, str(user)], cwd=Path(__file__).parents[2]
        )
        bare.stdin.close()
    assert int(looked) == 1
