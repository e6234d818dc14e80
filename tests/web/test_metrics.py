"""Numbers about the server, as Prometheus reads them."""

import io
import re

import pytest
from support.factories import Factory

from ciserver.engines import make_engine
from ciserver.executor.sandbox import SandboxBroken
from ciserver.model.overview import DURATIONS, Histogram
from ciserver.model.status import BuildStatus

_LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')


@pytest.fixture
def numbers(stranger):
    """What is told: a name with its labels -> the number."""

    def numbers():
        answer = stranger.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        found, kinds = {}, set()
        for line in answer.text.splitlines():
            if line.startswith("# TYPE "):
                name = line.split()[2]
                assert name not in kinds, "each family once"
                kinds.add(name)
            elif not line.startswith("#"):
                name, labels, value = _LINE.fullmatch(line).groups()
                key = f"{name}{{{labels}}}" if labels else name
                assert key not in found
                found[key] = float(value)
        return found

    return numbers


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


def test_requests(numbers, stranger, person):
    """By method, route and status; what no route has is one route."""
    for path in ("/build/1", "/build/2", "/build/x", "/nowhere", "/nothing"):
        stranger.get(path)
    stranger.client.simulate_head("/queue")
    stranger.request("POST", "/metrics")
    found = numbers()
    prefix = "http_requests_total"
    assert found[prefix + '{method="GET",route="/build/{build_id}",code="404"}'] == 2
    assert found[prefix + '{method="GET",route="/build/{build_id}",code="400"}'] == 1
    assert found[prefix + '{method="GET",route="none",code="404"}'] == 2
    assert found[prefix + '{method="HEAD",route="/queue",code="200"}'] == 1
    assert found[prefix + '{method="POST",route="/metrics",code="405"}'] == 1
    assert found["http_request_seconds_total"] > 0
    assert numbers()[prefix + '{method="GET",route="/metrics",code="200"}'] == 1


def test_builds(numbers, make, clock):
    """Those that have not ended by status, all that there were, and those that ended lately."""
    make.build()
    make.build()
    make.build(BuildStatus.RUNNING)
    make.build(BuildStatus.FAILED, worker="far")
    make.build(BuildStatus.CANCELED)
    make.evaluation()
    found = numbers()
    assert found['ciserver_builds{status="queued"}'] == 2
    assert found['ciserver_builds{status="running"}'] == 1
    assert found["ciserver_builds_made_total"] == 5
    assert found['ciserver_builds_ended_total{status="failed"}'] == 1
    assert found['ciserver_builds_ended_total{status="canceled"}'] == 1
    assert found['ciserver_evaluations{status="requested"}'] == 1
    assert found["ciserver_evaluations_made_total"] == 6
    assert found["ciserver_deliveries_pending"] == 0
    duration = "ciserver_build_duration_seconds"
    assert found[duration + '_count{worker="far"}'] == 1
    assert found[duration + '_bucket{worker="far",le="+Inf"}'] == 1
    assert not [one for one in found if duration in one and 'worker=""' in one]


def test_workers(numbers, parts):
    """What they can do and do, and whether they take builds."""
    assert not [one for one in numbers() if "worker" in one]
    parts.services.run_on(make_engine(parts, SandboxBroken("no bwrap", "install it")))
    found = numbers()
    assert found['ciserver_worker_slots{worker="local"}'] == 0
    assert found['ciserver_worker_busy{worker="local"}'] == 0
    assert found['ciserver_worker_idle{worker="local"}'] == 1


def test_the_process(numbers, clock):
    found = numbers()
    assert found["process_resident_memory_bytes"] > 1 << 20
    assert found["process_max_fds"] >= found["process_open_fds"] > 0
    assert found["process_threads"] >= 1
    assert found["process_cpu_seconds_total"] > 0
    assert found["process_start_time_seconds"] == clock.now().timestamp()


def test_nothing_is_named(numbers, make, stranger):
    """Numbers are for everybody; names of projects and jobs are not among them."""
    make.build(jobset=make.jobset("secret-project"), name="secret-job")
    numbers()
    assert "secret" not in stranger.get("/metrics").text


def test_a_histogram_adds_up():
    """Each end of a bucket counts all that lies below it."""
    one = Histogram().plus(30).plus(60).plus(61).plus(10**9)
    assert one.below[:4] == (0, 0, 2, 3)
    assert one.below[-1] == 3
    assert (one.count, one.seconds) == (4, 30 + 60 + 61 + 10**9)
    assert list(DURATIONS) == sorted(DURATIONS)


def test_files_for_the_object_storage(numbers, parts):
    """Without one nothing waits for it, and it is not away."""
    parts.store.files.keep_product(io.BytesIO(b"content"))
    found = numbers()
    names = ("away", "waiting_files", "waiting_bytes")
    assert [found[f"ciserver_storage_{one}"] for one in names] == [0, 0, 0]
