"""Memory, processes and disk of a build are limited, in every sandbox."""

import os
from pathlib import Path

import pytest

from ciserver.executor.groups import ControlGroups
from ciserver.model.build import Resources
from ciserver.model.status import BuildStatus, Reason, StepStatus

FORKS = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; wait"
FORK_BOMB = "set +x; bomb() { bomb | bomb & wait; }; bomb; sleep 60"


def of_cgroup_1(controller):
    """The control group of version 1 that this process is in, where it is nobody's but ours."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == controller and path == "/":
            return Path("/sys/fs/cgroup", controller)
    return None


def test_a_task_that_eats_memory_is_ended(world):
    """With a reason of its own, soon; and the next build is none the worse."""
    world.limit(memory_mb=64)
    result = world.run("set +x; tail /dev/zero; sleep 60")
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.MEMORY_LIMIT)
    assert result.detail == "task task1 needed more memory than its limit of 64 MiB"
    assert world.recorder.steps == (world.recorder.steps[0],)
    assert world.recorder.steps[0].status is StepStatus.FAILED
    assert world.recorder.log(1).endswith(f"{result.detail}\n")
    world.recorder.result = None
    world.recorder.logs.clear()
    assert world.run("echo well").status is BuildStatus.SUCCEEDED


def test_memory_of_all_processes_counts_together(world):
    """Ten processes that need little each are over the limit as one that needs much."""
    world.limit(memory_mb=64)
    eater = "head -c 12000000 /dev/zero | tail -c 11000000 | (sleep 60; cat) &"
    assert world.run(f"set +x; for n in 1 2 3 4 5 6 7 8 9 10; do {eater} done; wait").reason is (
        Reason.MEMORY_LIMIT
    )


def test_memory_that_processes_share_counts_once(world):
    """Children that only look at what their parent has cost nothing."""
    world.limit(memory_mb=96)
    program = (
        "import os, time; held = bytearray(b'x') * (50 << 20); "
        "[os.fork() or (time.sleep(1.5), os._exit(0)) for _ in range(4)]; "
        "[os.wait() for _ in range(4)]"
    )
    result = world.run(f'/usr/bin/python3 -c "{program}"')
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)


def test_files_in_memory_are_memory(make_world, bubblewrap):
    """What lies in /dev/shm belongs to no process, and counts."""
    world = make_world(bubblewrap)
    world.limit(memory_mb=64)
    result = world.run("set +x; head -c 100000000 /dev/zero >/dev/shm/file; sleep 60")
    assert result.reason is Reason.MEMORY_LIMIT


def test_a_task_that_forks_is_ended(world, tools):
    """With its reason, and everything that it started with it."""
    world.limit(pids=10)
    mark = f"36{os.getpid()}"
    result = world.run(f"set +x; {FORKS.replace('60', mark)}")
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.PIDS_LIMIT)
    assert result.detail == "task task1 had more processes and threads than its limit of 10"
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))


def test_a_fork_bomb_is_held(make_world, bubblewrap):
    """In bubblewrap the kernel refuses more, so it never gets large."""
    world = make_world(bubblewrap)
    world.limit(pids=50)
    assert world.run(FORK_BOMB).reason is Reason.PIDS_LIMIT


def test_the_processes_of_other_builds_do_not_count(make_world, sandbox, place):
    """Each of two builds at once has its own limit."""
    worlds = [make_world(sandbox) for _ in range(2)]
    builds = []
    for number, world in enumerate(worlds):
        world.work_root = place / f"work{number}"
        world.limit(pids=16)
        builds.append(world.begin(f"set +x; {FORKS.replace('60', '1')}", build_id=number))
    for build in builds:
        build.join()
    assert [one.recorder.result.status for one in worlds] == [BuildStatus.SUCCEEDED] * 2


@pytest.mark.parametrize("folder", ["$HOME", "${TMPDIR:-/tmp}"])
def test_a_task_that_fills_the_disk_is_ended(world, folder):
    """Whatever the number of its files, in the home and in the temporary directory."""
    world.limit(disk_mb=20)
    result = world.run(
        f'set +x; for n in 1 2 3 4 5 6; do head -c 5000000 /dev/zero >"{folder}/$n"; done; sleep 60'
    )
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.DISK_LIMIT)
    assert result.detail == ("the files of the build took more disk space than its limit of 20 MiB")


def test_one_file_never_grows_over_the_limit(world):
    """The kernel stops it there, and a task that ends of it ends with the reason."""
    world.limit(disk_mb=20)
    result = world.run('set +x; head -c 500000000 /dev/zero >file; stat -c "size %s" file; false')
    assert result.reason is Reason.DISK_LIMIT


def test_a_deep_tree_costs_nothing(world):
    """A tree whose paths are longer than any path may be is measured like others."""
    world.limit(disk_mb=20)
    deep = "import os; [os.mkdir('d') or os.chdir('d') for _ in range(5000)]"
    assert world.run(f'/usr/bin/python3 -c "{deep}"; sleep 1').status is BuildStatus.SUCCEEDED


def test_a_job_within_its_limits_succeeds(world):
    """A limit that holds is not felt."""
    world.limit(memory_mb=200, pids=20, disk_mb=20)
    result = world.run("head -c 5000000 /dev/zero >file; (sleep 0.6 & sleep 0.6 & wait)")
    assert result.status is BuildStatus.SUCCEEDED
    said = "limits: memory 200 MiB, 20 processes and threads, disk 20 MiB\n"
    assert said in world.recorder.log(0)


def test_the_recipe_has_the_last_word(world):
    """What a job says of its own takes the place of the server's limit."""
    world.limit(pids=3, disk_mb=1)
    result = world.run(
        "set +x; head -c 3000000 /dev/zero >file; for n in 1 2 3 4 5; do sleep 1 & done; wait",
        resources=Resources(pids=20, disk_mb=100),
    )
    assert result.status is BuildStatus.SUCCEEDED


