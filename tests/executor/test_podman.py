"""What only podman promises."""

import os
import signal
import subprocess
from contextlib import closing
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from support import internet as network
from support.internet import NAME_SERVER, PRIVATE, PUBLIC, Internet

from ciserver.executor.choice import choose
from ciserver.executor.containers import sweep
from ciserver.executor.groups import ControlGroups
from ciserver.executor.isolated import IsolatedNetworks
from ciserver.executor.network_choice import choose_networks
from ciserver.executor.podman import Podman
from ciserver.model.build import Source
from ciserver.model.status import BuildStatus, Reason


@pytest.fixture
def inside(podman, make_world):
    return make_world(podman)


@pytest.fixture
def internet():
    if fault := network.fault():
        is_due = os.environ.get("CI") == "true" and os.geteuid() == 0
        if is_due and "CISERVER_NESTED" not in os.environ:
            pytest.fail(fault)
        pytest.skip(fault)
    made = Internet()
    yield made
    made.close()


def is_there(name):
    """Whether podman knows the container, also one that has ended."""
    done = subprocess.run(("podman", "container", "exists", name), check=False)
    return done.returncode == 0


def running(world, tools):
    """The first process that is podman for each container of this world, by its name: one that is
    not root starts another one in a user namespace.
    """
    found = {}
    for pid, line in tools.programs_with(str(world.work_root)):
        words = line.decode().split("\0")
        if words[0] == "podman":
            name = words[words.index("--name") + 1]
            found[name] = min(int(pid), found.get(name, int(pid)))
    return found


def test_the_machine_is_read_only_and_mostly_absent(inside, place):
    """Only the system can be read, only home, /tmp and memory written."""
    (place / "other").write_text("not for builds")
    result = inside.run(
        f"set +x; test ! -e {place}; test -z $(ls /root); test ! -e /var/lib; "
        "for f in /x /usr/x /etc/x /root/x; do "
        "if (: > $f) 2>/dev/null; then echo wrote $f; exit 1; fi; done; "
        "touch ~/x /tmp/x /var/tmp/y /dev/shm/x /run/x; test -e /tmp/y"
    )
    assert result.status is BuildStatus.SUCCEEDED, inside.recorder.log(1)


def test_a_task_is_somebody_without_rights(inside):
    """User build, no capabilities, own host name, own processes, no way to more rights."""
    result = inside.run(
        'set +x; test "$(id -un):$(id -gn)" = build:build; test "$(id -u)" != 0; '
        'test "$(id -G)" = "$(id -g)"; '
        'test "$(getent passwd build | cut -d: -f6)" = /home/build; test "$(hostname)" = build; '
        'test "$(ls -d /proc/[0-9]* | wc -l)" -lt 8; '
        'for set in Inh Prm Eff Bnd Amb; do grep -q "^Cap$set:.0*$" /proc/self/status; done; '
        "grep -q '^NoNewPrivs:.1$' /proc/self/status; grep -q '^Seccomp:.2$' /proc/self/status; "
        "test ! -r /etc/shadow"
    )
    assert result.status is BuildStatus.SUCCEEDED, inside.recorder.log(1)


def test_a_task_has_no_variables_but_its_own(inside):
    """Neither those of the server nor of podman, nor what the server marks its processes with."""
    inside.run("set +x; printenv; tr '\\0' '\\n' </proc/1/environ | grep -v ^CISERVER_ATTEMPT=")
    names = {line.partition("=")[0] for line in inside.recorder.log(1).splitlines()[1:]}
    ours = {"CISERVER_ATTEMPT", "PYTEST_CURRENT_TEST", "VIRTUAL_ENV", "XDG_RUNTIME_DIR"}
    assert "HOME" in names
    assert not names & {*ours, "container", "CONTAINER"}


def test_hidden_places_are_covered(podman_runtime, tools, make_world, place):
    """Data and configuration beneath a readable directory are empty, neighbours not."""
    shown = place / "shown, of: all"
    (shown / "data").mkdir(parents=True)
    for name in ("data/database", "config.toml", "public"):
        (shown / name).write_text(name)
    sandbox = Podman(
        user=tools.build_user(),
        place=place / "podman",
        readable=(shown,),
        hidden=(shown / "data", shown / "config.toml", shown / "not there", place / "elsewhere"),
        runtime=podman_runtime,
    )
    world = make_world(sandbox)
    result = world.run(
        f'cd "{shown}"; test -z "$(ls data)"; test -z "$(cat config.toml 2>/dev/null)"; '
        "test ! -w data; cat public; if touch public; then exit 1; fi"
    )
    assert result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)


def test_borrowed_objects_are_readable_inside(inside, place):
    """What a source borrows is bound where the source was told, read-only."""
    objects = place / "mirror" / "objects"
    objects.mkdir(parents=True)
    (objects / "pack").write_text("packed\n")

    class Borrowing:
        def put(self, work, source, into, objects_at):
            into.mkdir()
            (into / "alternates").write_text(objects_at(objects))
            return (objects,)

    inside.sources = Borrowing()
    result = inside.run(
        'cat "$(cat one/alternates)/pack"; if touch "$(cat one/alternates)/x"; then exit 1; fi',
        sources=(Source(uri="x", directory="one"), Source(uri="x", directory="two")),
    )
    assert result.status is BuildStatus.SUCCEEDED, inside.recorder.log(1)
    assert "packed" in inside.recorder.log(1)


