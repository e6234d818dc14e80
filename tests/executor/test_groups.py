"""Limits that control groups hold, of whichever version this machine has, and what is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ciserver.executor.groups import ControlGroups
from ciserver.executor.hierarchies import hierarchy_of, read_hierarchies
from ciserver.executor.limits import Limits
from ciserver.model.status import BuildStatus, Reason

FORK_BOMB = "set +x; bomb() { bomb | bomb & wait; }; bomb; sleep 60"
# Programs that nothing in their environment or session leads back to the build.
HIDDEN = "env -i setsid sleep {} >/dev/null 2>&1 &"
SERVER = """
import json, subprocess, sys, time
from pathlib import Path
from ciserver.executor.groups import ControlGroups
from ciserver.executor.limits import Limits

given, hidden = json.loads(sys.argv[1])
groups = ControlGroups(tuple(map(Path, given)))
groups.prepare()
with groups.group("1-1", Limits(memory_mb=64, pids=20)) as made:
    enter = "".join(f"echo 0 >{path}/cgroup.procs; " for path in made.paths)
    subprocess.run(["/bin/sh", "-c", enter + hidden], env={"PATH": "/usr/bin:/bin"})
    print(len(made.paths), Path("/proc/self/cgroup").read_text().split()[-1], flush=True)
    time.sleep(60)
"""


def inside(given):
    """The groups that were made beneath these, but for the server's own."""
    return [one for path in given for one in path.iterdir() if one.is_dir()]


@pytest.fixture
def begin_server():
    """Starts another process as a server with these groups; gives it, and its first line."""
    servers = []

    def begin(given, hidden="true", *, within=None):
        words = json.dumps([list(map(str, given)), hidden])
        command = [sys.executable, "-c", SERVER, words]
        if within:
            enter = 'echo 0 >"$0/cgroup.procs" && exec "$@"'
            command = ["/bin/sh", "-c", enter, str(within), *command]
        folder = Path(__file__).parents[2]
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
        servers.append(server)
        return server, server.stdout.readline().decode().split()

    yield begin
    for server in servers:
        with server:
            server.kill()


@pytest.fixture
def held_world(make_world, sandbox, give_groups):
    """A world in which both memory and processes are held."""
    world = make_world(sandbox)
    world.groups = ControlGroups(give_groups("memory", "pids"))
    world.groups.prepare()
    return world


def test_one_kill_for_memory_is_enough(held_world):
    """However short it was over the limit, and though the task goes on and ends well."""
    held_world.limit(memory_mb=64)
    result = held_world.run(
        "set +x; head -c 90000000 /dev/zero | tail -c 80000000 >/dev/null; true"
    )
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.MEMORY_LIMIT)
    assert result.detail == "task task1 needed more memory than its limit of 64 MiB"


def test_memory_in_files_that_nobody_maps_is_held(held_world, place):
    """The kernel charges also what is in no address space and in no directory."""
    held_world.limit(memory_mb=64)
    program = (
        "import os, time; file = os.memfd_create('x'); "
        "[os.write(file, bytes(1 << 20)) for _ in range(100)]; time.sleep(60)"
    )
    assert held_world.run(f'/usr/bin/python3 -c "{program}"').reason is Reason.MEMORY_LIMIT


def test_files_on_disk_are_no_memory(held_world, place):
    """What the kernel keeps of files it forgets again: a build may write more than its memory."""
    kind = subprocess.check_output(["stat", "--file-system", "--format=%T", place], text=True)
    if kind.strip() in {"tmpfs", "ramfs"}:
        pytest.skip(f"{place} itself is in memory")
    held_world.limit(memory_mb=64)
    script = "set +x; head -c 200000000 /dev/zero >file; cat file file >/dev/null"
    assert held_world.run(script).status is BuildStatus.SUCCEEDED


def test_memory_of_one_build_ends_no_other(make_world, sandbox, place, give_groups):
    """The one that is over its limit goes, and soon; the one beside it does not notice."""
    groups = ControlGroups(give_groups("memory", "pids"))
    groups.prepare()
    eater, other = make_world(sandbox), make_world(sandbox)
    for world in (eater, other):
        world.groups = groups
        world.limit(memory_mb=64, pids=30)
    other.work_root = place / "other"
    beside = other.begin("set +x; echo ready; while [ ! -e stop ]; do sleep 0.1; done", build_id=8)
    other.recorder.wait_for_log(1, "ready")
    assert eater.run("set +x; tail /dev/zero; sleep 60").reason is Reason.MEMORY_LIMIT
    (place / "other" / "build-8-1" / "home" / "stop").touch()
    beside.join()
    assert other.recorder.result.status is BuildStatus.SUCCEEDED


def test_the_kernel_refuses_processes(make_world, sandbox, give_groups):
    """A fork bomb never gets large, in either sandbox, and no group is left."""
    given = give_groups("pids")
    world = make_world(sandbox)
    world.groups = ControlGroups(given)
    world.groups.prepare()
    world.limit(pids=30)
    assert world.run(FORK_BOMB).reason is Reason.PIDS_LIMIT
    assert inside(given) == []


