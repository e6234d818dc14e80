"""Schedules that run the script of their jobset: what comes of a firing, and what is told of it."""

from dataclasses import replace

import pytest
from support.factories import ADMIN
from support.repositories import git

from ciserver.machine import native_system
from ciserver.model.account import ANONYMOUS
from ciserver.model.build import BuildResult, Offer, StepResult
from ciserver.model.errors import Invalid, NotSignedIn
from ciserver.model.evaluation import Kind
from ciserver.model.project import ScriptDefaults
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import BuildStatus, EvaluationStatus, StepStatus
from ciserver.service.submissions import ScriptSubmission

RECIPE = "image: host\ntasks:\n  - build: echo recipe\nwhen:\n  kinds: [periodic, nightly]\n"
DAILY = Timing(hours=(4,))


@pytest.fixture
def jobset(services, watched, repository):
    """One with a recipe that would build at the same moments, and a script, on a branch."""
    repository.commit({"make.sh": "true\n", ".build.yml": RECIPE}, "Begin")
    git(repository.tree, "branch", "stable")
    repository.push("main", "stable")
    known = services.queries.jobset(ADMIN, "project", "main").jobset
    settings = replace(known.settings, script=ScriptDefaults("make.sh", "SIZE=small", 30))
    inputs = tuple(replace(one, ref="stable") for one in known.inputs)
    return services.jobsets.put(ADMIN, "project", "main", settings, inputs)[0]


@pytest.fixture
def add(services, jobset):
    def add(kind=ScheduleKind.PERIODIC, timing=DAILY, **rest):
        return services.schedules.add(
            ADMIN, "project", "main", kind, timing, **{"runs_script": True, **rest}
        )

    return add


@pytest.fixture
def fire(services, clock):
    """The next day comes, and what is due is done; answers the newest firing."""

    def fire(schedule):
        clock.forward(days=1)
        services.schedules.fire_due()
        while services.evaluations.evaluate_next():
            pass
        return services.schedules.show(ADMIN, schedule.id).firings[0]

    return fire


def end(parts, status=BuildStatus.SUCCEEDED):
    """The build that waits ends so."""
    lease = parts.reporter.claim(Offer("local-0", (native_system(),))).lease
    parts.reporter.advance(lease, StepResult(0, StepStatus.SUCCEEDED, 0), 1, sandbox="plain")
    parts.reporter.finish(lease, BuildResult(status), ())


def builds_of(store, firing):
    return store.builds.list_of_evaluation(firing.evaluation.id)


def test_a_firing_is_the_script_at_the_newest_commit(
    services, store, jobset, add, fire, repository
):
    """What somebody who asked for it would get, and nothing of the recipe."""
    firing = fire(add())
    (build,) = builds_of(store, firing)
    asked = services.submissions.run_script(ADMIN, jobset, ScriptSubmission())
    made, expected = (services.queries.build(ADMIN, one.id) for one in (build, asked))
    assert made.job == expected.job
    assert (build.revision, build.ref) == (asked.revision, "refs/heads/stable")
    assert (build.kind, build.job, build.system) == (Kind.PERIODIC, "make.sh", native_system())
    assert made.job.environment == {
        "PROJECT": "root/project",
        "PROJECT_VERSION": "stable",
        "COMMIT_HASH": build.revision,
        "SIZE": "small",
    }
    assert services.queries.recipe(ADMIN, build.id) == ""
    assert firing.evaluation.complaints == firing.evaluation.skipped == ()


def test_a_moment_is_one_build(services, store, parts, jobset, add, clock):
    """However often somebody looks, and whatever is asked for beside it."""
    add()
    clock.forward(days=1)
    assert [services.schedules.fire_due() for _ in range(3)] == [1, 0, 0]
    services.evaluations.request(ADMIN, jobset)
    while services.evaluations.evaluate_next():
        pass
    kinds = [one.kind for one in services.queries.builds(ADMIN).builds]
    assert kinds == [Kind.PERIODIC]


