"""The life of a build in self-serve's words: a request, a running build, a build that ended."""

import pytest
from support.factories import ADMIN, make_job

from ciserver.dialects.selfserve.words import ACTION, ARGUMENTS, STATE, action_of
from ciserver.model.account import Actor
from ciserver.model.build import Loss
from ciserver.model.evaluation import Kind
from ciserver.model.request import Action
from ciserver.model.status import BuildStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

RUNNING = [BuildStatus.STARTING, BuildStatus.RUNNING, BuildStatus.CANCELING]
ENDS = {
    BuildStatus.SUCCEEDED: 0,
    BuildStatus.PARTIAL: 1,
    BuildStatus.FAILED: 2,
    BuildStatus.TIMED_OUT: 2,
    BuildStatus.ERRORED: 4,
}


def test_every_status_has_a_word():
    """A new status cannot be forgotten."""
    assert set(STATE) == set(BuildStatus)
    assert {one for one in BuildStatus if STATE[one] is not None} == {
        one for one in BuildStatus if one.is_final
    }


def test_every_action_has_arguments():
    """Whatever name an action is shown by, it is known what belongs to it."""
    for action in ACTION:
        for what in ({}, {"jobs": ["x"]}, *({"kind": kind.value} for kind in Kind)):
            assert action_of(action, "", what) in ARGUMENTS
    assert action_of(Action.CANCEL_BUILD, "cancel_request", {}) == "cancel_request"
    assert action_of(Action.CANCEL_BUILD, "a word of another", {}) == "cancel_build"


def held(factory, store, clock, jobset):
    """A build that waits for a person."""
    evaluation = factory.evaluated(jobset)
    with store.transaction():
        texts = Texts(store.queue.add_text(job_to_json(make_job())))
        made = store.queue.add(evaluation, make_job(), texts, clock.now(), held=True)
    return store.builds.get(made)


@pytest.mark.parametrize("status", [BuildStatus.QUEUED, BuildStatus.HELD])
def test_what_waits_is_a_request(stranger, factory, store, clock, main, status):
    """It has no build, also not by its id."""
    if status is BuildStatus.HELD:
        build = held(factory, store, clock, main)
    else:
        build = factory.build(status, jobset=main)
    assert build.status is status
    (item,) = stranger.read("/main")
    assert not item.keys() & {"build_id", "status", "starttime", "endtime", "requests"}
    assert (item["complete"], item["complete_at"], item["claimed_at"]) == (0, None, 0)
    assert stranger.read(f"/main/rev/{build.revision}") == [item]
    request = stranger.read(f"/main/request/{build.id}")
    assert request == {**item, "properties": {}, "build_ids": []}
    missing = (404, f"Build {build.id} not found on branch main")
    assert stranger.refusal("GET", f"/main/build/{build.id}") == missing


@pytest.mark.parametrize("status", RUNNING)
def test_what_runs_is_a_build_without_an_end(stranger, factory, main, status):
    """Neither end nor status; its request is claimed and not complete."""
    build = factory.build(status, jobset=main)
    (item,) = stranger.read("/main")
    (request,) = item["requests"]
    assert (item["build_id"], item["endtime"], item["status"]) == (build.id, None, None)
    assert item["starttime"] == request["claimed_at"] == int(build.started_at.timestamp())
    assert (request["complete"], request["complete_at"]) == (0, None)
    assert item["claimed_by_name"] == "local-0"
    assert stranger.read(f"/main/build/{build.id}")["build_id"] == build.id
    done = stranger.read(f"/main/rev/{build.revision}/is_done?stableDelay=0")
    assert (done["job_complete"], done["job_passed"]) == (False, False)


@pytest.mark.parametrize(("status", "number"), ENDS.items())
def test_what_ended_is_a_build_with_a_status(stranger, factory, main, status, number):
    """Only success counts as passed."""
    build = factory.build(status, jobset=main)
    (item,) = stranger.read("/main")
    (request,) = item["requests"]
    assert item["status"] == number
    assert item["endtime"] == request["complete_at"] == int(build.finished_at.timestamp())
    assert request["complete"] == 1
    done = stranger.read(f"/main/rev/{build.revision}/is_done?stableDelay=0")
    assert (done["job_complete"], done["job_passed"]) == (True, number == 0)


