"""Memory, processes and disk of a build are limited, in every sandbox."""

import os

import pytest

from ciserver.model.build import Resources
from ciserver.model.status import BuildStatus, Reason, StepStatus

FORKS = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; wait"
FORK_BOMB = "set +x; bomb() { bomb | bomb & wait; }; bomb; sleep 60"


# Of a thousand processes, so that what only looking ends is a bomb and harms no machine.
BOUNDED_BOMB = (
    "set +x; bomb() { [ $1 = 0 ] || { bomb $(($1 - 1)) & bomb $(($1 - 1)) & }; sleep 60; }; bomb 8"
)


def test_a_task_that_eats_memory_is_ended(make_held_world):
    """With a reason of its own, soon; and the next build is none the worse."""
    world = make_held_world("memory")
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


def test_memory_of_all_processes_counts_together(make_held_world):
    """Ten processes that need little each are over the limit as one that needs much."""
    world = make_held_world("memory")
    world.limit(memory_mb=64)
    eater = "head -c 12000000 /dev/zero | tail -c 11000000 | (sleep 60; cat) &"
    assert world.run(f"set +x; for n in 1 2 3 4 5 6 7 8 9 10; do {eater} done; wait").reason is (
        Reason.MEMORY_LIMIT
    )


def test_memory_that_processes_share_counts_once(make_held_world):
    """Children that only look at what their parent has cost nothing."""
    world = make_held_world("memory")
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


def test_a_task_that_forks_is_ended(make_held_world, tools):
    """With its reason, and everything that it started with it."""
    world = make_held_world("pids")
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


def test_a_fork_bomb_leaves_nothing(make_held_world, tools):
    """Also where nothing but looking finds it: all of it goes, and the next build runs."""
    world = make_held_world("pids")
    world.limit(pids=50)
    mark = f"37{os.getpid()}"
    assert world.run(BOUNDED_BOMB.replace("60", mark)).reason is Reason.PIDS_LIMIT
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))
    world.recorder.result = None
    world.recorder.logs.clear()
    assert world.run("echo well").status is BuildStatus.SUCCEEDED


def test_a_task_begins_with_three_files(world):
    """No descriptor of the server reaches a task: it has its input and output alone."""
    listed = "import os; print('open', sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"
    world.run(f'set +x; /usr/bin/python3 -c "{listed}"')
    assert "open ['0', '1', '2']\n" in world.recorder.log(1)


def test_a_task_that_opens_all_files_harms_nobody(make_world, sandbox, place):
    """It is refused more by the kernel, and may say so; a build beside it does not notice."""
    greedy, other = make_world(sandbox), make_world(sandbox)
    other.work_root = place / "other"
    program = (
        "import itertools, os, time\n"
        "def take():\n"
        "    for number in itertools.count():\n"
        "        try: os.open('/dev/null', os.O_RDONLY)\n"
        "        except OSError as error: return number, error.errno == 24\n"
        "held = [(os.pipe(), os.fork())[1] for _ in range(3)]\n"
        "print('refused', *take(), flush=True)\n"
        "time.sleep(60)\n"
    )
    build = greedy.begin(f"cat >greedy <<'END'\n{program}END\nset +x; /usr/bin/python3 greedy")
    greedy.recorder.wait_for(lambda: greedy.recorder.log(1).count(" True\n") == 8)
    assert other.run("exec 9<>file; echo well >&9; cat file").status is BuildStatus.SUCCEEDED
    greedy.stop.set()
    build.join()
    assert greedy.recorder.result.status is BuildStatus.CANCELED


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
