"""A job at every stage of its life, in the words of builds.sr.ht."""

import pytest
from support.factories import done

from ciserver.model.build import Loss
from ciserver.model.request import Action, RequestStatus
from ciserver.model.status import BuildStatus, StepStatus

B = BuildStatus
STAGES = {
    B.QUEUED: "queued",
    B.STARTING: "running",
    B.RUNNING: "running",
    B.CANCELING: "running",
    B.SUCCEEDED: "success",
    B.PARTIAL: "success",
    B.FAILED: "failed",
    B.TIMED_OUT: "timeout",
    B.CANCELED: "cancelled",
    B.ERRORED: "failed",
}
HAVE_NO_LOG = {B.QUEUED, B.CANCELED}


@pytest.mark.parametrize("status", STAGES, ids=str)
def test_the_word_of_each_stage(status, make, ada):
    """Also of builds that a push made; a log is named once a worker has the job."""
    build = make.build(status)
    job = ada.job(build.id)
    assert job["status"] == STAGES[status]
    has_log = status not in HAVE_NO_LOG
    assert (job["setup_log"] is not None, job["runner"] is not None) == (has_log, has_log)
    assert [(one["name"], one["log"] is not None) for one in job["tasks"]] == [("compile", has_log)]
    assert (job["note"], job["tags"]) == ("A subject", None)


def test_tasks_one_after_the_other(ada, worker):
    """Pending, running, success, failed; what a failure leaves stays pending, as it always did."""
    job_id = ada.submit()

    def tasks():
        return [one["status"] for one in ada.job(job_id)["tasks"]]

    assert tasks() == ["pending", "pending"]
    lease = worker.start()
    assert tasks() == ["running", "pending"]
    worker.reporter.advance(lease, done(1), 2, sandbox="plain")
    assert tasks() == ["success", "running"]
    worker.finish(lease, B.FAILED, done(2, StepStatus.FAILED, 1))
    assert tasks() == ["success", "failed"]
    ada.submit()
    worker.finish(worker.start(), B.FAILED, done(1, StepStatus.FAILED, 1))
    assert [one["status"] for one in ada.job(job_id + 1)["tasks"]] == ["failed", "pending"]
    ada.submit()
    skipped = done(2, StepStatus.SKIPPED, None)
    worker.finish(worker.start(), B.SUCCEEDED, done(1), skipped)
    assert [one["status"] for one in ada.job(job_id + 2)["tasks"]] == ["success", "skipped"]


def test_the_task_that_a_cancellation_stops_has_failed(ada, worker):
    """As it has after a time limit: there is no other word for it."""
    for status in (B.CANCELED, B.TIMED_OUT):
        job_id = ada.submit()
        lease = worker.start()
        if status is B.CANCELED:
            ada.post(f"/api/jobs/{job_id}/cancel")
        worker.finish(lease, status)
        assert ada.job(job_id)["tasks"][0]["status"] == "failed"


def test_a_job_that_waits_again_has_no_worker(ada, worker, services, actor):
    """Neither logs nor tasks of an earlier run are shown as its own."""
    job_id = ada.submit()
    before = ada.job(job_id)
    worker.reporter.give_back(worker.start(), Loss("the worker went away"))
    assert ada.job(job_id) == before
    worker.finish(worker.start())
    services.builds.rerun(actor("ada"), job_id)
    assert ada.job(job_id) == before


@pytest.mark.parametrize("stage", ["pending", "queued", "running"])
def test_cancel(stage, ada, worker, services, admin):
    """Whatever has not ended can be cancelled, and the row says who did it."""
    job_id = ada.submit(execute=stage != "pending")
    lease = worker.start() if stage == "running" else None
    answer = ada.post(f"/api/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json) == (200, {})
    asked = services.requests.list_newest(admin, limit=1)[0]
    assert (asked.action, asked.who, asked.status) == (
        Action.CANCEL_BUILD,
        "ada",
        RequestStatus.DONE,
    )
    if lease:
        assert ada.job(job_id)["status"] == "running"
        worker.finish(lease, B.CANCELED)
    job = ada.job(job_id)
    assert job["status"] == "cancelled"
    if not lease:
        assert {one["status"] for one in job["tasks"]} == {"pending"}


def test_cancel_of_a_finished_job_changes_nothing(ada, worker, services, admin):
    """It is no error either."""
    job_id = ada.submit()
    worker.finish(worker.start())
    before = ada.job(job_id)
    answer = ada.post(f"/api/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json) == (200, {})
    assert ada.job(job_id) == before
    asked = services.requests.list_newest(admin, limit=1)[0]
    assert (asked.action, asked.status) == (Action.CANCEL_BUILD, RequestStatus.FAILED)


@pytest.mark.parametrize(
    ("status", "word"),
    [(one, word if word in {"queued", "running"} else "complete") for one, word in STAGES.items()],
    ids=str,
)
def test_only_a_pending_job_is_started(status, word, make, program):
    """400 says what the job is instead."""
    build = make.build(status)
    answer = program("root").post(f"/api/jobs/{build.id}/start")  # who owns the project
    assert answer.status_code == 400
    assert answer.json == {"errors": [{"reason": f"This job is already {word}"}]}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('""', "application/json"),
        ('"{}"', "application/json"),
        ("{", "application/json"),
        ("\x00" * 2_000_000, "application/json"),
        ("a=b", "application/x-www-form-urlencoded"),
        ("junk", "image/png"),
        ("", ""),
    ],
)
def test_bodies_of_start_and_cancel_are_ignored(body, content_type, ada):
    """Whatever they are, and also those of a GET."""
    job_id = ada.submit(execute=False)
    rest = {"body": body, "headers": {"Content-Type": content_type}}
    for action in ("start", "cancel"):
        answer = ada.post(f"/api/jobs/{job_id}/{action}", **rest)
        assert (answer.status_code, answer.json) == (200, {}), action
    assert ada.get(f"/api/jobs/{job_id}", **rest).json["status"] == "cancelled"