@pytest.fixture
def given_group():
    """A control group made for the server, where this machine has version 1 of them."""
    parent = of_cgroup_1("pids")
    if os.geteuid() != 0 or parent is None or not os.access(parent, os.W_OK):
        pytest.skip("control groups of version 1 cannot be made here")
    made = parent / f"ciserver-test-{os.getpid()}"
    made.mkdir()
    yield made
    made.rmdir()


def test_a_control_group_holds_processes(make_world, sandbox, place, given_group):
    """The kernel itself refuses a process over the limit, in either sandbox; nothing is left."""
    (given_group / "build-left-behind").mkdir()
    groups = ControlGroups((given_group,))
    assert groups.faults() == ()
    groups.prepare()
    world = make_world(sandbox)
    world.groups = groups
    world.limit(pids=30)
    assert world.run(FORK_BOMB).reason is Reason.PIDS_LIMIT
    assert [one for one in given_group.iterdir() if one.is_dir()] == []


def test_a_process_that_was_refused_is_enough(make_world, plain, given_group):
    """However short it was over the limit: the kernel counts what nobody has the time to see."""
    world = make_world(plain)
    world.groups = ControlGroups((given_group,))
    world.limit(pids=30)
    script = "set +x; for n in {1..80}; do sleep 0.05 & done; wait; true"
    assert world.run(script).reason is Reason.PIDS_LIMIT


def test_what_is_no_control_group_is_told_and_left_out(make_world, sandbox, place):
    """Limits hold without it."""
    groups = ControlGroups((place / "nothing",))
    assert "is not a control group" in groups.faults()[0]
    groups.prepare()
    world = make_world(sandbox)
    world.groups = groups
    world.limit(pids=10)
    assert world.run(f"set +x; {FORKS}").reason is Reason.PIDS_LIMIT
