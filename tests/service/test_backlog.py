"""What waits for workers, as a broker is told of it."""

import pytest
from support.factories import ADMIN, Factory

from ciserver.model.build import Offer
from ciserver.model.ports import EngineState, WorkerState
from ciserver.service.backlog import Backlog

TRUSTED = "x86_64-linux/trusted"


class Workers:
    """An engine with these workers."""

    def __init__(self, *workers):
        self.workers = workers

    def state(self):
        return EngineState(self.workers)


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def counted(parts, clock):
    """How many builds are told of where these workers are known."""

    def counted(*workers):
        return Backlog(parts.store, clock, Workers(*workers)).count()

    return counted


def worker(**words):
    return WorkerState("arm", ("x86_64-linux",), 1, 0, **words)


def test_builds_are_counted_by_queue(make, counted, parts):
    """Those that may be claimed, and no more: one that was taken is none."""
    assert counted() == {}
    for _ in range(3):
        make.build()
    make.build(system="aarch64-linux")
    assert counted() == {TRUSTED: 3, "aarch64-linux/trusted": 1}
    parts.reporter.claim(Offer("arm", ("x86_64-linux",)))
    assert counted() == {TRUSTED: 2, "aarch64-linux/trusted": 1}


def test_what_is_paused_or_not_active_is_not_told(make, counted, services):
    """Workers would ask for it in vain; it is told when that ends."""
    build = make.build()
    services.pauses.pause(ADMIN, paused=True)
    assert counted() == {}
    services.pauses.pause(ADMIN, paused=False)
    services.pauses.pause_jobset(ADMIN, build.project, build.jobset, paused=True)
    assert counted() == {}
    services.pauses.pause_jobset(ADMIN, build.project, build.jobset, paused=False)
    services.systems.change(ADMIN, "x86_64-linux", active=False)
    assert counted() == {}
    services.systems.change(ADMIN, "x86_64-linux", active=True)
    assert counted() == {TRUSTED: 1}


@pytest.mark.parametrize(
    "unable",
    [
        {"takes_any_image": False, "images": ("debian/stable",)},
        {"projects": ("another",)},
    ],
)
def test_what_no_worker_could_take_is_not_told(make, counted, unable):
    """As long as all that are known for the queue could not; for others it counts nothing."""
    make.build(image="fedora/40")
    assert counted(worker(**unable)) == {}
    assert counted(worker(**unable), worker()) == {TRUSTED: 1}
    assert counted(worker(**unable, queues=("x86_64-linux/untrusted",))) == {TRUSTED: 1}


def test_labels_are_looked_at(make, counted):
    """A build for a machine with one is not told to those without."""
    make.build(runs_on=("gpu",))
    assert counted(worker()) == {}
    assert counted(worker(labels=("big", "gpu"))) == {TRUSTED: 1}
