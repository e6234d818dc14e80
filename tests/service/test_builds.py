"""What becomes of builds: ended, canceled, run again, rescued."""

import pytest
from support.factories import ADMIN, MAIL, OFFER, done, make_job

from ciserver.model.account import ANONYMOUS, Actor
from ciserver.model.build import BuildResult, Loss
from ciserver.model.errors import (
    BuildAlreadyFinished,
    BuildNotFinished,
    Conflict,
    Forbidden,
    NotFound,
    NotSignedIn,
)
from ciserver.model.status import ACTIVE, BuildStatus, Reason, StepStatus

B = BuildStatus
UNDER_WAY = sorted(ACTIVE)


@pytest.fixture
def builds(services):
    return services.builds


def counters(store, build):
    evaluation = store.evaluations.get(build.evaluation_id)
    return (evaluation.builds_total, evaluation.builds_finished, evaluation.builds_good)


def lose(make, clock, times):
    """Let workers claim and fall silent; answers how many builds were rescued."""
    rescued = 0
    for _ in range(times):
        make.claim()
        clock.forward(minutes=5)
        rescued += make.services.builds.rescue_lost()
    return rescued


# -- ends -----------------------------------------------------------------------------------------


def test_a_build_ends(make, store, clock, reporter):
    """Result, steps and counters are there together."""
    build = make.build(B.RUNNING)
    clock.forward(seconds=7)
    result = BuildResult(B.FAILED, Reason.EXIT_CODE, "make said 2")
    reporter.finish(make.leases[build.id], result, (done(1, StepStatus.FAILED, 2),))
    ended = store.builds.get(build.id)
    assert (ended.status, ended.reason, ended.detail) == (B.FAILED, Reason.EXIT_CODE, "make said 2")
    assert ended.finished_at == clock.now()
    step = store.builds.get_step(build.id, 1, 1)
    assert (step.status, step.exit_code) == (StepStatus.FAILED, 2)
    assert counters(store, build) == (1, 1, 0)


@pytest.mark.parametrize("status", [B.SUCCEEDED, B.PARTIAL, B.FAILED, B.TIMED_OUT, B.ERRORED])
def test_good_ends_are_counted(make, store, status):
    """The evaluation knows how many builds ended and how many ended well."""
    build = make.build(status)
    assert build.status is status
    assert counters(store, build) == (1, 1, int(status.is_good))


@pytest.mark.parametrize("status", [B.QUEUED, B.RUNNING, B.CANCELED, B.DEPENDENCY_FAILED])
def test_a_forbidden_end_is_refused(make, store, reporter, status):
    """A running build cannot end as what only waiting ones become; nothing is written."""
    build = make.build(B.RUNNING)
    with pytest.raises(Conflict, match=f"is running, not {status}"):
        reporter.finish(make.leases[build.id], BuildResult(status), (done(1),))
    assert store.builds.get(build.id) == build
    assert store.builds.get_step(build.id, 1, 1).status is StepStatus.RUNNING


def test_a_step_that_nobody_ended(make, store, reporter):
    """What still ran when the attempt ended does not run for ever."""
    build = make.build(B.RUNNING)
    reporter.finish(make.leases[build.id], BuildResult(B.TIMED_OUT, Reason.TIME_LIMIT), ())
    assert store.builds.get_step(build.id, 1, 1).status is StepStatus.LOST


# -- canceled -------------------------------------------------------------------------------------


def test_cancel_of_a_waiting_build(make, store, builds):
    """It ends at once, says who did it, and is never claimed."""
    build = make.build(triggers=(MAIL,))
    canceled = builds.cancel(ADMIN, build.id)
    assert (canceled.status, canceled.reason) == (B.CANCELED, Reason.CANCELED_BY)
    assert (canceled.canceled_by, canceled.attempt) == ("root", 1)
    assert counters(store, build) == (1, 1, 0)
    assert len(store.outbox.list_of_build(build.id)) == 1
    assert make.claim() is None


@pytest.mark.parametrize("status", UNDER_WAY)
def test_cancel_of_a_build_under_way(make, builds, reporter, store, status):
    """It is asked to stop, twice is once, and ends when its worker says so."""
    build = make.build(status)
    for _ in range(2):
        assert builds.cancel(ADMIN, build.id).status is B.CANCELING
    assert counters(store, build) == (1, 0, 0)
    reporter.finish(make.leases[build.id], BuildResult(B.CANCELED, Reason.CANCELED_BY), ())
    assert store.builds.get(build.id).status is B.CANCELED
    assert counters(store, build) == (1, 1, 0)