def test_it_is_run_again_though_nothing_changed(store, parts, add, fire):
    """An earlier result never stands for it."""
    schedule, ids = add(), set()
    for _ in range(2):
        (build,) = builds_of(store, fire(schedule))
        ids.add(build.id)
        end(parts)
    assert len(ids) == 2


def test_only_if_changed(store, parts, add, fire, repository):
    """The second time there is nothing to do, which is no failure; after a commit there is."""
    schedule = add(only_if_changed=True)
    first = fire(schedule)
    end(parts)
    second = fire(schedule)
    assert builds_of(store, second) == ()
    assert second.result.startswith("no new revision since ")
    assert not second.has_failed
    git(repository.tree, "checkout", "--quiet", "stable")
    newer = repository.commit({"make.sh": "false\n"}, "Change the script")
    repository.push("stable")
    (build,) = builds_of(store, fire(schedule))
    assert build.revision == newer != first.evaluation.revision


def test_no_two_at_a_time(store, parts, add, fire):
    """While one is under way the next is not begun, and that is said."""
    schedule = add()
    first = fire(schedule)
    second = fire(schedule)
    assert second.evaluation is None
    assert second.result == f"the firing before it still runs (evaluation {first.evaluation.id})"
    assert second.has_failed
    end(parts)
    assert fire(schedule).evaluation is not None


@pytest.mark.parametrize(
    ("ref", "expected"), [("HEAD", "refs/heads/stable"), ("refs/heads/main", "refs/heads/main")]
)
def test_which_branch(store, add, fire, ref, expected):
    """That of the jobset, unless the schedule names another."""
    (build,) = builds_of(store, fire(add(ref=ref)))
    assert build.ref == expected


def test_by_hand(services, store, add):
    """The script as well, at once."""
    schedule = add(only_if_changed=True)
    for _ in range(2):
        evaluation_id = services.schedules.fire(ADMIN, schedule.id)
        services.evaluations.evaluate_next()
        (build,) = store.builds.list_of_evaluation(evaluation_id)
        assert build.job == "make.sh"
    with pytest.raises(NotSignedIn):
        services.schedules.fire(ANONYMOUS, schedule.id)


@pytest.mark.parametrize(
    ("status", "has_failed"),
    [(BuildStatus.SUCCEEDED, False), (BuildStatus.PARTIAL, False), (BuildStatus.FAILED, True)],
)
def test_how_it_went(services, parts, add, fire, status, has_failed):
    """Told as soon as it has ended."""
    schedule = add()
    assert not fire(schedule).has_failed
    end(parts, status)
    assert services.schedules.show(ADMIN, schedule.id).firings[0].has_failed is has_failed


def test_what_cannot_be_run_is_said(services, jobset, add, fire):
    """A script that was taken away fails the firing, with the reason; so does a branch."""
    schedule = add()
    services.jobsets.put(
        *(ADMIN, "project", "main", replace(jobset.settings, script=ScriptDefaults())),
        jobset.inputs,
    )
    firing = fire(schedule)
    assert (firing.evaluation.status, firing.has_failed) == (EvaluationStatus.FAILED, True)
    assert firing.result.startswith("failed: ")
    assert "must be a path inside the repository" in firing.result
    gone = tuple(replace(one, ref="gone") for one in jobset.inputs)
    services.jobsets.put(ADMIN, "project", "main", jobset.settings, gone)
    assert "gone" in fire(schedule).result


def test_a_jobset_without_a_script_has_nothing_to_run(services, watched):
    """It is refused when the schedule is made."""
    with pytest.raises(Invalid) as refused:
        services.schedules.add(
            ADMIN, "project", "main", ScheduleKind.PERIODIC, DAILY, runs_script=True
        )
    assert [one.field for one in refused.value.complaints] == ["script"]
    assert services.schedules.list_all(ADMIN) == ()
