"""How long builds waited, and pushes took until all of their builds had ended."""

from datetime import timedelta

import pytest
from support.factories import ADMIN, done, make_job

from ciserver.model.account import ANONYMOUS, Visibility
from ciserver.model.build import BuildResult, Offer
from ciserver.model.evaluation import Kind
from ciserver.model.status import BuildStatus

DAY = timedelta(days=1)


@pytest.fixture
def timings(services):
    return services.timings


def start(make, build):
    return make.claim(Offer("local-0", (build.system,), (build.image,))).lease


def end(make, build, status=BuildStatus.SUCCEEDED):
    lease = start(make, build)
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    make.reporter.finish(lease, BuildResult(status), ())


def test_waits_by_system(timings, make, clock):
    """In blocks of a quarter of an hour, of which the last has no end."""
    jobset = make.jobset()
    since = clock.now()
    queued = [
        make.build(jobset=jobset, name=f"job-{n}", image=f"image-{n}", system=system)
        for n, system in enumerate(("aarch64-linux", "x86_64-linux", "x86_64-linux"))
    ]
    for build, minutes in zip(queued, (14, 1, 600), strict=True):
        clock.forward(minutes=minutes)
        start(make, build)
    waiting = make.build(jobset=jobset)
    elsewhere = make.build(BuildStatus.RUNNING, jobset=make.jobset())
    found = timings.waits(ADMIN, jobset, since, clock.now())
    assert found.systems == {
        "aarch64-linux": (1, 0, 0, 0, 0, 0, 0, 0, 0),
        "x86_64-linux": (0, 1, 0, 0, 0, 0, 0, 0, 1),
    }
    assert (found.total, [one.id for one in found.waiting]) == (3, [waiting.id])
    assert elsewhere.id not in [one.id for one in found.waiting]
    assert timings.waits(ADMIN, jobset, since, since + timedelta(minutes=14)).total == 1


def test_nothing_started(timings, make, clock):
    """Then there are no systems."""
    found = timings.waits(ADMIN, make.jobset(), clock.now() - DAY, clock.now())
    assert (found.systems, found.total, found.waiting) == ({}, 0, ())


def test_what_is_private_does_not_count(timings, make, clock):
    """But for those who see it."""
    jobset = make.jobset()
    make.submitted(jobset, Visibility.PRIVATE)
    for actor, count in ((ANONYMOUS, 0), (ADMIN, 1)):
        found = timings.waits(actor, jobset, clock.now() - DAY, clock.now())
        assert len(found.waiting) == count


def test_pushes(timings, make, clock, store):
    """Oldest first; until the last of the builds has ended, a push is not among them. What is
    built again later is no part of it.
    """
    jobset = make.jobset()
    jobs = [make_job(name=name, image=f"image-{name}") for name in ("a", "b")]
    pushed = [make.evaluated(jobset, *jobs) for _ in range(3)]
    make.evaluated(jobset, make_job(image="image-n"), kind=Kind.NIGHTLY)
    began = clock.now()
    for evaluation, status in zip(
        pushed, (BuildStatus.SUCCEEDED, BuildStatus.FAILED), strict=False
    ):
        for build in store.builds.list_of_evaluation(evaluation.id):
            clock.forward(minutes=1)
            end(make, build, status)
    (failed, _) = store.builds.list_of_evaluation(pushed[1].id)
    (again,) = make.services.builds.rebuild(ADMIN, failed.id, priority=5)
    clock.forward(minutes=60)
    end(make, store.builds.get(again))
    found = timings.pushes(ADMIN, jobset)
    assert [one.evaluation_id for one in found] == [pushed[0].id, pushed[1].id]
    assert [(one.requested_at, one.seconds, one.is_green) for one in found] == [
        (began, 120, True),
        (began, 240, False),
    ]
    assert [(one.builds, one.good) for one in found] == [(2, 2), (2, 0)]
