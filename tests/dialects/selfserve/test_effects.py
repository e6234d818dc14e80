"""What becomes of a job request: the core has changed, and the job says what came of it."""

import json

import pytest
from support.factories import ADMIN, make_job

from ciserver.model.request import Action, RequestStatus
from ciserver.model.status import BuildStatus


@pytest.fixture
def status_of(services):
    return lambda build_id: services.queries.build(ADMIN, build_id).build.status


def outcome(ada, job_id):
    body = ada.read(f"/jobs/{job_id}")["complete_data"]["body"]
    assert body.keys() == {"errors", "msg", "created"}
    assert type(body["errors"]) is bool
    return body


def builds_of(services, ada, job_id):
    """What a job request made, as the core has it."""
    body = outcome(ada, job_id)
    assert (body["errors"], body["msg"]) == (False, "Ok")
    return [services.queries.build(ADMIN, one) for one in body["created"]]


def test_nothing_happens_before_the_request_is_performed(ada, factory, main, status_of, perform):
    """The row comes first."""
    build = factory.build(jobset=main)
    made = ada.change("DELETE", f"/main/request/{build.id}")
    assert status_of(build.id) is BuildStatus.QUEUED
    perform()
    assert status_of(build.id) is BuildStatus.CANCELED
    assert outcome(ada, made) == {"errors": False, "msg": f"{build.id}: Ok", "created": []}


def test_each_change_is_in_the_audit_trail_once(ada, services, factory, main, perform):
    """With who, what and what came of it, in the words of the core."""
    build = factory.build(jobset=main)
    before = {one.id for one in services.requests.list_newest(ADMIN, limit=100)}
    ada.change("PUT", f"/main/request/{build.id}", priority=7)
    ada.change("POST", "/main/request", request_id=build.id)
    ada.change("DELETE", f"/main/rev/{build.revision}")
    perform()
    rows = [one for one in services.requests.list_newest(ADMIN, limit=100) if one.id not in before]
    assert [(one.action, one.who, one.what, one.status) for one in reversed(rows)] == [
        (Action.REPRIORITIZE, "ada", {"build": build.id, "priority": 7}, RequestStatus.DONE),
        (
            Action.REBUILD,
            "ada",
            {"build": build.id, "priority": 0, "count": 1},
            RequestStatus.DONE,
        ),
        (
            Action.CANCEL_REVISION,
            "ada",
            {"jobset": main.full_name, "revision": build.revision[:12]},
            RequestStatus.DONE,
        ),
    ]


def test_a_running_build_is_told_to_stop(ada, factory, main, status_of, perform):
    """By the id of the build or of the request, which are the same."""
    for kind in ("build", "request"):
        build = factory.build(BuildStatus.RUNNING, jobset=main)
        ada.change("DELETE", f"/main/{kind}/{build.id}")
        perform()
        assert status_of(build.id) is BuildStatus.CANCELING


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("build", "Build is complete, nothing to do"),
        ("request", "Request 1 is complete, nothing to do"),
    ],
)
def test_what_has_ended_stays_as_it_is(ada, factory, main, status_of, perform, kind, message):
    """The request is accepted and has nothing to do, which is no error."""
    build = factory.build(BuildStatus.FAILED, jobset=main)
    made = ada.change("DELETE", f"/main/{kind}/{build.id}")
    perform()
    assert status_of(build.id) is BuildStatus.FAILED
    assert outcome(ada, made) == {"errors": False, "msg": message, "created": []}


def test_a_priority_for_what_ended_meanwhile(ada, services, factory, main, perform):
    """Is of no use any more."""
    build = factory.build(jobset=main)
    made = ada.change("PUT", f"/main/request/{build.id}", priority=5)
    services.builds.cancel(ADMIN, build.id)
    perform()
    message = "Request is complete, nothing to do"
    assert outcome(ada, made) == {"errors": False, "msg": message, "created": []}


@pytest.mark.parametrize("kind", ["nightly", "pgo"])
def test_a_set_that_no_builder_is_of(ada, services, repository, pushed, perform, kind):
    """Is no error, and says that nothing was made."""
    every = "image: host\ntasks:\n  - build: echo built\n"
    revision = repository.commit({f".builds/linux64-{kind}.yml": every}, "Build it with each push")
    repository.push()
    made = ada.change("POST", f"/main/rev/{revision}/{kind}")
    perform()
    assert outcome(ada, made) == {"errors": False, "msg": "No builds to create", "created": []}


