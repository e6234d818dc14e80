"""A server that has nothing to do does nothing."""

import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SECONDS = 3
WAKEUPS = 20  # a second of poll in the HTTP server, and the slow clock now and then


def test_an_idle_server_sleeps(make_server, watch):
    """Nothing is polled: all threads together wake up a few times a second at most."""
    server = make_server().start()
    repository = watch(server)
    repository.commit({".build.yml": "image: host\ntasks:\n  - work: 'true'\n"})
    repository.push()
    server.until_built()
    before = wakeups(server)
    time.sleep(SECONDS)  # what is measured is what happens in a time
    assert wakeups(server) - before < WAKEUPS


def wakeups(server):
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/status")
    lines = [line for task in tasks for line in task.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
