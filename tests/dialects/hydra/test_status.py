"""The queue, what runs, machines and runner, and durations for Prometheus."""

import pytest
from support.factories import ADMIN, OFFER

from ciserver.model.ports import EngineState, WorkerState
from ciserver.model.status import BuildStatus
from ciserver.service.pauses import QUEUE


class Engine:
    """Says that it has these workers, and runs nothing."""

    def __init__(self, *workers):
        self._state = EngineState(workers)

    def ring(self): ...

    def stop(self, build_id): ...

    def state(self):
        return self._state


@pytest.fixture
def run_on(services):
    return lambda *workers: services.run_on(Engine(*workers))


LOCAL = WorkerState("local", ("x86_64-linux", "i686-linux"), slots=4, busy=1)


def test_the_queue(anybody, make, run_on):
    """In full, in the order of the queue, with why each waits."""
    first, second = make.build(), make.build(priority=7)
    run_on(LOCAL)
    found = anybody.get("/queue")
    assert [one["id"] for one in found] == [second.id, first.id]
    assert found[1] | {"project": "", "jobset": ""} == {
        **anybody.get(f"/build/{first.id}"),
        "project": "",
        "jobset": "",
        "drvpath": None,
    }
    assert found[0]["ciserver_waiting_reason"] == "about to start"


def test_what_runs(anybody, make, clock, set_visibility):
    """A build for each step that runs."""
    make.build()
    assert anybody.get("/status") == []
    jobset = make.jobset("nix")
    build = make.build(BuildStatus.RUNNING, jobset=jobset, worker="local-0")
    (found,) = anybody.get("/status")
    assert (found["id"], found["finished"], found["buildstatus"]) == (build.id, 0, None)
    assert found["ciserver_step"] == {
        "stepnr": 1,
        "name": "compile",
        "machine": "local-0",
        "starttime": int(clock.now().timestamp()),
    }
    set_visibility("nix")
    assert anybody.get("/status") == []


def test_machines(anybody, root, run_on, services):
    """The workers by name; none without an engine."""
    assert anybody.get("/machines") == {}
    full = WorkerState("far", ("aarch64-linux",), slots=1, busy=1)
    run_on(LOCAL, full)
    assert anybody.get("/machines") == {
        "far": {
            **machine(["aarch64-linux"], 1, 1),
            "hasCapacity": False,
            "hasStaticCapacity": False,
            "score": 0.0,
        },
        "local": machine(["x86_64-linux", "i686-linux"], 4, 1),
    }
    services.pauses.pause(ADMIN, worker=QUEUE, paused=True, reason="a move")
    (found,) = {one["ciserver_idle_reason"] for one in anybody.get("/machines").values()}
    assert found == "the queue is paused: a move"
    assert not any(one["hasCapacity"] for one in anybody.get("/machines").values())


def machine(systems, slots, busy):
    return {
        "systemTypes": systems,
        "primarySystemType": systems[0],
        "maxJobs": slots,
        "speedFactor": 1.0,
        "supportedFeatures": [],
        "mandatoryFeatures": [],
        "hasCapacity": True,
        "hasDynamicCapacity": True,
        "hasStaticCapacity": True,
        "score": (slots - busy) / slots,
        "stats": {"currentJobs": busy},
        "memTotal": None,
        "ciserver_idle_reason": None,
    }


def test_the_runner(anybody, make, run_on, clock):
    """Unknown where there is none; else up, with what it does and did."""
    assert anybody.get("/queue-runner-status") == {"status": "unknown"}
    started = clock.now()
    run_on(LOCAL)
    make.build(BuildStatus.RUNNING)
    make.build()
    make.build(BuildStatus.FAILED)
    make.build(BuildStatus.CANCELED)
    clock.forward(minutes=5)
    found = anybody.get("/queue-runner-status")
    assert found.pop("machines").keys() == {"local"}
    assert found == {
        "status": "up",
        "time": int(clock.now().timestamp()),
        "uptime": int((clock.now() - started).total_seconds()),
        "nrQueuedBuilds": 2,
        "nrRunnableSteps": 1,
        "nrActiveSteps": 1,
        "nrStepsBuilding": 1,
        "nrBuildsDone": 2,
    }


def test_for_how_long_builds_run(anybody, make, clock):
    """By machine, in Hydra's buckets."""
    make.build(BuildStatus.RUNNING, worker='odd"name')
    clock.forward(seconds=61)
    answer = anybody.ask("GET", "/prometheus")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[1] == "# TYPE hydra_machine_build_duration histogram"
    told = dict(line.rsplit(" ", 1) for line in lines[2:])
    labels = r'machine="odd\"name"'
    assert told[f'hydra_machine_build_duration_bucket{{{labels},le="60"}}'] == "0"
    assert told[f'hydra_machine_build_duration_bucket{{{labels},le="600"}}'] == "1"
    assert told[f'hydra_machine_build_duration_bucket{{{labels},le="+Inf"}}'] == "1"
    assert told[f"hydra_machine_build_duration_sum{{{labels}}}"] == "61"
    assert told[f"hydra_machine_build_duration_count{{{labels}}}"] == "1"


@pytest.mark.parametrize("path", ["/queue", "/status", "/machines", "/search?query=x"])
def test_people_get_pages(anybody, path):
    """At the same addresses, with other caches told apart."""
    answer = anybody.ask("GET", path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"][:9]) == (200, "text/html")
    assert answer.headers["vary"] == "Accept"
    assert anybody.ask("GET", path).headers["vary"] == "Accept"
    refused = anybody.ask("PUT", path.partition("?")[0], {})
    assert refused.status_code == 405
    assert "GET" in refused.headers["allow"]


def test_what_waits_is_in_the_queue_only_until_it_ends(anybody, make, services):
    build = make.build()
    assert make.claim(OFFER).lease.build_id == build.id
    assert len(anybody.get("/queue")) == 1
    services.builds.cancel(ADMIN, build.id)
    assert [one["id"] for one in anybody.get("/queue")] == [build.id]  # it is being stopped
