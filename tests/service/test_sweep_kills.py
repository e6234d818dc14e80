"""Sweeps that are killed at any point leave rows and files that agree; the next one ends them."""

import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.factories import Factory, done

from ciserver.config import Builds, Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import ANONYMOUS
from ciserver.model.build import BuildResult
from ciserver.model.status import BuildStatus
from ciserver.service import orphans
from ciserver.wiring import make_parts

pytestmark = pytest.mark.slow

BUILDS, KILLS = 120, 8
TEXT = b"".join(b"line %d of a log\n" % number for number in range(20_000))
SETTINGS = Settings(builds=Builds(keep_logs_days=150))
CHILD = """
import sys
from support.clock import StillClock
from ciserver.config import Builds, Settings
from ciserver.datadir import DataDirectory
from ciserver.wiring import make_parts
from pathlib import Path
clock = StillClock()
clock.forward(days=int(sys.argv[2]))
parts = make_parts(Settings(builds=Builds(keep_logs_days=150)), DataDirectory(Path(sys.argv[1])),
    clock=clock)
print("ready", flush=True)
parts.services.log_keeping.sweep()
parts.services.keeping.sweep()
"""


@pytest.fixture
def parts(tmp_path, clock):
    made = make_parts(SETTINGS, DataDirectory(tmp_path / "data"), clock=clock)
    yield made
    made.store.database.close()


@pytest.fixture
def builds(parts, clock, tmp_path):
    """Some with products, which share their contents, and logs; all but the newest may go."""
    make, jobset = Factory(parts, clock), None
    for number in range(BUILDS):
        jobset = jobset or make.jobset()
        lease = make.leases[make.build(BuildStatus.RUNNING, jobset=jobset).id]
        parts.reporter.append_log(lease, 1, 0, TEXT)
        content = io.BytesIO(b"content %d" % (number // 2))
        parts.reporter.add_product(lease, "out.txt", content)
        parts.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))
    for path in (tmp_path / "data" / "products").glob("*/*"):
        os.utime(path, (0, 0))
    return range(1, BUILDS + 1)


def sweep_and_kill(data, days, seconds):
    """Sweep in a process of its own, which is killed so long after it began."""
    tests = str(Path(__file__).parents[1])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(data), str(days)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": tests},
    )
    with child:
        assert child.stdout.readline() == b"ready\n"
        time.sleep(seconds)  # the moment of the fault
        child.kill()


@pytest.mark.timeout(400)
def test_killed_sweeps(parts, clock, builds, tmp_path):
    """Of logs that are packed, then of logs and products that are removed."""
    chance = random.Random(4)
    for days in (10, 200):
        for _ in range(KILLS):
            sweep_and_kill(tmp_path / "data", days, chance.uniform(0, 0.15))
            assert_sound(parts, builds)
    clock.forward(days=200)
    parts.services.log_keeping.sweep()
    parts.services.keeping.sweep()
    parts.store.files.remove_spool(young_seconds=-1)
    standing, kept_logs = assert_sound(parts, builds)
    assert 0 < standing < 10
    assert 0 < kept_logs < 10
    assert orphans.compare(parts.store) == ((), ())
    left = [path for path in (tmp_path / "data" / "logs").rglob("*") if path.is_file()]
    assert len(left) == kept_logs


def assert_sound(parts, builds):
    """Every product that stands has its file, every log that stands is whole; both are counted.
    Answers how many there are.
    """
    store = parts.store
    assert orphans.compare(store)[0] == ()
    assert store.storage.list_wrong() == ()
    standing = logs = 0
    for build in builds:
        standing += sum(not one.removed_at for one in store.products.list_of_build(build))
        if store.log_keeping.removed_at(build, 1) is None:
            step = parts.services.queries.step(ANONYMOUS, build, 1, None)
            with parts.services.logs.open(build, step) as file:
                assert file.read() == TEXT, build
            logs += 1
    return standing, logs