def test_a_sandbox_that_cannot_be_set_up_gives_the_build_back(podman, make_world, place):
    """That podman fails is no verdict about the job; its words are in the reason."""

    class Vanishing:
        def put(self, work, source, into, objects_at):
            into.mkdir()
            return (place / "vanished",)

    world = make_world(podman)
    world.sources = Vanishing()
    assert world.run("true", sources=(Source(uri="x", directory="one"),)) is None
    assert "podman could not set up the sandbox" in world.recorder.given_back[0]
    assert "vanished" in world.recorder.given_back[0]


@pytest.mark.parametrize("status", [125, 126, 127])
def test_a_task_cannot_pretend_that_the_sandbox_failed(inside, status):
    """Also with a status by which podman tells faults of its own."""
    result = inside.run(f"echo Error: crun: broken; exit {status}")
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.EXIT_CODE)


def test_podman_that_is_killed_takes_its_container_along(inside, tools):
    """The build is given back, and nothing of it lives."""
    mark = f"43{os.getpid()}"
    build = inside.begin(f"set +x; setsid sleep {mark}1 & echo ready; sleep {mark}2")
    inside.recorder.wait_for_log(1, "\nready")
    assert tools.eventually(lambda: len(tools.programs_with(f"sleep\0{mark}")) == 2)
    ((name, pid),) = running(inside, tools).items()
    assert is_there(name)
    os.kill(pid, signal.SIGKILL)
    build.join()
    assert inside.recorder.given_back == ["podman was ended by signal 9"]
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))
    assert not is_there(name)


def test_nothing_is_left_of_a_container(inside, tools):
    """Of one whose build was canceled, too."""
    build = inside.begin("set +x; echo ready; sleep 60")
    inside.recorder.wait_for_log(1, "\nready")
    (name,) = running(inside, tools)
    assert is_there(name)
    inside.stop.set()
    build.join()
    assert not is_there(name)


def test_leftovers_are_found_by_their_place(inside, place, tools):
    """The next start ends what worked beneath its directory, and leaves others alone."""
    build = inside.begin("set +x; trap '' TERM; echo ready; sleep 60")
    inside.recorder.wait_for_log(1, "\nready")
    (name,) = running(inside, tools)
    sweep(place / "other")
    assert is_there(name)
    sweep(inside.work_root)
    build.join()
    assert not is_there(name)
    assert inside.recorder.result.detail.endswith("(SIGKILL)")


def test_the_kernel_refuses_more_processes(inside):
    """So that a fork bomb never gets large, whatever the server measures."""
    inside.limit(pids=20)
    fork = (
        "import os, time\n"
        "for _ in range(200):\n"
        "    try: os.fork() or (time.sleep(5), os._exit(0))\n"
        "    except BlockingIOError: print('refused', flush=True); break\n"
        "time.sleep(5)\n"
    )
    result = inside.run(f"cat >fork <<'END'\n{fork}END\nset +x; /usr/bin/python3 fork")
    assert result.reason is Reason.PIDS_LIMIT
    assert "refused" in inside.recorder.log(1)


def test_a_task_begins_in_its_control_group(inside, give_groups, tools):
    """Not in one of podman's, and neither is podman itself in the task's."""
    inside.groups = ControlGroups(give_groups("pids"))
    inside.groups.prepare()
    inside.limit(pids=50)
    mark = f"46{os.getpid()}"
    build = inside.begin(f"set +x; echo ready; sleep {mark}")
    inside.recorder.wait_for_log(1, "\nready")
    assert tools.eventually(lambda: tools.programs_with(f"sleep\0{mark}"))
    ((pid, _),) = tools.programs_with(f"sleep\0{mark}")
    (own,) = running(inside, tools).values()
    memberships = [Path(f"/proc/{one}/cgroup").read_text() for one in (pid, own)]
    assert ["/build-7-1\n" in one for one in memberships] == [True, False]
    inside.stop.set()
    build.join()


def test_one_file_is_held_by_the_kernel(inside):
    """As large as all files of the build may be."""
    inside.limit(disk_mb=20)
    inside.run("set +x; ulimit -f")
    assert "20480\n" in inside.recorder.log(1)


def test_files_in_memory_are_memory(inside):
    """What lies in /dev/shm belongs to no process, and counts."""
    inside.limit(memory_mb=64)
    result = inside.run("set +x; head -c 100000000 /dev/zero >/dev/shm/file; sleep 60")
    assert result.reason is Reason.MEMORY_LIMIT


def test_podman_is_taken_by_name_alone(podman_runtime, tools, place):
    """And tried out, then."""
    chosen = choose("podman", user=tools.build_user(), place=place)
    assert (chosen.name, chosen.runtime) == ("podman", podman_runtime)
    assert choose("auto", user=tools.build_user(), place=place).name != "podman"


def test_a_build_joins_the_network_that_was_made_for_it(inside, podman, internet, tmp_path):
    """It reaches what is public and has its name server, and nothing private."""
    resolver = tmp_path / "resolv.conf"
    resolver.write_text(f"nameserver {NAME_SERVER}\nsearch example.org\n")
    pool = IPv4Network("198.18.0.0/15")
    networks = choose_networks("isolated", podman, allowed=(), pool=pool, resolver=resolver)
    assert isinstance(networks, IsolatedNetworks), networks
    inside.networks = networks
    with closing(networks):
        result = inside.run(
            f"set +x; cat /etc/resolv.conf; : </dev/tcp/{PUBLIC}/80; echo public; "
            f"if (: </dev/tcp/{PRIVATE[0]}/80) 2>/dev/null; then echo private; fi"
        )
    log = inside.recorder.log(1)
    assert result.status is BuildStatus.SUCCEEDED, log
    assert f"nameserver {NAME_SERVER}\n" in log
    assert log.endswith("public\n")
    assert "network: isolated" in inside.recorder.log(0)