class QuickEngine:
    """An engine that claims and stops builds before whoever rings it goes on."""

    def __init__(self, make):
        self._make = make
        make.services.run_on(self)

    def ring(self):
        self._make.claim()

    def stop(self, build_id):
        lease = self._make.leases[build_id]
        self._make.reporter.finish(lease, BuildResult(B.CANCELED, Reason.CANCELED_BY), ())


@pytest.mark.parametrize(
    ("act", "status", "left", "then"),
    [
        ("cancel", B.RUNNING, B.CANCELING, B.CANCELED),
        ("rerun", B.FAILED, B.QUEUED, B.STARTING),
        ("bump", B.QUEUED, B.QUEUED, B.STARTING),
    ],
)
def test_an_act_answers_what_it_made_of_the_build(make, store, builds, act, status, left, then):
    """However soon the engine goes on with it."""
    build = make.build(status)
    QuickEngine(make)
    assert getattr(builds, act)(ADMIN, build.id).status is left
    assert store.builds.get(build.id).status is then


def test_a_build_may_end_before_its_cancellation(make, store, reporter):
    """Who was faster than the cancellation keeps the result."""
    build = make.build(B.CANCELING)
    reporter.finish(make.leases[build.id], BuildResult(B.SUCCEEDED), (done(1),))
    assert store.builds.get(build.id).status is B.SUCCEEDED


def test_a_cancellation_before_the_first_task(make, store, reporter, builds):
    """A build canceled while it is set up stays canceled when its first task begins."""
    build = make.build(B.STARTING)
    builds.cancel(ADMIN, build.id)
    reporter.advance(make.leases[build.id], done(0), 1, sandbox="plain")
    assert store.builds.get(build.id).status is B.CANCELING


@pytest.mark.parametrize("status", [B.SUCCEEDED, B.FAILED, B.CANCELED])
def test_cancel_of_a_finished_build_is_refused(make, store, builds, status):
    """A finished build keeps its status and the caller learns why."""
    build = make.build(status)
    with pytest.raises(BuildAlreadyFinished, match=f"is {status}"):
        builds.cancel(ADMIN, build.id)
    assert store.builds.get(build.id) == build


# -- run again ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [B.SUCCEEDED, B.FAILED, B.CANCELED])
def test_rerun(make, store, builds, status):
    """The same build waits again; its next attempt is a new one, the old one stays."""
    build = make.build(status, name="again")
    again = builds.rerun(ADMIN, build.id)
    assert (again.id, again.status, again.number) == (build.id, B.QUEUED, build.number)
    assert (again.requested_by, again.revision) == ("ada", build.revision)
    assert (again.canceled_by, again.finished_at) == ("", None)
    assert counters(store, build) == (1, 0, 0)
    assert make.claim().lease.attempt == 2
    first = store.builds.list_attempts(build.id)[-1]
    assert (first.number, first.status) == (1, status)


@pytest.mark.parametrize("status", [B.QUEUED, *UNDER_WAY])
def test_rerun_of_an_open_build_is_refused(make, builds, status):
    """What has not ended cannot be run again."""
    build = make.build(status)
    with pytest.raises(BuildNotFinished, match=f"is {status}"):
        builds.rerun(ADMIN, build.id)


@pytest.mark.parametrize("act", ["cancel", "rerun"])
@pytest.mark.parametrize(
    ("actor", "error"),
    [(ANONYMOUS, NotSignedIn), (Actor("ada", scopes=("builds:read",)), Forbidden)],
)
def test_rights(make, builds, store, act, actor, error):
    """Nobody and readers change nothing."""
    build = make.build()
    with pytest.raises(error):
        getattr(builds, act)(actor, build.id)
    assert store.builds.get(build.id) == build


@pytest.mark.parametrize("act", ["cancel", "rerun"])
def test_an_unknown_build(builds, act):
    """The number is in the answer."""
    with pytest.raises(NotFound, match="no build 77"):
        getattr(builds, act)(ADMIN, 77)


# -- rescued --------------------------------------------------------------------------------------


