"""Workers through which builds end at once, one after the other, and where such builds go."""

import itertools

import pytest
from support.factories import ADMIN, SYSTEM, done

from ciserver.model.build import BuildResult, Loss, Offer
from ciserver.model.ports import EngineState, WorkerState
from ciserver.model.status import BuildStatus as B
from ciserver.model.status import Reason

BROKEN = Loss("bubblewrap does not work here", Reason.SANDBOX_BROKEN)


class Workers:
    """Workers by name, for builds of images of their own, so that a claim finds what is meant."""

    def __init__(self, make, services):
        self.make, self.services, self.reporter = make, services, make.reporter
        self._numbers = itertools.count()

    def claim(self, worker="arm", *, jobset=None):
        image = f"image-{worker}-{next(self._numbers)}"
        self.make.build(jobset=jobset, image=image)
        work = self.reporter.claim(Offer(worker, (SYSTEM,), (image,)))
        return work and work.lease

    def give_back(self, worker="arm", loss=BROKEN, *, jobset=None, seconds=1):
        lease = self.claim(worker, jobset=jobset)
        self.make.clock.forward(seconds=seconds)
        self.reporter.give_back(lease, loss)
        self.make.services.builds.cancel(ADMIN, lease.build_id)
        return lease.build_id

    def fail_to_set_up(self, reason, *, jobset=None):
        lease = self.claim(jobset=jobset)
        self.reporter.finish(lease, BuildResult(B.FAILED, reason, "no such package"), ())

    def run(self, status=B.SUCCEEDED, reason=Reason.NONE):
        lease = self.claim()
        self.reporter.advance(lease, done(0), 1, sandbox="x")
        self.reporter.finish(lease, BuildResult(status, reason), (done(1),))

    def is_out(self, worker="arm"):
        """For how many minutes, counted from now."""
        now = self.make.clock.now()
        found = [one for one in self.services.pauses.list_all(ADMIN) if one.worker == worker]
        return (found[0].until - now).total_seconds() / 60 if found else 0


@pytest.fixture
def workers(make, services):
    return Workers(make, services)


def test_three_builds_in_a_row_that_are_given_back_at_once(workers, services, clock):
    """The worker gets none for a minute, and everybody is told why; others get theirs."""
    for _ in range(2):
        workers.give_back()
    assert not workers.is_out()
    workers.give_back()
    assert workers.is_out() == 1
    assert workers.claim() is None
    assert workers.claim("other")
    (pause,) = services.pauses.list_all(ADMIN)
    assert pause.reason == (
        "3 builds in a row ended at once, the last one so: bubblewrap does not work here"
    )
    clock.forward(seconds=61)
    assert services.pauses.list_all(ADMIN) == ()
    assert workers.claim()


def test_a_worker_that_goes_on_failing_is_out_for_longer_each_time(workers, clock):
    """When it is back, one more such build is enough."""
    for _ in range(2):
        workers.give_back()
    out = []
    for _ in range(6):
        workers.give_back()
        out.append(workers.is_out())
        clock.forward(minutes=out[-1], seconds=1)
    assert out == [1, 5, 15, 60, 60, 60]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (B.SUCCEEDED, Reason.NONE),
        (B.FAILED, Reason.EXIT_CODE),
        (B.TIMED_OUT, Reason.TIME_LIMIT),
        (B.FAILED, Reason.MISSING_ARTIFACT),
    ],
)
def test_a_build_whose_commands_were_judged_ends_the_row(workers, clock, status, reason):
    """Whatever came of it."""
    for _ in range(4):
        workers.give_back()
        clock.forward(minutes=6)
    workers.run(status, reason)
    for _ in range(2):
        workers.give_back()
    assert not workers.is_out()


def test_tests_that_fail_fast_put_nobody_out_of_work(workers, make):
    """However many of one jobset, and however fast."""
    for _ in range(5):
        workers.run(B.FAILED, Reason.EXIT_CODE)
    assert not workers.is_out()
    assert workers.services.status.machines(ADMIN) == ()


@pytest.mark.parametrize("reason", [Reason.PACKAGES_UNAVAILABLE, Reason.SOURCE_UNAVAILABLE])
def test_a_jobset_that_nobody_can_set_up_counts_once(workers, make, reason):
    """Three jobsets in a row that fail before their first command are no chance."""
    broken = make.jobset()
    for _ in range(5):
        workers.fail_to_set_up(reason, jobset=broken)
    workers.fail_to_set_up(reason)
    assert not workers.is_out()
    workers.fail_to_set_up(reason)
    assert workers.is_out() == 1