def test_a_process_that_was_refused_is_enough(make_world, plain, give_groups):
    """However short it was over the limit: the kernel counts what nobody has the time to see."""
    world = make_world(plain)
    world.groups = ControlGroups(give_groups("pids"))
    world.groups.prepare()
    world.limit(pids=30)
    program = (
        "import os\n"
        "end, begin = os.pipe()\n"
        "try:\n"
        "    for _ in range(80):\n"
        "        if os.fork() == 0: os._exit(os.close(begin) or len(os.read(end, 1)))\n"
        "except BlockingIOError: print('refused')\n"
    )
    result = world.run(f"cat >burst <<'END'\n{program}END\n/usr/bin/python3 burst")
    assert result.reason is Reason.PIDS_LIMIT
    assert "\nrefused\n" in world.recorder.log(1)


def test_who_hides_is_found_in_its_group(make_world, sandbox, give_groups, tools):
    """A program that threw its marker and session away ends with its task all the same."""
    given = give_groups("pids")
    mark = f"43{os.getpid()}"
    world = make_world(sandbox)
    world.groups = ControlGroups(given)
    world.groups.prepare()
    world.limit(pids=30)
    result = world.run(f"{HIDDEN.format(mark)} sleep 0.1")
    assert result.status is BuildStatus.SUCCEEDED
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))
    assert inside(given) == []


def test_leftovers_of_a_killed_server_go(give_groups, begin_server, tools):
    """At the next start: its processes, its groups, and those that a build made in them."""
    given = give_groups("pids")
    mark = f"44{os.getpid()}"
    server, _ = begin_server(given, HIDDEN.format(mark))
    assert tools.eventually(lambda: tools.programs_with(f"sleep\0{mark}"))
    server.send_signal(signal.SIGKILL)
    server.wait()
    for path in given:
        (path / "build-1-1" / "inner" / "deeper").mkdir(parents=True)
    assert tools.programs_with(f"sleep\0{mark}")
    ControlGroups(given).prepare()
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))
    assert inside(given) == []


def test_two_servers_do_not_share_groups(give_groups, begin_server, tools):
    """The second leaves them out, and the builds of the first alone."""
    given = give_groups("pids")
    mark = f"45{os.getpid()}"
    server, _ = begin_server(given, HIDDEN.format(mark))
    assert tools.eventually(lambda: tools.programs_with(f"sleep\0{mark}"))
    second = ControlGroups(given)
    second.prepare()
    with second.group("2-1", Limits(pids=10)) as groups:
        assert groups.paths == ()
    assert tools.programs_with(f"sleep\0{mark}")
    server.kill()
    server.wait()
    third = ControlGroups(given)
    third.prepare()
    with third.group("3-1", Limits(pids=10)) as groups:
        assert len(groups.paths) == len(given)


def test_a_server_in_its_own_group_makes_room(give_groups, begin_server):
    """In version 2 a group that shares out its controllers has no processes: the server moves
    into one beneath it.
    """
    (given,) = give_groups("pids")
    if not (given / "cgroup.controllers").exists():
        pytest.skip("control groups of version 1 hold processes beside other groups")
    server, (made, group) = begin_server((given,), within=given)
    assert (made, group.rpartition("/")[2]) == ("1", "server")
    server.kill()
    server.wait()
    _, (made, _) = begin_server((given,), within=given / "server")
    assert made == "1"


def test_what_the_groups_hold_is_told(give_groups):
    """Both, or what is missing: one controller alone leaves the other limit to be measured."""
    (pids,) = give_groups("pids")
    mounts = read_hierarchies(Path("/proc/self/mountinfo").read_text())
    faults = ControlGroups((pids,)).faults()
    if hierarchy_of(pids, mounts).version == 1:
        assert faults == (f"{pids} does not control memory",)
    assert ControlGroups(()).faults() == ()


def test_given_groups_have_no_fault(give_groups):
    """Whatever the version, with both controllers there is nothing to say."""
    assert ControlGroups(give_groups("memory", "pids")).faults() == ()


def test_a_full_group_is_left_in_time(give_groups):
    """A group that cannot be removed holds nothing up for long, and its name is not used twice."""
    given = give_groups("pids")
    groups = ControlGroups(given)
    groups.prepare()
    with groups.group("1-1", Limits(pids=10)) as first:
        assert len(first.paths) == len(given)
        with groups.group("1-1", Limits(pids=10)) as second:
            assert second.paths == ()
    assert inside(given) == []


def test_what_is_no_control_group_is_told_and_left_out(make_world, sandbox, place):
    """Limits hold without it."""
    groups = ControlGroups((place / "nothing", place))
    assert all("is not a control group" in fault for fault in groups.faults())
    assert len(groups.faults()) == 2
    groups.prepare()
    world = make_world(sandbox)
    world.groups = groups
    world.limit(pids=10)
    script = "set +x; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; wait"
    assert world.run(script).reason is Reason.PIDS_LIMIT


def test_a_kill_for_memory_is_noticed_soon(held_world):
    """Within a second of it, where the kernel left something of the task to wait for a minute."""
    held_world.limit(memory_mb=64)
    recorder = held_world.recorder
    build = held_world.begin("set +x; tail /dev/zero || echo killed; sleep 60")
    recorder.wait_for(lambda: "killed" in recorder.log(1) or recorder.result)
    began = time.monotonic()
    build.join()
    assert time.monotonic() - began < 1
    assert recorder.result.reason is Reason.MEMORY_LIMIT
