"""A build at each stage of its life, in Hydra's words."""

import io

import pytest
from support.factories import done, make_job

from ciserver.dialects.hydra.words import FIELD, MODE, ROLE, STATE, STATE_BY_REASON
from ciserver.model.account import ROLES
from ciserver.model.build import BuildResult, Offer
from ciserver.model.project import JobsetMode, JobsetSettings
from ciserver.model.status import BuildStatus, Reason
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

WAITING, BEGUN, ENDED = ((None, None), (int, None), (int, int))


def test_there_is_a_word_for_everything():
    """What the core learns, the tables must learn too."""
    assert set(STATE) == set(BuildStatus)
    assert set(STATE_BY_REASON) == set(Reason)
    assert set(MODE) == set(JobsetMode)
    assert set(ROLE) == set(ROLES)
    assert FIELD.keys() <= set(JobsetSettings.__dataclass_fields__)
    assert {one for one, state in STATE.items() if state is None} == {
        one for one in BuildStatus if not one.is_final
    }


@pytest.mark.parametrize(
    ("status", "finished", "buildstatus", "times"),
    [
        (BuildStatus.QUEUED, 0, None, WAITING),
        (BuildStatus.STARTING, 0, None, BEGUN),
        (BuildStatus.RUNNING, 0, None, BEGUN),
        (BuildStatus.CANCELING, 0, None, BEGUN),
        (BuildStatus.SUCCEEDED, 1, 0, ENDED),
        (BuildStatus.PARTIAL, 1, 6, ENDED),
        (BuildStatus.FAILED, 1, 1, ENDED),
        (BuildStatus.TIMED_OUT, 1, 7, ENDED),
        (BuildStatus.CANCELED, 1, 4, (None, int)),
        (BuildStatus.ERRORED, 1, 3, ENDED),
    ],
)
def test_a_build_at_each_stage(make, anybody, status, finished, buildstatus, times):
    """`finished` says whether `buildstatus` and the times are there; the list says the same."""
    build = make.build(status)
    shown = anybody.get(f"/build/{build.id}")
    assert (shown["finished"], shown["buildstatus"]) == (finished, buildstatus)
    for key, kind in zip(("starttime", "stoptime"), times, strict=True):
        assert isinstance(shown[key], int) if kind else shown[key] is None, key
    listed = anybody.get("/api/latestbuilds?nr=10")
    assert [one["buildstatus"] for one in listed] == [buildstatus] * finished
    assert all(one.items() <= shown.items() for one in listed)
    out = {"out": {"path": f"/build/{build.id}/results/"}} if status.is_good else {}
    assert shown["buildoutputs"] == out


@pytest.mark.parametrize(
    ("status", "reason", "buildstatus"),
    [
        (BuildStatus.FAILED, Reason.EXIT_CODE, 1),
        (BuildStatus.FAILED, Reason.LOG_LIMIT, 10),
        (BuildStatus.FAILED, Reason.OUTPUT_LIMIT, 11),
        (BuildStatus.FAILED, Reason.DISK_LIMIT, 11),
        (BuildStatus.FAILED, Reason.MEMORY_LIMIT, 1),
        (BuildStatus.FAILED, Reason.PIDS_LIMIT, 1),
        (BuildStatus.FAILED, Reason.SOURCE_UNAVAILABLE, 1),
        (BuildStatus.TIMED_OUT, Reason.TIME_LIMIT, 7),
        (BuildStatus.TIMED_OUT, Reason.SILENCE_LIMIT, 7),
        (BuildStatus.ERRORED, Reason.UNSUPPORTED_SYSTEM, 9),
        (BuildStatus.ERRORED, Reason.SANDBOX_BROKEN, 3),
        (BuildStatus.ERRORED, Reason.SOURCE_UNAVAILABLE, 3),
        (BuildStatus.ERRORED, Reason.DISK_FULL, 3),
    ],
)
def test_why_a_build_ended(make, anybody, status, reason, buildstatus):
    """Where Hydra has a number for the reason, that is said."""
    build = make.build()
    lease = make.claim().lease
    make.reporter.finish(lease, BuildResult(status, reason), ())
    assert anybody.get(f"/build/{build.id}")["buildstatus"] == buildstatus


def test_a_build_that_waits_says_why(make, services, anybody, root):
    """Until it starts; a held one waits for a person."""
    build = make.build()
    assert anybody.get(f"/build/{build.id}")["ciserver_waiting_reason"]
    make.claim()
    assert anybody.get(f"/build/{build.id}")["ciserver_waiting_reason"] is None


def test_a_held_build_waits(make, anybody, store, clock):
    """For Hydra it is a build that has not started."""
    evaluation, one = make.evaluation(), make_job()
    with store.transaction():
        text = store.queue.add_text(job_to_json(one))
        build_id = store.queue.add(evaluation, one, Texts(text), clock.now(), held=True)
    shown = anybody.get(f"/build/{build_id}")
    assert (shown["finished"], shown["buildstatus"], shown["starttime"]) == (0, None, None)
    assert "held" in shown["ciserver_waiting_reason"]


def test_a_build_that_is_run_again_is_unfinished_again(make, services, admin, anybody):
    """The same build, with nothing left of the end before."""
    build = make.build(BuildStatus.FAILED)
    services.builds.rerun(admin, build.id)
    shown = anybody.get(f"/build/{build.id}")
    assert (shown["id"], shown["finished"], shown["buildstatus"]) == (build.id, 0, None)
    assert (shown["starttime"], shown["stoptime"]) == (None, None)


def test_priorities_are_a_hundred_more(make, anybody):
    """100 is what Hydra calls usual."""
    for priority in (0, 7):
        build = make.build(priority=priority)
        assert anybody.get(f"/build/{build.id}")["priority"] == 100 + priority


def test_products_are_of_the_newest_attempt(make, services, admin, anybody):
    """A build that is run again has none yet."""
    build = make.build()
    lease = make.claim().lease
    for path in ("out/b.txt", "out/a.txt"):
        make.reporter.add_product(lease, path, io.BytesIO(b"made"))
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    make.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))
    products = anybody.get(f"/build/{build.id}")["buildproducts"]
    assert [one["name"] for one in products.values()] == ["b.txt", "a.txt"]
    assert list(products) == ["1", "2"]
    services.builds.rerun(admin, build.id)
    make.claim(Offer("local-0", (build.system,)))
    assert anybody.get(f"/build/{build.id}")["buildproducts"] == {}