def test_a_build_that_is_canceled_while_it_runs(stranger, factory, services, main):
    """It stays in every list, as canceled."""
    build = factory.build(BuildStatus.CANCELING, jobset=main)
    services.builds.give_back(factory.leases[build.id], Loss("stopped"))
    (item,) = stranger.read("/main")
    assert (item["build_id"], item["status"]) == (build.id, 6)


def test_a_request_that_is_canceled_while_it_waits(stranger, factory, main):
    """It vanishes from every list, with its revision; by its id it is complete without a build."""
    build = factory.build(BuildStatus.CANCELED, jobset=main)
    assert stranger.read("/main") == []
    assert stranger.read("/main/user/ada") == {"builds": [], "running": [], "pending": []}
    missing = (404, f"Revision {build.revision} not found on branch main")
    assert stranger.refusal("GET", f"/main/rev/{build.revision}") == missing
    assert stranger.refusal("GET", f"/main/rev/{build.revision}/is_done") == missing
    request = stranger.read(f"/main/request/{build.id}")
    assert (request["complete"], request["claimed_at"], request["build_ids"]) == (1, 0, [])
    assert request["complete_at"] == int(build.finished_at.timestamp())
    assert stranger.refusal("GET", f"/main/build/{build.id}")[0] == 404


def test_a_canceled_request_does_not_hold_up_its_revision(stranger, factory, main):
    """Neither complete nor passed depends on it."""
    good = factory.build(BuildStatus.SUCCEEDED, jobset=main)
    digits = good.revision[:38]
    factory.build(BuildStatus.CANCELED, jobset=main)
    done = stranger.read(f"/main/rev/{digits}/is_done?stableDelay=0")
    assert (done["job_complete"], done["job_passed"]) == (True, True)


def test_a_build_that_is_tried_again_is_a_request_again(stranger, factory, services, main):
    """Under the same id, without the worker that it lost."""
    build = factory.build(BuildStatus.RUNNING, jobset=main)
    services.builds.give_back(factory.leases[build.id], Loss("the worker was lost"))
    (item,) = stranger.read("/main")
    assert (item["request_id"], item["claimed_at"]) == (build.id, 0)
    assert "build_id" not in item


def test_requests_that_wait_are_listed_by_age(stranger, factory, main, clock):
    """The newest first, after all builds; a build that was made earlier may wait for less long."""
    first = factory.build(jobset=main)
    ran = factory.build(BuildStatus.RUNNING, jobset=main)
    clock.forward(seconds=1)
    second = factory.build(jobset=main)
    ids = [one.get("build_id") or one["request_id"] for one in stranger.read("/main")]
    assert ids == [ran.id, second.id, first.id]


@pytest.mark.parametrize(
    ("kind", "by", "reason"),
    [
        (Kind.PUSH, "grace", "scheduler"),
        (Kind.PERIODIC, "schedule 1", "scheduler"),
        (Kind.NIGHTLY, "schedule 1", "scheduler"),
        (Kind.NIGHTLY, "grace", "Self-serve: Requested by grace"),
        (Kind.PGO, "grace", "Self-serve: Requested by grace"),
        (Kind.API, "grace", "Self-serve: Requested by grace"),
    ],
)
def test_the_reason_tells_who_asked(stranger, factory, main, kind, by, reason):
    """Pushes and schedules are the scheduler's, whatever else is somebody's."""
    factory.evaluated(main, make_job(), kind=kind, requested_by=by)
    (item,) = stranger.read("/main")
    assert item["reason"] == reason


def test_a_rebuild_tells_who_rebuilt(stranger, factory, services, main):
    """Also what was made by a push; of the origin it keeps builder, revision and number scheme."""
    build = factory.build(BuildStatus.FAILED, jobset=main, priority=4)
    services.builds.rebuild(Actor("grace", is_admin=True, scopes=("*",)), build.id)
    made, origin = sorted(stranger.read("/main"), key=lambda one: "build_id" in one)
    assert made["reason"] == "Self-serve: Rebuilt by grace"
    assert origin["requests"][0]["reason"] == "scheduler"
    assert (made["buildername"], made["revision"]) == (origin["buildername"], origin["revision"])
    assert made["priority"] == 0
    assert services.queries.build(ADMIN, made["request_id"]).build.number == 2
