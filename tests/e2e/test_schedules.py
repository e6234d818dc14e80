"""Schedules of a real server: what builds are told, and due moments around its death.

`CISERVER_FAULTS=long` kills it more often; `CISERVER_FAULTS_SEED` repeats a run by the seed it
printed.
"""

import contextlib
import os
import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from support.factories import ADMIN
from support.waiting import until

from ciserver.clock import SystemClock
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.wiring import make_parts

pytestmark = pytest.mark.e2e

LONG = os.environ.get("CISERVER_FAULTS") == "long"
KILLS, SECONDS = (25, 50) if LONG else (5, 8)
TOLD = "BUILD_REASON|BUILD_REQUESTED_BY|BUILD_SUBMITTER|CI_PIPELINE_EVENT|GIT_REF"
TELL = f"set +x; env | grep -E '^({TOLD})=' | sort"
RECIPE = f"""\
image: host
tasks:
  - tell: |
      {TELL}
when:
  kinds: [nightly, pgo, periodic]
"""


@contextlib.contextmanager
def parts_of(server):
    """The parts of a server that does not run."""
    parts = make_parts(Settings(), DataDirectory(server.data))
    try:
        yield parts
    finally:
        parts.store.database.close()


def due_at(moment):
    """Due at this whole second, and a day later again."""
    return Timing(every_seconds=24 * 3600, anchor=moment)


def second_from_now(seconds):
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def test_a_build_is_told_why(shared_server, watch):
    """The kind is in its environment, and the branch by its name, also when fired by hand."""
    repository = watch(shared_server, "nights")
    repository.commit({".build.yml": RECIPE})
    repository.push()
    for kind in ScheduleKind:
        number = shared_server.cli(
            "schedule", "add", "nights", "--kind", kind.value, "--every", "6h"
        ).stdout.strip()
        shared_server.cli("schedule", "fire", number)
    builds = {one["kind"]: one for one in shared_server.until_built(3)}
    assert set(builds) == set(ScheduleKind)
    for kind, build in builds.items():
        assert shared_server.step_log(build["id"], 1).decode().splitlines()[1:] == [
            f"BUILD_REASON={kind}",
            "BUILD_REQUESTED_BY=administrator",
            "BUILD_SUBMITTER=administrator",
            f"CI_PIPELINE_EVENT={kind}",
            "GIT_REF=refs/heads/main",
        ]


def test_it_is_fired_at_its_moment(make_server, watch):
    """By the clock, within a second, from the queue of the server to the end of the build; what
    came due while the server was off is fired at its start, with the count.
    """
    server = make_server().start()
    repository = watch(server, "nights")
    repository.commit({".build.yml": RECIPE})
    repository.push()
    assert server.stop() == 0
    moment = second_from_now(4)
    with parts_of(server) as parts:
        soon = parts.services.schedules.add(
            ADMIN, "nights", "main", ScheduleKind.NIGHTLY, due_at(moment)
        )
        gone = parts.services.schedules.add(
            ADMIN, "nights", "main", ScheduleKind.PGO, Timing(every_seconds=3600)
        )
        late = moment - timedelta(hours=5)
        parts.store.schedules.move_on(gone, late)
    server.start()
    server.until_built(2)
    (fired,) = server.api(f"/schedules/{soon.id}")["firings"]
    due, done = (datetime.fromisoformat(fired[key]) for key in ("due_at", "fired_at"))
    assert due == moment
    assert timedelta() <= done - due < timedelta(seconds=1)
    assert fired["result"] == "1 of 1 builds good"
    (missed,) = server.api(f"/schedules/{gone.id}")["firings"]
    assert missed["missed"] >= 4


@pytest.mark.slow
@pytest.mark.timeout(300 if LONG else 120)
def test_a_server_that_is_killed_around_due_moments(make_server, watch):
    """Every due moment has one firing and every firing one evaluation of its own, whenever the
    server died; what came due while it was dead is fired when it is back.
    """
    seed = int(os.environ.get("CISERVER_FAULTS_SEED") or random.randrange(10**6))
    print(f"CISERVER_FAULTS_SEED={seed}")
    chance = random.Random(seed)
    server = make_server().start()
    watch(server, "nights")
    server.kill()
    begin = second_from_now(2)
    moments = [begin + timedelta(seconds=number) for number in range(SECONDS) for _ in range(5)]
    with parts_of(server) as parts:
        add = parts.services.schedules.add
        ids = [
            add(ADMIN, "nights", "main", ScheduleKind.NIGHTLY, due_at(moment)).id
            for moment in moments
        ]
    for _ in range(KILLS):
        server.start()
        wait_for_a_moment(chance)
        server.kill()
    until(lambda: SystemClock().now() > moments[-1], seconds=SECONDS + 5)
    server.start()
    until(lambda: all(one["firings"] for one in server.api("/schedules")), what="every firing")
    assert server.stop() == 0
    with parts_of(server) as parts:
        fired = [parts.store.schedules.list_firings(one, 10) for one in ids]
        assert [[one.due_at for one in each] for each in fired] == [[one] for one in moments]
        requested = {one.evaluation_id for (one,) in fired}
        (made,) = parts.store.database.sql("SELECT COUNT(*) FROM evaluations").fetchone()
    assert None not in requested
    assert len(requested) == made == len(ids)


def wait_for_a_moment(chance):
    """Until shortly before or after a whole second: then something is due."""
    left = 1 - time.time() % 1
    time.sleep(max(0, left + chance.uniform(-0.05, 0.1)))  # the moment of the fault
