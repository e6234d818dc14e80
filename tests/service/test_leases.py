"""Leases end with their workers, and not with a server that could not hear them."""

import pytest

from ciserver.model.status import BuildStatus as B

LEASE = 30


@pytest.fixture
def leases(services):
    services.leases.look()
    return services.leases


def listen(leases, clock, seconds):
    """Look as often as a server does."""
    for _ in range(seconds // 10):
        clock.forward(seconds=10)
        leases.look()


def test_a_silent_worker_loses_its_build(make, store, clock, leases):
    """After a whole lease in which it was listened for, and not before."""
    build = make.build(B.RUNNING)
    listen(leases, clock, LEASE)
    assert store.builds.get(build.id).status is B.RUNNING
    listen(leases, clock, 10)
    assert store.builds.get(build.id).status is B.QUEUED


def test_a_worker_that_is_heard_keeps_its_build(make, reporter, store, clock, leases):
    """However long it runs."""
    build = make.build(B.RUNNING)
    for _ in range(10):
        listen(leases, clock, 10)
        reporter.renew(make.leases[build.id])
    assert store.builds.get(build.id).status is B.RUNNING


def test_a_server_that_was_away_gives_everybody_time(make, store, clock, services, leases):
    """Nobody could renew: the lease runs anew, and then it counts."""
    build = make.build(B.RUNNING)
    clock.forward(hours=1)
    leases.look()
    listen(leases, clock, LEASE)
    assert store.builds.get(build.id).status is B.RUNNING
    listen(leases, clock, 10)
    assert store.builds.get(build.id).status is B.QUEUED


def test_a_clock_that_was_set_back_keeps_no_lease(make, store, clock, leases):
    """It would last for as long as the clock was set back."""
    build = make.build(B.RUNNING)
    clock.forward(hours=-1)
    leases.look()
    listen(leases, clock, LEASE + 10)
    assert store.builds.get(build.id).status is B.QUEUED


def test_a_new_server_waits_for_the_workers_of_the_last(make, store, clock, services):
    """Its first look takes nothing."""
    build = make.build(B.RUNNING)
    clock.forward(minutes=5)
    services.leases.look()
    assert store.builds.get(build.id).status is B.RUNNING