def test_a_build_counts_once(workers, make):
    """One that breaks each worker it runs on is its own fault."""
    build = make.build(image="own")
    for _ in range(3):
        work = workers.reporter.claim(Offer("arm", (SYSTEM,), ("own",)))
        workers.reporter.give_back(work.lease, BROKEN)
    assert make.store.builds.get(build.id).status is B.ERRORED
    assert not workers.is_out()


@pytest.mark.parametrize(
    ("loss", "seconds"),
    [
        (BROKEN, 6),
        (Loss("the worker is stopped", counts=False), 1),
        (Loss("the forge is away", Reason.SECRET_UNAVAILABLE), 1),
    ],
)
def test_what_says_nothing_of_the_worker(workers, loss, seconds):
    """A build that ran for a while, a worker that is stopped, and what the job asks for."""
    for _ in range(4):
        workers.give_back(loss=loss, seconds=seconds)
    assert not workers.is_out()


def test_what_was_claimed_before_it_was_out_makes_it_no_longer(workers):
    """Four slots that fail together are one row of three."""
    leases = [workers.claim() for _ in range(5)]
    for lease in leases:
        workers.reporter.give_back(lease, BROKEN)
    assert workers.is_out() == 1


def test_resuming_ends_it(workers, services):
    """And the row begins anew."""
    for _ in range(3):
        workers.give_back()
    services.pauses.pause(ADMIN, worker="arm", paused=False)
    workers.give_back()
    assert not workers.is_out()


def test_a_pause_by_people_is_stronger(workers, services, clock):
    """It takes the place of one that ends by itself, and not the other way round."""
    for _ in range(3):
        workers.give_back()
    services.pauses.pause(ADMIN, worker="arm", paused=True, reason="new disk")
    clock.forward(hours=2)
    (pause,) = services.pauses.list_all(ADMIN)
    assert (pause.by, pause.reason, pause.until) == ("root", "new disk", None)
    assert workers.claim() is None


def test_a_pause_by_people_stays(workers, services):
    """While builds of before it go wrong."""
    leases = [workers.claim() for _ in range(3)]
    services.pauses.pause(ADMIN, worker="arm", paused=True, reason="new disk")
    for lease in leases:
        workers.reporter.give_back(lease, BROKEN)
    (pause,) = services.pauses.list_all(ADMIN)
    assert (pause.reason, pause.until) == ("new disk", None)


class Known:
    """An engine that knows these workers."""

    def __init__(self, *workers):
        self._state = EngineState(tuple(workers))

    def ring(self):
        pass

    def stop(self, build_id):
        pass

    def state(self):
        return self._state


def state(name, **changes):
    return WorkerState(**{"name": name, "systems": (SYSTEM,), "slots": 1, "busy": 1, **changes})


def lost(workers, make, engine):
    """A build that a worker gave back."""
    workers.services.run_on(engine)
    build = make.build(image="own")
    work = workers.reporter.claim(Offer("arm", (SYSTEM,), ("own",)))
    workers.reporter.give_back(work.lease, BROKEN)
    return build


def takes(workers, worker):
    work = workers.reporter.claim(Offer(worker, (SYSTEM,), ("own",)))
    return work and work.lease.attempt


def test_the_next_attempt_is_for_another_worker(workers, make):
    """Where one is there, busy or not."""
    lost(workers, make, Known(state("arm"), state("other")))
    assert takes(workers, "arm") is None
    assert takes(workers, "other") == 2


def test_after_a_while_it_is_for_any(workers, make, services, clock):
    """Others may have much to do."""
    lost(workers, make, Known(state("arm"), state("other")))
    clock.forward(seconds=30)
    services.builds.rescue_lost()
    assert takes(workers, "arm") is None
    clock.forward(seconds=31)
    services.builds.rescue_lost()
    assert takes(workers, "arm") == 2


@pytest.mark.parametrize(
    "other",
    [
        {"systems": ("riscv64-linux",)},
        {"takes_any_image": False},
        {"queues": (f"{SYSTEM}/untrusted",)},
        {"projects": ("another",)},
        {"paused": "its disk is full"},
    ],
)
def test_it_is_for_any_where_no_other_could_take_it(workers, make, other):
    """It does not wait for nothing."""
    lost(workers, make, Known(state("arm"), state("other", **other)))
    assert takes(workers, "arm") == 2


def test_others_pass_a_build_that_waits_for_another_worker(workers, make):
    """The next one of the same lane."""
    jobset = make.jobset()
    workers.services.run_on(Known(state("arm"), state("other")))
    first, second = (make.build(jobset=jobset, image="own") for _ in range(2))
    work = workers.reporter.claim(Offer("arm", (SYSTEM,), ("own",)))
    assert work.lease.build_id == first.id
    workers.reporter.give_back(work.lease, BROKEN)
    work = workers.reporter.claim(Offer("arm", (SYSTEM,), ("own",)))
    assert work.lease.build_id == second.id