def test_a_lost_build_is_tried_again(make, store, clock):
    """Twice by default; it keeps no trace of its last worker but the ended attempt."""
    build = make.build()
    assert lose(make, clock, 2) == 2
    waiting = store.builds.get(build.id)
    assert (waiting.status, waiting.reason, waiting.started_at) == (B.QUEUED, Reason.NONE, None)
    attempts = store.builds.list_attempts(build.id)
    assert [(one.number, one.status, one.reason) for one in attempts] == [
        (2, B.ERRORED, Reason.WORKER_LOST),
        (1, B.ERRORED, Reason.WORKER_LOST),
    ]
    assert counters(store, build) == (1, 0, 0)
    assert store.outbox.list_of_build(build.id) == ()


def test_a_build_that_is_always_lost_ends(make, store, clock):
    """After the last retry it is errored, counted and told."""
    build = make.build(triggers=(MAIL,))
    assert lose(make, clock, 4) == 3
    ended = store.builds.get(build.id)
    assert (ended.status, ended.reason, ended.attempt) == (B.ERRORED, Reason.WORKER_LOST, 3)
    assert "not tried again" in ended.detail
    assert counters(store, build) == (1, 1, 0)
    assert len(store.outbox.list_of_build(build.id)) == 1


def test_a_rerun_may_be_lost_as_often(make, store, clock, builds):
    """Running again by hand starts to count anew."""
    build = make.build()
    lose(make, clock, 3)
    builds.rerun(ADMIN, build.id)
    lose(make, clock, 2)
    assert store.builds.get(build.id).status is B.QUEUED


def test_canceled_and_lost_is_canceled(make, store, clock, builds):
    """A build whose worker died while it was canceled is not started again."""
    build = make.build(B.CANCELING)
    clock.forward(minutes=5)
    assert builds.rescue_lost() == 1
    ended = store.builds.get(build.id)
    assert (ended.status, ended.reason, ended.canceled_by) == (
        B.CANCELED,
        Reason.CANCELED_BY,
        "root",
    )


def test_recover_takes_what_was_ours(make, store, builds):
    """At start the builds of this server's worker wait again at once; those of others run on, also
    where their names begin alike.
    """
    mine = make.build(B.RUNNING, worker="local-web")
    others = [make.build(B.RUNNING, worker=one) for one in ("local-web2", "local", "elsewhere")]
    assert builds.recover("local-web") == 1
    assert store.builds.get(mine.id).status is B.QUEUED
    assert {store.builds.get(one.id).status for one in others} == {B.RUNNING}


def test_give_back(make, store, reporter):
    """A worker that cannot judge the job hands it back, and says why."""
    build = make.build(B.RUNNING)
    loss = Loss("the sandbox broke", Reason.SANDBOX_BROKEN)
    reporter.give_back(make.leases[build.id], loss)
    assert store.builds.get(build.id).status is B.QUEUED
    (attempt,) = store.builds.list_attempts(build.id)
    assert (attempt.status, attempt.reason) == (B.ERRORED, Reason.SANDBOX_BROKEN)
    assert attempt.detail == "the sandbox broke"


@pytest.mark.parametrize(("counts", "status"), [(True, B.ERRORED), (False, B.QUEUED)])
def test_only_real_losses_use_up_retries(make, store, reporter, counts, status):
    """However often a worker is shut down in good order, its build is tried again."""
    build = make.build()
    for _ in range(3):
        reporter.give_back(make.claim().lease, Loss("handed back", counts=counts))
    assert store.builds.get(build.id).status is status


def test_what_a_build_finds_in_its_environment(make):
    """The variables name the build, its revision and its branch."""
    build = make.build()
    work = make.claim()
    told = work.environment
    assert (told["CI"], told["BUILD_ID"]) == ("true", str(build.id))
    assert (told["CI_COMMIT_SHA"], told["CI_COMMIT_BRANCH"]) == (build.revision, "main")
    assert told["CI_COMMIT_TAG"] == ""
    assert told["BUILD_URL"].endswith(f"/build/{build.id}")


def test_counters_of_many_builds(make, store, builds):
    """An evaluation counts each of its builds."""
    jobs = [make_job(name=f"job-{number}") for number in range(3)]
    evaluation = make.evaluated(make.jobset(), *jobs)
    for status in (B.SUCCEEDED, B.FAILED):
        lease = make.claim(OFFER).lease
        make.reporter.advance(lease, done(0), 1, sandbox="plain")
        make.reporter.finish(lease, BuildResult(status), ())
    after = store.evaluations.get(evaluation.id)
    assert (after.builds_total, after.builds_finished, after.builds_good) == (3, 2, 1)
