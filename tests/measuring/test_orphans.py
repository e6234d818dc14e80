"""What outlives its parent is a child of the bench, which leaves its own children alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.limit import BUBBLEWRAP

# In a process of its own, because whoever adopts orphans does so for good.
BENCH = """
import json, os, signal, subprocess, sys
from bench.processes import adopt_orphans, children, end_orphans, family, until

def found():
    return set(children(os.getpid()))

adopt_orphans(look_every=0.01)
ours = [subprocess.Popen(["sh", "-c", f"exit {7 + own}"], start_new_session=own) for own in (0, 1)]
known = {one.pid for one in ours}
for pid in known:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
for own in (0, 1):
    box = subprocess.Popen(json.loads(sys.argv[1]), start_new_session=own)
    until(lambda: len([*family(box.pid)]) == 3, 20, "all processes of the sandbox")
    box.kill()
    box.wait()
    (first,) = until(lambda: found() - known, 20, "an orphan")
    os.kill(first, signal.SIGKILL)
    until(lambda: first not in found(), 20, "nobody waits for the orphan")
shell = ["sh", "-c", "sleep 600 >&2 & echo $!"]
(left,) = map(int, subprocess.run(shell, stdout=subprocess.PIPE, check=True).stdout.split())
until(lambda: left in found(), 20, "a program that is left")
print(json.dumps([[one.wait() for one in ours], end_orphans(), [*found()]]))
"""


@pytest.fixture
def asleep():
    """The words for a program in bubblewrap that does not end with its parent."""
    if not shutil.which("bwrap") or subprocess.run(BUBBLEWRAP, check=False).returncode:
        if os.environ.get("CI") == "true" and "CISERVER_NESTED" not in os.environ:
            pytest.fail("bubblewrap does not work")
        pytest.skip("bubblewrap does not work")
    return [*(one for one in BUBBLEWRAP[:-1] if one != "--die-with-parent"), "sleep", "600"]


def test_the_bench_waits_for_what_sandboxes_leave_and_for_nothing_else(asleep):
    """What it started itself has ended before, and keeps its exit status; what still runs in the
    end is told of and killed.
    """
    done = subprocess.run(
        [sys.executable, "-c", BENCH, json.dumps(asleep)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
        timeout=90,
    )
    assert json.loads(done.stdout) == [[7, 8], ["sleep 600"], []]
