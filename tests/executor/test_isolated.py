"""Networks of builds' own: what they reach, what they do not, and what is left of them.

Everything happens on a machine in network namespaces, whose internet is another namespace.
"""

import os
import signal
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from support import internet as network
from support.internet import MACHINE, NAME_SERVER, PRIVATE, PUBLIC, PUBLIC_V6, said_by
from support.waiting import until

from ciserver.executor.isolated import IsolatedNetworks
from ciserver.executor.network import HOST
from ciserver.executor.network_choice import choose_networks
from ciserver.executor.network_rules import NameServers
from ciserver.executor.sandbox import SandboxBroken
from ciserver.model.push import Trust
from ciserver.model.reach import Reach
from ciserver.model.status import BuildStatus

POOL = IPv4Network("198.18.0.0/15")


@pytest.fixture
def choose(internet, bubblewrap, tmp_path):
    """Chooses networks, for a machine whose name servers are these."""
    chosen = []

    def choose(kind="isolated", *, allowed=(), names=(NAME_SERVER,), pool=POOL):
        resolver = tmp_path / "resolv.conf"
        resolver.write_text("".join(f"nameserver {one}\n" for one in names))
        reach = tuple(map(Reach.parse, allowed))
        found = choose_networks(kind, bubblewrap, allowed=reach, pool=pool, resolver=resolver)
        chosen.append(found)
        return found

    yield choose
    for one in chosen:
        if not isinstance(one, SandboxBroken):
            one.close()


@pytest.fixture
def isolated(choose, make_world, bubblewrap):
    """A world whose builds have a network of their own."""

    def make(**words):
        world = make_world(bubblewrap)
        world.networks = choose(**words)
        assert isinstance(world.networks, IsolatedNetworks), world.networks
        return world

    return make


def knock(*places):
    """A script that says of each HOST/PORT whether it is reached."""
    return "\n".join(
        f"if (: </dev/tcp/{one}) 2>/dev/null; then echo +{one}; else echo -{one}; fi"
        for one in places
    )


def heard(world):
    """What a build that knocked was told, in order."""
    assert world.recorder.result.status is BuildStatus.SUCCEEDED, world.recorder.log(1)
    return [line for line in world.recorder.log(1).splitlines() if line[0] in "+-" and "/" in line]


def knocked(world, *places):
    world.run("set +x\n" + knock(*places))
    return [line for line in heard(world) if line[1:] in places]


def test_a_build_reaches_what_is_public(isolated, internet):
    """Its connections come from the machine, whose log of the setup says what the build has."""
    world = isolated()
    assert knocked(world, f"{PUBLIC}/80") == [f"+{PUBLIC}/80"]
    until(lambda: internet.peers, what="the public host to look who came")
    assert set(internet.peers) == {MACHINE}
    assert "network: isolated (public IPv4 addresses, no private ones)" in world.recorder.log(0)


def test_a_build_does_not_reach_what_is_private(isolated, internet):
    """Private networks, the machine at each of its addresses, metadata of clouds, and IPv6. Each of
    them would answer to the machine itself.
    """
    port, port_v6 = internet.greet("0.0.0.0", 0), internet.greet("::1", 0)
    there = [*(f"{one}/80" for one in (*PRIVATE, NAME_SERVER, PUBLIC_V6)), f"::1/{port_v6}"]
    there += [f"{one}/{port}" for one in ("127.0.0.1", MACHINE)]
    script = "set +x; " + knock(*there)
    control = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert control.stdout.split() == [f"+{one}" for one in there]
    world = isolated()
    gateways = [f"198.18.0.0/{port}", f"198.18.0.2/{port}"]
    assert knocked(world, *there, *gateways) == [f"-{one}" for one in (*there, *gateways)]


def test_what_is_allowed_is_reached(isolated, internet):
    """An address at one port, a network, and the machine itself where it is named."""
    port, other = internet.greet("0.0.0.0", 0), internet.greet("0.0.0.0", 0)
    world = isolated(
        allowed=("10.1.2.3:80", "192.168.7.0/24", f"{MACHINE}:{port}", "172.16.5.5:81")
    )
    reached = ("10.1.2.3/80", "192.168.7.7/80", f"{MACHINE}/{port}")
    refused = ("172.16.5.5/80", f"{MACHINE}/{other}", "10.0.0.53/80")
    told = knocked(world, *reached, *refused)
    assert told == [*(f"+{one}" for one in reached), *(f"-{one}" for one in refused)]
    assert f"no private ones, but for 10.1.2.3:80, 192.168.7.0/24, {MACHINE}:{port}, " in (
        world.recorder.log(0)
    )


