"""Builds in depth: every key, steps, constituents, and what is done with them."""

import pytest
from support.factories import done, make_job

from ciserver.dialects.hydra.words import STEP_STATE
from ciserver.model.build import BuildResult, Output
from ciserver.model.status import BuildStatus, EvaluationStatus, StepStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

KEYS = {
    *("id", "finished", "timestamp", "starttime", "stoptime", "project", "jobset", "job"),
    *("nixname", "system", "priority", "buildstatus", "releasename", "drvpath", "jobsetevals"),
    *("buildoutputs", "buildproducts", "buildmetrics", "ciserver_waiting_reason"),
}
DRV = "/nix/store/" + "a" * 32 + "-hello.drv"


@pytest.fixture
def owner(add_user):
    """Who may do everything in the projects that the tests make."""
    return add_user("ada", admin=True)


def test_a_build_has_these_keys(make, anybody):
    """Whether it waits or has ended."""
    for status in (BuildStatus.QUEUED, BuildStatus.SUCCEEDED):
        assert anybody.get(f"/build/{make.build(status).id}").keys() == KEYS


def test_nothing_of_its_end_is_left_after_a_restart(make, owner):
    """The same build, which has not ended."""
    build = make.build(BuildStatus.SUCCEEDED)
    assert owner.ask("POST", f"/build/{build.id}/restart").status_code == 302
    shown = owner.get(f"/build/{build.id}")
    assert (shown["id"], shown["finished"]) == (build.id, 0)
    for key in ("buildstatus", "starttime", "stoptime", "releasename", "buildmetrics"):
        assert shown[key] is None, key
    assert (shown["buildoutputs"], shown["buildproducts"]) == ({}, {})


def test_every_evaluation_that_has_it_is_told(make, anybody, store):
    """That which made it, and those that found it there."""
    build = make.build(BuildStatus.SUCCEEDED)
    jobset = store.jobsets.get(build.jobset_id)
    later = [make.evaluation(jobset).id for _ in range(3)]
    with store.transaction():
        for one in later:
            store.evaluations.add_reuses(one, [build.id])
    assert anybody.get(f"/build/{build.id}")["jobsetevals"] == [build.evaluation_id, *later]


# -- what is done with it -------------------------------------------------------------------------


ACTIONS = {
    "restart": BuildStatus.FAILED,
    "cancel": BuildStatus.RUNNING,
    "bump": BuildStatus.QUEUED,
    "keep/1": BuildStatus.SUCCEEDED,
    "keep/0": BuildStatus.SUCCEEDED,
}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_done_leads_back_to_the_build(make, owner, store, method, action):
    build = make.build(ACTIONS[action])
    answer = owner.ask(method, f"/build/{build.id}/{action}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/build/{build.id}")
    now = store.builds.get(build.id)
    assert {
        "restart": now.status is BuildStatus.QUEUED,
        "cancel": now.status is BuildStatus.CANCELING,
        "bump": now.bumped,
        "keep/1": now.kept,
        "keep/0": not now.kept,
    }[action]


def test_what_is_kept_may_be_kept_no_longer(make, owner, store):
    build = make.build(BuildStatus.SUCCEEDED)
    for kept in (1, 1, 0, 0):
        assert owner.ask("PUT", f"/build/{build.id}/keep/{kept}").status_code == 302
        assert store.builds.get(build.id).kept == bool(kept)
    assert owner.refusal("PUT", f"/build/{build.id}/keep/2")[0] == 404


@pytest.mark.parametrize(
    ("action", "status", "message"),
    [
        ("restart", BuildStatus.QUEUED, "This build cannot be restarted."),
        ("restart", BuildStatus.RUNNING, "This build cannot be restarted."),
        ("cancel", BuildStatus.SUCCEEDED, "This build cannot be cancelled."),
        ("cancel", BuildStatus.CANCELED, "This build cannot be cancelled."),
    ],
)
def test_what_cannot_be_done_is_said_in_its_words(make, owner, action, status, message):
    build = make.build(status)
    assert owner.refusal("PUT", f"/build/{build.id}/{action}") == (400, message)


def test_nothing_is_done_by_looking(make, owner, store):
    """Hydra does all of it for any method."""
    for action, status in ACTIONS.items():
        build = make.build(status)
        before = store.builds.get(build.id)
        for method in ("GET", "HEAD", "DELETE"):
            answer = owner.ask(method, f"/build/{build.id}/{action}")
            assert answer.status_code == 405, (method, action)
            assert {"POST", "PUT"} <= set(answer.headers["allow"].split(", "))
        assert store.builds.get(build.id) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_who_may_not_is_forbidden(make, anybody, add_user, action):
    """Whoever asks; and what is not there is not there for them."""
    build = make.build(ACTIONS[action])
    for caller in (anybody, add_user("stranger"), add_user("reader", "builds:read")):
        assert caller.refusal("PUT", f"/build/{build.id}/{action}")[0] == 403
        assert caller.refusal("PUT", f"/build/999/{action}")[0] == 404
        assert caller.refusal("PUT", f"/build/x/{action}")[0] == 404