def test_a_revision_is_canceled_whole_and_nothing_else(ada, factory, main, store, perform):
    """Of this branch alone; the job has a line for each."""
    there = factory.jobset()
    for jobset, revision in ((main, "a"), (main, "a"), (main, "b"), (there, "a")):
        factory.evaluated(jobset, make_job(), revision=revision * 40)
    made = ada.change("DELETE", f"/main/rev/{'a' * 40}")
    perform()
    statuses = [store.builds.get(build_id).status for build_id in (1, 2, 3, 4)]
    assert statuses == ["canceled", "canceled", "queued", "queued"]
    assert sorted(outcome(ada, made)["msg"].splitlines()) == ["1: Ok", "2: Ok"]


def test_a_revision_with_nothing_to_cancel(ada, main, perform):
    """Known or not: the job has no errors and no message."""
    made = ada.change("DELETE", f"/main/rev/{'a' * 40}")
    perform()
    assert outcome(ada, made) == {"errors": False, "msg": "", "created": []}


def test_another_priority(ada, services, factory, main, perform):
    """Of the waiting request itself."""
    build = factory.build(jobset=main)
    ada.change("PUT", f"/main/request/{build.id}", priority=-3)
    perform()
    assert services.queries.build(ADMIN, build.id).build.priority == -3


def test_a_build_that_started_meanwhile_keeps_its_priority(ada, factory, main, perform):
    """The job says so, with errors."""
    build = factory.build(jobset=main)
    made = ada.change("PUT", f"/main/request/{build.id}", priority=5)
    factory.claim()
    perform()
    assert outcome(ada, made)["errors"]


def test_a_rebuild_has_properties_and_a_reason(ada, services, pushed, perform):
    """Those that its origin was asked for with."""
    first = ada.change(
        "POST", f"/main/builders/linux64/{pushed}", properties='{"level": 3}', files='["a"]'
    )
    perform()
    (origin,) = builds_of(services, ada, first)
    second = ada.change("POST", "/main/request", request_id=origin.build.id, priority=2, count=2)
    perform()
    for view in builds_of(services, ada, second):
        assert view.job.environment == {"level": "3", "SELFSERVE_FILES": '["a"]'}
        request = ada.read(f"/main/request/{view.build.id}")
        assert request["properties"] == {"level": "3"}
        assert request["reason"] == "Self-serve: Rebuilt by ada"
        assert request["priority"] == 2


def test_a_new_build_is_what_a_push_would_be(ada, services, pushed, perform):
    """The builders of pushes, at the revision."""
    made = ada.change("POST", f"/main/rev/{pushed[:8]}")
    perform()
    (view,) = builds_of(services, ada, made)
    assert (view.build.job, view.build.revision, view.build.kind) == ("linux64", pushed, "api")
    items = ada.read(f"/main/rev/{pushed[:4]}")
    assert [one["reason"] for one in items] == ["Self-serve: Requested by ada", "scheduler"]


@pytest.mark.parametrize("kind", ["nightly", "pgo"])
def test_nightly_and_pgo_builds_are_of_their_builders(ada, services, pushed, perform, kind):
    """With the priority that was asked for."""
    made = ada.change("POST", f"/main/rev/{pushed}/{kind}", priority=5)
    perform()
    (view,) = builds_of(services, ada, made)
    assert (view.build.job, view.build.kind, view.build.priority) == (f"linux64-{kind}", kind, 5)
    assert view.build.requested_by == "ada"


def test_one_builder_is_asked_whatever_its_filters_say(ada, services, pushed, perform):
    """A builder of nightlies too, once it was seen; it finds properties and files as variables."""
    ada.change("POST", f"/main/rev/{pushed}/nightly")
    perform()
    assert ada.read("/main/builders") == ["linux64", "linux64-nightly"]
    made = ada.change(
        "POST",
        f"/main/builders/linux64-nightly/{pushed}",
        properties='{"greeting": "h\\u00e9llo\\nthere"}',
        files='["https://example.org/x"]',
    )
    perform()
    (view,) = builds_of(services, ada, made)
    assert view.build.job == "linux64-nightly"
    assert view.job.environment["greeting"] == "héllo\nthere"
    assert json.loads(view.job.environment["SELFSERVE_FILES"]) == ["https://example.org/x"]
    details = ada.read(f"/main/request/{view.build.id}")
    assert details["properties"] == {"greeting": "héllo\nthere"}


def test_a_revision_that_is_nowhere_is_told_by_the_job(ada, pushed, perform):
    """Nobody looked before; the job has errors and says what is missing."""
    made = ada.change("POST", f"/main/rev/{'9' * 40}")
    perform()
    body = outcome(ada, made)
    assert body["errors"]
    assert "9" * 40 in body["msg"]
    assert body["created"] == []