@pytest.mark.parametrize(("server", "is_here"), [(NAME_SERVER, False), ("127.0.0.53", True)])
def test_names_are_resolved(isolated, internet, server, is_here):
    """By the machine's own resolver, on a private address or on its loopback."""
    answer = lambda: internet.answer_names(server)  # noqa: E731
    answer() if is_here else internet.inside(answer)
    port = internet.greet("127.0.0.53", 0) if is_here else 80
    world = isolated(names=(server,))
    world.run(f"set +x; getent ahostsv4 git.example.org\n{knock(f'{server}/{port}')}")
    log = world.recorder.log(1)
    assert f"{PUBLIC} " in log
    assert f"-{server}/{port}" in log


def test_builds_do_not_reach_each_other(isolated, internet):
    """Nor does another program of the machine, or somebody who knows the way, reach what a build
    listens on.
    """
    first = isolated()
    serve = (
        "import socket; one = socket.create_server(('0.0.0.0', 8000)); print('ready', flush=True); "
        "[one.accept() for _ in range(100)]"
    )
    with first.networks.use() as theirs, first.networks.use() as mine:
        process = first.sandbox.start(
            ("/usr/bin/python3", "-c", serve),
            home=first.work_root.parent,
            tmp=first.work_root.parent,
            environment={},
            network=theirs,
            readable=(),
        )
        try:
            os.set_blocking(process.output, True)
            assert os.read(process.output, 100) == b"ready\n"
            address = said_by(*theirs.enter, "ip", "-4", "-brief", "addr", "show", "eth0")
            place = f"{address.split()[2].partition('/')[0]}/8000"
            for enter, told in ((theirs.enter, "+"), (mine.enter, "-"), ((), "-")):
                assert said_by(*enter, *patient(place)).strip() == f"{told}{place}"
            internet.inside(lambda: network.ip(f"route add {POOL} via {MACHINE}"))
            assert internet.inside(lambda: said_by(*patient(place))).strip() == f"-{place}"
        finally:
            first.sandbox.kill(process)
            process.close()


def patient(place):
    return ("bash", "-c", f"timeout 2 bash -c '{knock(place)}' || echo -{place}")


def test_a_build_cannot_change_its_network(isolated):
    """Not the links, not the ways, not the rules; root of a user namespace is nobody there."""
    world = isolated()
    tries = (
        "ip link set eth0 down",
        "ip route replace default dev lo",
        "ip addr add 10.1.1.1/24 dev eth0",
        "nft flush ruleset",
        "nsenter --net=/proc/1/ns/net true",
    )
    script = "\n".join(f"if {one}; then echo DONE {one}; fi" for one in tries)
    rooted = f"unshare --user --map-root-user bash -c '{script}' || true"
    world.run(f"set +x\nexport PATH=$PATH:/usr/sbin\n{script}\n{rooted}\n{knock(PUBLIC + '/80')}")
    assert "DONE" not in world.recorder.log(1)
    assert heard(world)[-1] == f"+{PUBLIC}/80"


def test_a_recipe_may_want_none(isolated):
    """Then there is no link at all."""
    world = isolated()
    world.run(f"set +x\n{knock(PUBLIC + '/80')}\nwc -l </proc/net/dev", network=False)
    assert "network: none" in world.recorder.log(0)
    assert heard(world) == [f"-{PUBLIC}/80"]
    assert world.recorder.log(1).endswith("\n3\n")


def test_what_is_untrusted_has_one_of_its_own_or_none(isolated, choose):
    """Never that of the machine, whatever its recipe and the settings of a worker say."""
    world = isolated()
    world.run(f"set +x\n{knock(PUBLIC + '/80')}", trust=Trust.UNTRUSTED)
    assert heard(world) == [f"+{PUBLIC}/80"]
    world.networks, world.recorder = choose("host"), type(world.recorder)()
    world.run(f"set +x\n{knock(PUBLIC + '/80')}", trust=Trust.UNTRUSTED)
    assert heard(world) == [f"-{PUBLIC}/80"]
    assert "network: none, as this build is untrusted" in world.recorder.log(0)


def test_no_network_for_any_build(choose, make_world, bubblewrap):
    """Where the settings say none."""
    world = make_world(bubblewrap)
    world.networks = choose("none")
    assert knocked(world, f"{PUBLIC}/80") == [f"-{PUBLIC}/80"]
    assert "network: none" in world.recorder.log(0)