@pytest.mark.parametrize("action", ["cancel", "bump"])
def test_a_form_of_our_pages_is_ours(make, owner, action):
    """At the same address; whoever wants JSON or puts is answered as Hydra does."""
    for headers, status in (({}, 303), ({"Accept": "application/json"}, 302)):
        build = make.build(ACTIONS[action])
        answer = owner.ask("POST", f"/build/{build.id}/{action}", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (status, f"/build/{build.id}")
        assert "Accept" in answer.headers["vary"]
    build = make.build(ACTIONS[action])
    assert owner.ask("PUT", f"/build/{build.id}/{action}", headers={}).status_code == 302


# -- what it consists of --------------------------------------------------------------------------


@pytest.fixture
def whole(make, store, clock):
    """A build that needs two others, of which one was found there; and both of these."""
    jobset = make.jobset()
    (reused,) = store.builds.list_of_evaluation(make.evaluated(jobset, make_job(name="old")).id)
    evaluation = make.evaluation(jobset)
    jobs = (make_job(name="part"), make_job(name="all", needs=("part", "old")), make_job(name="x"))
    with store.transaction():
        part, whole, _ = (
            store.queue.add(
                evaluation, job, Texts(store.queue.add_text(job_to_json(job))), clock.now()
            )
            for job in jobs
        )
        store.gates.add_needs([(whole, part)])
        store.evaluations.add_reuses(evaluation.id, [reused.id])
        store.evaluations.count_builds(evaluation.id, total=4)
        store.evaluations.finish(evaluation.id, EvaluationStatus.SUCCEEDED, clock.now())
    return whole, part, reused.id


def test_constituents_are_what_it_needs(whole, anybody):
    """Made with it or found there, each in full."""
    mine, part, reused = whole
    found = anybody.get(f"/build/{mine}/constituents")
    assert [one["id"] for one in found] == [reused, part]
    assert all(one.keys() == KEYS for one in found)
    assert found[1] == anybody.get(f"/build/{part}")
    assert anybody.get(f"/build/{part}/constituents") == []
    assert anybody.refusal("GET", "/build/999/constituents")[0] == 404


# -- parts of it ----------------------------------------------------------------------------------


def test_there_is_a_state_for_every_step():
    assert set(STEP_STATE) == set(StepStatus)


def test_a_step(make, anybody):
    """With the build that it is of."""
    build = make.build(BuildStatus.RUNNING)
    found = anybody.get(f"/build/{build.id}/step/1")
    assert found.pop("build") == anybody.get(f"/build/{build.id}")
    assert isinstance(found.pop("starttime"), int)
    assert found == {
        "stepnr": 1,
        "machine": "local-0",
        "system": "x86_64-linux",
        "drvpath": "",
        "resolveddrvpath": None,
        "stoptime": None,
        "busy": 1,
        "status": None,
        "ciserver_name": "compile",
        "ciserver_status": "running",
        "ciserver_exit_code": None,
    }
    lease = make.leases[build.id]
    failed = done(1, StepStatus.FAILED, 2)
    make.reporter.finish(lease, BuildResult(BuildStatus.FAILED), (failed,))
    found = anybody.get(f"/build/{build.id}/step/1")
    assert (found["busy"], found["status"], found["ciserver_exit_code"]) == (0, 1, 2)
    assert isinstance(found["stoptime"], int)
    assert anybody.refusal("GET", f"/build/{build.id}/step/7")[0] == 404


def test_where_it_is(make, anybody):
    """Its derivation, and its output of that name."""
    build = make.build(BuildStatus.RUNNING)
    shown = anybody.get(f"/build/{build.id}/api/get-info", headers={})
    assert shown == {"buildId": build.id, "drvPath": "", "outPath": None}
    lease = make.leases[build.id]
    make.reporter.set_output(lease, Output("", DRV, {"doc": "/nix/doc", "out": "/nix/out"}))
    shown = anybody.get(f"/build/{build.id}/api/get-info")
    assert shown == {"buildId": build.id, "drvPath": DRV, "outPath": "/nix/out"}
    good = make.build(BuildStatus.SUCCEEDED)
    shown = anybody.get(f"/build/{good.id}/api/get-info")
    assert shown["outPath"] == f"/build/{good.id}/results/"
    assert anybody.refusal("GET", "/build/999/api/get-info", headers={})[0] == 404
