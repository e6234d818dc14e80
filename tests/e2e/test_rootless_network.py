"""A server that is not root: builds have networks of their own, through slirp4netns."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from support.internet import (
    MACHINE,
    NAME_SERVER,
    PRIVATE,
    PUBLIC,
    PUBLIC_V6,
    ip,
)
from support.ordinary import USER
from support.waiting import until
from support.watching import watched_repository

from ciserver.executor.processes import descendants

pytestmark = pytest.mark.e2e

ISOLATED = "isolated (public IPv4 addresses, no private ones"
CONFIG = '[builds]\nsandbox = "bubblewrap"\nslots = 2\n'
LATER = "45.67.89.77"
LOOPBACK_SERVER = "127.0.0.53"
KNOCK = """
      for place in {places}; do
        if (: </dev/tcp/$place) 2>/dev/null; then echo "+$place"; else echo "-$place"; fi
      done
"""


@pytest.fixture
def start(make_server, ordinary):
    """A server that is that user's."""

    def make(config="", *, names=(NAME_SERVER,), **how):
        program = (*ordinary(names=names, **how), "-m", "ciserver.cli.main")
        server = make_server(config=CONFIG + config, program=program)
        shutil.chown(server.data, USER)
        return server.start()

    return make


@pytest.fixture
def build(place):
    """Builds a script, and answers the words of its log and the log of its setup."""
    repositories = {}

    def build(server, script):
        if server not in repositories:
            repositories[server] = watched_repository(server, place / "repositories", "project")
        repository, before = repositories[server], len(server.builds())
        lines = "".join(f"      {line}\n" for line in script.splitlines())
        repository.commit({".build.yml": f"image: host\ntasks:\n  - try: |\n{lines}"}, "Try")
        repository.push()
        number = max(one["id"] for one in server.until_built(before + 1))
        return server.step_log(number, 1).decode(), server.step_log(number, 0).decode()

    return build


def knock(*places):
    return "\n".join(("set +x", *KNOCK.format(places=" ".join(places)).splitlines()))


def knocked(log, *places):
    return [line for line in log.splitlines() if line[1:] in places]


@pytest.mark.parametrize("resolver", [NAME_SERVER, LOOPBACK_SERVER])
def test_builds_reach_what_is_public_and_not_their_machine(internet, start, build, resolver):
    """Nor private networks, metadata, IPv6 or other ports of name servers; names are resolved, and
    what an administrator allows is reached. Doctor, the start and the log of the build say so.
    """
    answer = lambda: internet.answer_names(resolver)  # noqa: E731
    answer() if resolver == LOOPBACK_SERVER else internet.inside(answer)
    port, other = internet.greet("0.0.0.0", 0), internet.greet("0.0.0.0", 0)
    allowed = (f"{PRIVATE[1]}:80", f"{MACHINE}:{other}")
    server = start(f"network_allow = {list(allowed)}\n", names=(resolver,))
    reached = [f"{one}/80" for one in (PUBLIC, PRIVATE[1])] + [f"{MACHINE}/{other}"]
    refused = [f"{one}/80" for one in (PRIVATE[0], *PRIVATE[2:], NAME_SERVER, PUBLIC_V6)]
    machine = ("127.0.0.1", LOOPBACK_SERVER, MACHINE)
    slirp = ("192.0.2.2", "192.0.2.3", "192.0.2.100", "198.18.0.0")
    refused += [f"{one}/{port}" for one in (*machine, *slirp)]
    log, setup = build(
        server, f"{knock(*reached, *refused)}\ngetent ahostsv4 git.example.org || echo no name"
    )
    told = knocked(log, *reached, *refused)
    assert told == [*(f"+{one}" for one in reached), *(f"-{one}" for one in refused)]
    assert f"{PUBLIC} " in log
    assert f"network: {ISOLATED}, but for {PRIVATE[1]}:80" in setup
    assert f"ok    network of builds: {ISOLATED}" in server.cli("doctor").stdout
    assert f"network of builds: {ISOLATED}" in server.log.read_text()


def test_a_build_cannot_change_its_network(start, build):
    """It is nobody in the namespace where the server's rules are, and cannot get there."""
    tries = (
        "ip link set eth0 down",
        "ip addr add 10.1.1.1/24 dev eth0",
        "nft flush ruleset",
        "nft add table inet mine",
        "nsenter --net=/proc/1/ns/net true",
        "nsenter --user=/proc/1/ns/user true",
        "unshare --net true",
        "sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'",
    )
    script = "\n".join(f"if {one}; then echo DONE {one}; fi" for one in tries)
    script = f"set +x\nexport PATH=$PATH:/usr/sbin\n{script}\n"
    rooted = "\n".join(
        f'unshare --user --map-root-user {one} && echo "DONE as root: {one}"' for one in tries[:4]
    )
    log, _ = build(start(), f"{script}{rooted}\n{knock(f'{PUBLIC}/80')}")
    assert "DONE" not in log
    assert f"+{PUBLIC}/80" in log


def test_what_the_machine_is_called_later_is_refused(internet, start, build):
    """From the next build on."""
    port = internet.greet("0.0.0.0", 0)
    server = start()
    place = f"{LATER}/{port}"
    build(server, "echo before")
    ip(f"addr add {LATER}/24 dev out0", "addr add 10.7.7.7/32 dev lo")
    assert knocked(build(server, knock(place))[0], place) == [f"-{place}"]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_nothing_is_left_of_a_server(start, end):
    """However it ends: no program, and so no namespace."""
    server = start()
    programs = descendants(server.process.pid)
    assert {"cat", "slirp4netns"} <= set(map(comm, programs))
    getattr(server, end)()
    until(lambda: not any(map(is_alive, programs)), what="its programs to end")


def comm(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/statm").read_text().split()[0] != "0"
    except OSError:
        return False


def test_a_device_that_nobody_may_open(start, build):
    """Then builds have the network of the machine; doctor and the start say why, and what to do."""
    server = start(mode="0600")
    for said in (server.cli("doctor").stdout, server.log.read_text()):
        assert "network of builds: as on this machine, as /dev/net/tun cannot be opened" in said
        assert "Permission denied" in said
        assert "let the server's user read and write /dev/net/tun" in said
    log, setup = build(server, knock(f"{PUBLIC}/80", f"127.0.0.1/{server.port}"))
    assert f"+127.0.0.1/{server.port}" in log
    assert "network: isolated" not in setup


def test_slirp4netns_that_ends_takes_no_build_elsewhere(start, build):
    """What was to be isolated is not built with less."""
    server = start()
    (slirp,) = (one for one in descendants(server.process.pid) if comm(one) == "slirp4netns")
    os.kill(slirp, signal.SIGKILL)
    log, _ = build(server, "echo it ran")
    assert "it ran" not in log
    assert "slirp4netns or its network ended; restart the server" in str(server.builds())