def test_networks_are_used_again_when_they_are_empty(choose):
    """One with a process in it is cut off from everything instead."""
    networks = choose()
    with networks.use() as first, networks.use() as second:
        assert first.namespace != second.namespace
    with networks.use() as third:
        assert third.namespace == first.namespace
        left = subprocess.Popen([*third.enter, "sh", "-c", "echo in; exec sleep 60"], stdout=-1)
        assert left.stdout.readline() == b"in\n"
    try:
        with networks.use() as other, networks.use() as another:
            inodes = {one.namespace.stat().st_ino for one in (other, another)}
            assert Path(f"/proc/{left.pid}/ns/net").stat().st_ino not in inodes
        links = said_by("nsenter", f"--net=/proc/{left.pid}/ns/net", "ip", "-brief", "link")
        assert "eth0" not in links
    finally:
        left.kill()
        left.communicate()


def test_nothing_is_left_at_the_end(choose, internet):
    """No rule, no link, no namespace; the machine forwards as before."""
    networks = choose()
    with networks.use(), networks.use():
        assert "ci0-1" in said_by("ip", "-brief", "link")
    networks.close()
    networks.close()
    assert said_by("nft", "list", "tables") == ""
    assert "ci0-" not in said_by("ip", "-brief", "link")
    assert [one.name for one in run_files(internet)] == ["lock"]


def run_files(internet):
    folder = Path("/run/ciserver/networks", str(internet.inode))
    return [one for one in folder.rglob("*") if not one.is_dir()]


KILLED = """
import sys, time
from ipaddress import IPv4Network
from ciserver.executor.namespaces import Namespaces
from ciserver.executor.network_rules import NameServers, Rules
from ciserver.executor.router import MachineRouter

made = Namespaces(Rules((), NameServers(())), IPv4Network("198.18.0.0/15"), MachineRouter())
made.make(0), made.make(1)
print("ready", flush=True)
time.sleep(60)
"""


def test_what_a_killed_server_left_goes_with_the_next(choose, internet):
    """While it lives, another server takes other addresses and leaves its networks alone."""
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=-1) as server:
        assert server.stdout.readline() == b"ready\n"
        beside = choose()
        with beside.use() as mine:
            assert mine.namespace.parent.name == "1"
        assert said_by("nft", "list", "tables").count("ciserver_") == 2
        server.send_signal(signal.SIGKILL)
    assert "ci0-1" in said_by("ip", "-brief", "link")
    following = choose()
    assert isinstance(following, IsolatedNetworks), following
    assert "ci0-1" not in said_by("ip", "-brief", "link")
    assert "ci0-0" in said_by("ip", "-brief", "link")
    assert sorted(one.parent.name for one in run_files(internet)) == ["0", "0", "1", "1"]


def test_addresses_that_the_machine_has_a_way_to_are_left_out(choose):
    """A pool is cut into blocks, and one that is in use elsewhere is none of ours."""
    network.ip("addr add 198.18.1.1/24 dev out0")
    with choose().use() as mine:
        assert b"10.0.0.53" in mine.resolver
        assert mine.namespace.parent.name == "1"
    broken = choose(pool=IPv4Network("198.18.0.0/22"))
    assert isinstance(broken, SandboxBroken)
    assert "198.18.0.0/22" in broken.reason
    assert "builds.network_pool" in broken.remedy


def test_a_machine_that_does_not_forward(choose):
    """What is wanted cannot be had; what is only preferred gives way, and says why."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    broken = choose()
    assert isinstance(broken, SandboxBroken)
    assert "does not forward" in broken.reason
    assert "net.ipv4.ip_forward=1" in broken.remedy
    second = choose("auto")
    with second.use() as found:
        assert found is HOST
    assert second.about == f"as on this machine, as {broken}"


def test_isolated_is_preferred(choose):
    assert isinstance(choose("auto"), IsolatedNetworks)


def test_a_sandbox_that_closes_nothing(internet, plain):
    """It cannot have isolated builds, and says so where they are wanted."""
    found = choose_networks("isolated", plain, allowed=(), pool=POOL)
    assert isinstance(found, SandboxBroken)
    assert "plain" in found.reason


def test_rules_that_hold_nothing_are_noticed(choose, bubblewrap):
    """The trial is a task that must not reach the machine."""
    networks = choose()
    subprocess.run(["nft", "flush", "table", "inet", "ciserver_0"], check=True)
    assert "is not held there" in str(networks.diagnose(bubblewrap))


def test_name_servers_of_a_machine():
    """Those with IPv4 addresses; one on a loopback address is asked through the gateway."""
    names = NameServers.read(
        "# made by hand\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver 9.9.9.9\n"
        "search example.org\noptions edns0 trust-ad\nnameserver\n"
    )
    assert names.resolver(POOL[6]).decode().splitlines() == [
        "nameserver 198.18.0.6",
        "nameserver 9.9.9.9",
        "search example.org",
        "options edns0 trust-ad",
    ]
