"""What a build and its tasks are in, at each stage of their life."""

import pytest

from ciserver.dialects.copr.words import _FIRST, STATE, WANTED
from ciserver.model.status import BuildStatus

S = BuildStatus
LINUX, ARM, FEDORA = "x86_64-linux", "aarch64-linux", "fedora-rawhide-x86_64"
# Every stage that a build can be brought to: the state of the task, of its build, and whether it
# has started and ended.
LIFE = {
    S.QUEUED: ("pending", "pending", False, False),
    S.STARTING: ("starting", "starting", True, False),
    S.RUNNING: ("running", "running", True, False),
    S.CANCELING: ("running", "canceled", True, False),
    S.SUCCEEDED: ("succeeded", "succeeded", True, True),
    S.PARTIAL: ("succeeded", "succeeded", True, True),
    S.FAILED: ("failed", "failed", True, True),
    S.TIMED_OUT: ("failed", "failed", True, True),
    S.CANCELED: ("canceled", "canceled", False, True),
    S.ERRORED: ("failed", "failed", True, True),
}


def test_every_status_has_a_state():
    """A new status of the core cannot be forgotten."""
    assert set(STATE) == set(BuildStatus)


def test_every_state_has_its_place_and_its_filter():
    """A build can be in whatever a task is in; clients may ask for four words more."""
    assert set(_FIRST) == set(STATE.values())
    assert set(WANTED) == {*STATE.values(), "skipped", "forked", "waiting", "unknown"}
    assert len(WANTED) == 11


@pytest.mark.parametrize("status", LIFE)
def test_the_life_of_a_build(get, make, status):
    """Each stage in Copr's words, with times that are known by then, and where the results are."""
    build = make.build(status)
    state, of_build, has_started, has_ended = LIFE[status]
    item = get(f"/api_2/build_tasks/{build.id}/{LINUX}")["build_task"]
    assert item["state"] == state
    assert isinstance(item["started_on"], int) is has_started
    assert isinstance(item["ended_on"], int) is has_ended
    results = f"http://falconframework.org/build/{build.id}/results/"
    assert item["result_dir_url"] == (results if has_started else None)
    assert get(f"/api_2/builds/{build.id}")["build"]["state"] == of_build
    listed = get(f"/api_2/build_tasks?state={state}")["build_tasks"]
    assert [one["build_task"] for one in listed] == [item]
    finished = get(f"/api_2/builds?is_finished={has_ended}")["builds"]
    assert [one["build"]["id"] for one in finished] == [build.id]
    assert get(f"/api_2/builds?is_finished={not has_ended}")["builds"] == []


def test_a_held_build_is_pending(get, make_group):
    """It waits for a person, which Copr has no word for."""
    (held,) = make_group(LINUX, held=True)
    assert held.status is S.HELD
    assert get(f"/api_2/build_tasks/{held.id}/{LINUX}")["build_task"]["state"] == "pending"


def test_a_build_that_runs_again_has_not_started(get, make, services, admin):
    """Its results are those of the attempt to come."""
    build = make.build(S.FAILED)
    services.builds.rerun(admin, build.id)
    item = get(f"/api_2/build_tasks/{build.id}/{LINUX}")["build_task"]
    assert (item["state"], item["started_on"], item["ended_on"]) == ("pending", None, None)


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        (S.SUCCEEDED, S.SUCCEEDED, "succeeded"),
        (S.SUCCEEDED, S.FAILED, "failed"),
        (S.SUCCEEDED, S.CANCELED, "canceled"),
        (S.FAILED, S.CANCELED, "canceled"),
        (S.CANCELING, S.CANCELED, "canceled"),
        (S.FAILED, S.QUEUED, "pending"),
        (S.CANCELED, S.QUEUED, "pending"),
        (S.FAILED, S.STARTING, "starting"),
        (S.QUEUED, S.STARTING, "starting"),
        (S.STARTING, S.RUNNING, "running"),
        (S.CANCELED, S.RUNNING, "running"),
        (S.FAILED, S.RUNNING, "running"),
    ],
)
def test_a_build_is_what_its_tasks_are(get, make_group, first, second, state):
    """It goes on while a task does; then one canceled or failed task marks it."""
    (one, _) = make_group((ARM, first), (FEDORA, second))
    assert get(f"/api_2/builds/{one.group_id}")["build"]["state"] == state
    has_ended = first.is_final and second.is_final
    listed = get(f"/api_2/builds?is_finished={int(has_ended)}")["builds"]
    assert [each["build"]["state"] for each in listed] == [state]
