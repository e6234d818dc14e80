"""Networks that a user makes who is not root, between builds and for sandboxes."""

import subprocess

from support.internet import NAME_SERVER

NEIGHBOURS = """
import os
import sys
import tempfile
from ipaddress import IPv4Network
from pathlib import Path

from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.network_choice import choose_networks
from ciserver.executor.sandbox import PATH

POOL = IPv4Network("198.18.0.0/15")
SERVE = (
    "import socket; one = socket.create_server(('0.0.0.0', 8000)); print('ready', flush=True); "
    "one.accept(); one.accept()"
)
KNOCK = (
    "if timeout 5 bash -c ': </dev/tcp/198.18.0.1/8000' 2>/dev/null; "
    "then echo in; else echo out; fi"
)
sandbox, home = Bubblewrap(user=None), Path(tempfile.mkdtemp())
networks = choose_networks("isolated", sandbox, allowed=(), pool=POOL)

def start(network, *words):
    process = sandbox.start(
        words, home=home, tmp=home, environment={"PATH": PATH}, network=network, readable=()
    )
    os.set_blocking(process.output, True)
    return process

with networks.use() as first, networks.use() as second:
    server = start(first, "/usr/bin/python3", "-c", SERVE)
    assert os.read(server.output, 100) == b"ready\\n"
    for network in (first, second):
        process = start(network, "/bin/bash", "-c", KNOCK)
        process.child.wait()
        print(os.read(process.output, 100).decode(), end="")
        process.close()
    sandbox.kill(server)
    server.close()
networks.close()
"""
PODMAN = """
import tempfile
from ipaddress import IPv4Network
from pathlib import Path

from ciserver.executor.network_choice import choose_networks
from ciserver.executor.podman import Podman

podman = Podman(user=None, place=Path(tempfile.mkdtemp()))
print(choose_networks("isolated", podman, allowed=(), pool=IPv4Network("198.18.0.0/15")))
"""


def said_by(words, script):
    done = subprocess.run([*words, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_builds_do_not_reach_each_other(ordinary):
    """What a build listens on is reached by itself alone."""
    assert said_by(ordinary(names=(NAME_SERVER,)), NEIGHBOURS).split() == ["in", "out"]


def test_podman_cannot_join_them(ordinary):
    """It says so, instead of failing in each build."""
    said = said_by(ordinary(names=(NAME_SERVER,)), PODMAN)
    assert "podman cannot join a network that was made without root; use bubblewrap" in said
