"""Every request that self-serve's own page promises, played as it stands there."""

import re

import pytest
from support.factories import ADMIN

from ciserver.model.request import Action
from ciserver.model.status import BuildStatus

REQUEST = {
    "request_id": int,
    "buildername": str,
    "branch": str,
    "revision": str,
    "submittime": int,
    "complete": int,
    "complete_at": int | None,
    "priority": int,
    "claimed_at": int,
    "reason": str,
}
BUILD = {
    "build_id": int,
    "requests": list,
    "buildnumber": int,
    "buildername": str,
    "branch": str,
    "revision": str,
    "starttime": int,
    "endtime": int | None,
    "status": int | None,
    "claimed_by_name": str | None,
}
JOB = {
    "action": str,
    "who": str,
    "when": int,
    "completed_at": int | None,
    "what": dict,
    "complete_data": dict | None,
}
ENDED = 1772366400  # when the clock of the tests stands still


def has_shape(value, shape):
    """Exactly these keys, each of its type; a boolean is no integer."""
    return value.keys() == shape.keys() and all(
        isinstance(value[key], kind) and not isinstance(value[key], bool)
        for key, kind in shape.items()
    )


@pytest.fixture
def done(factory, main):
    return factory.build(BuildStatus.SUCCEEDED, jobset=main, name="linux64", priority=3)


@pytest.fixture
def running(factory, main):
    return factory.build(BuildStatus.RUNNING, jobset=main, name="linux64-debug")


@pytest.fixture
def waiting(factory, main):
    return factory.build(jobset=main, name="linux64-pgo")


def asked(ada, path, request_id):
    """The row of a job request while it waits."""
    row = ada.read(f"/jobs/{request_id}")
    assert has_shape(row, JOB)
    assert (row["who"], row["when"]) == ("ada", ENDED)
    assert (row["completed_at"], row["complete_data"]) == (None, None)
    return row["action"], row["what"]


def test_root(stranger):
    """A page, whatever the client wants, with every call that there is."""
    answer = stranger.ask("GET", "")
    assert (answer.status_code, answer.headers["content-type"][:9]) == (200, "text/html")
    told = set(
        re.findall(r"<tr><td>(\w+)</td><td>([^<]+)</td><td class=\"wide\">[^<]", answer.text)
    )
    assert told == CALLS


def test_branches(stranger, main):
    """Every branch by its name."""
    assert stranger.read("/branches") == {
        "main": {
            "repo": "https://example.org/project-1.git",
            "repo_type": "git",
            "graph_branches": [],
        }
    }


def test_a_branch_without_a_name_of_its_own_has_its_full_name(stranger, factory, main):
    """The name main is taken; the full name always works."""
    factory.build(jobset=factory.jobset())
    assert set(stranger.read("/branches")) == {"main", "project-2:main"}
    (item,) = stranger.read("/project-2:main")
    assert item["branch"] == "project-2:main"
    assert stranger.read("/project-1:main") == stranger.read("/main") == []


def test_a_branch(stranger, done, running, waiting):
    """Builds from the newest, then what waits; they differ in their keys."""
    first, second, third = stranger.read("/main")
    assert has_shape(first, BUILD)
    assert has_shape(second, BUILD)
    assert has_shape(third, REQUEST)
    assert [first["build_id"], second["build_id"]] == [running.id, done.id]
    assert third["request_id"] == waiting.id


def test_a_build(stranger, done):
    """With its request and the properties of that."""
    build = stranger.read(f"/main/build/{done.id}")
    (request,) = build["requests"]
    assert has_shape(build, BUILD)
    assert has_shape(request, {**REQUEST, "properties": dict})
    assert build == {
        "build_id": done.id,
        "requests": [request],
        "buildnumber": 1,
        "buildername": "linux64",
        "branch": "main",
        "revision": done.revision,
        "starttime": ENDED,
        "endtime": ENDED,
        "status": 0,
        "claimed_by_name": "local-0",
    }
    assert request == {
        "request_id": done.id,
        "buildername": "linux64",
        "branch": "main",
        "revision": done.revision,
        "submittime": ENDED,
        "complete": 1,
        "complete_at": ENDED,
        "priority": 3,
        "claimed_at": ENDED,
        "reason": "scheduler",
        "properties": {},
    }


def test_a_request(stranger, waiting, running):
    """With its properties and its builds, of which one that waits has none."""
    request = stranger.read(f"/main/request/{waiting.id}")
    assert has_shape(request, {**REQUEST, "properties": dict, "build_ids": list})
    assert (request["claimed_at"], request["complete"], request["build_ids"]) == (0, 0, [])
    assert stranger.read(f"/main/request/{running.id}")["build_ids"] == [running.id]


def test_a_revision(stranger, done, running):
    """By four digits or more, and only what is of it."""
    for digits in (done.revision, done.revision.upper(), done.revision[:39]):
        found = stranger.read(f"/main/rev/{digits}")
        assert done.id in [one["build_id"] for one in found]
    assert [one["build_id"] for one in stranger.read(f"/main/rev/{done.revision}")] == [done.id]
    assert len(stranger.read("/main/rev/0000")) == 2


def test_is_done(stranger, clock, done):
    """After the delay that the client names, or three minutes."""
    path = f"/main/rev/{done.revision}/is_done"
    fresh = {"stableDelay": 180, "job_complete": False, "job_passed": False}
    assert stranger.read(path) == fresh
    stable = {"stableDelay": 0, "job_complete": True, "job_passed": True}
    assert stranger.read(f"{path}?stableDelay=0") == stable
    assert stranger.read(f"{path}?stableDelay=junk") == fresh
    clock.forward(seconds=180)
    assert stranger.read(path) == {**stable, "stableDelay": 180}


def test_builders(stranger, done, running):
    """The names of what was built."""
    assert stranger.read("/main/builders") == ["linux64", "linux64-debug"]


def test_a_user(stranger, done, running, waiting):
    """In three lists, which are empty for somebody unknown."""
    found = stranger.read("/main/user/ada")
    assert {key: len(some) for key, some in found.items()} == {
        "builds": 1,
        "running": 1,
        "pending": 1,
    }
    assert has_shape(found["builds"][0], BUILD)
    assert has_shape(found["running"][0], BUILD)
    assert has_shape(found["pending"][0], REQUEST)
    nobody = {"builds": [], "running": [], "pending": []}
    assert stranger.read("/main/user/nobody") == nobody


def test_rebuild_a_build(ada, done):
    """As often as the client says."""
    made = ada.change("POST", "/main/build", build_id=done.id, priority=2, count=3)
    what = {"bid": done.id, "priority": 2, "count": 3}
    assert asked(ada, "/main/build", made) == ("rebuild_build", what)


def test_rebuild_a_request(ada, waiting):
    """Once, with the usual priority, where the client does not say; also one that waits."""
    made = ada.change("POST", "/main/request", request_id=waiting.id)
    what = {"brid": waiting.id, "priority": 0, "count": 1}
    assert asked(ada, "/main/request", made) == ("rebuild_request", what)


def test_reprioritize_a_request(ada, waiting):
    """Also below the usual priority."""
    made = ada.change("PUT", f"/main/request/{waiting.id}", priority=-5)
    assert asked(ada, "", made) == ("reprioritize", {"brid": waiting.id, "priority": -5})


def test_cancel_a_request(ada, waiting):
    """Without a body."""
    made = ada.change("DELETE", f"/main/request/{waiting.id}")
    assert asked(ada, "", made) == ("cancel_request", {"brid": waiting.id})


def test_cancel_a_build(ada, running):
    """By the id of the build."""
    made = ada.change("DELETE", f"/main/build/{running.id}")
    assert asked(ada, "", made) == ("cancel_build", {"bid": running.id})


def test_cancel_a_revision(ada, main):
    """Twelve digits are enough, and nobody needs to know the revision."""
    made = ada.change("DELETE", f"/main/rev/{'ABCDEF1234' * 4}")
    what = {"branch": "main", "revision": "abcdef1234ab"}
    assert asked(ada, "", made) == ("cancel_revision", what)


def test_new_build_at_a_revision(ada, main, done):
    """The whole revision need not be known; a part of it is completed."""
    for revision, whole in (("9" * 40, "9" * 40), (done.revision[:39], done.revision)):
        made = ada.change("POST", f"/main/rev/{revision}")
        what = {"branch": "main", "revision": whole}
        assert asked(ada, "", made) == ("new_build_at_revision", what)


@pytest.mark.parametrize(
    ("path", "action"),
    [("nightly", "new_nightly_at_revision"), ("pgo", "new_pgobuild_at_revision")],
)
def test_new_nightly_and_pgo_builds(ada, main, path, action):
    """With a priority or without."""
    for form, priority in (({}, 0), ({"priority": "4"}, 4), ({"priority": ""}, 0)):
        made = ada.change("POST", f"/main/rev/{'9' * 40}/{path}", **form)
        what = {"branch": "main", "revision": "9" * 40, "priority": priority}
        assert asked(ada, "", made) == (action, what)


def test_new_build_of_a_builder(ada, done):
    """With properties and files, which come back as they were sent; values become text."""
    made = ada.change(
        "POST",
        f"/main/builders/linux64/{'9' * 40}",
        priority=1,
        properties='{"branch": "main", "count": 3, "ratio": 0.5, "debug": true}',
        files='["https://example.org/a.tar", "https://example.org/tests.zip"]',
    )
    assert asked(ada, "", made) == (
        "new_build_for_builder",
        {
            "branch": "main",
            "revision": "9" * 40,
            "priority": 1,
            "builder_name": "linux64",
            "properties": {"branch": "main", "count": "3", "ratio": "0.5", "debug": "true"},
            "files": ["https://example.org/a.tar", "https://example.org/tests.zip"],
        },
    )


def test_jobs(ada, done, clock):
    """From the newest, without ids, in pages; junk in either number is neither."""
    for priority in (1, 2, 3):
        ada.change("POST", "/main/build", build_id=done.id, priority=priority)
        clock.forward(seconds=1)
    rows = ada.read("/jobs")
    assert all(has_shape(row, JOB) for row in rows)
    assert [row["what"]["priority"] for row in rows] == [3, 2, 1]
    assert ada.read("/jobs?num=1&offset=1") == rows[1:2]
    assert ada.read("/jobs?offset=2") == rows[2:]
    assert ada.read("/jobs?num=2") == rows[:2]
    for junk in ("num=x&offset=1", "num=1&offset=x", "num=-1", "num=1&offset=-1", "num=1.5"):
        assert ada.read(f"/jobs?{junk}") == rows, junk


def test_a_job_that_was_performed(ada, perform, done, clock):
    """With its outcome, and with the builds that it made."""
    made = ada.change("POST", "/main/build", build_id=done.id, count=2)
    clock.forward(seconds=7)
    perform()
    row = ada.read(f"/jobs/{made}")
    assert has_shape(row, JOB)
    assert row["completed_at"] == row["when"] + 7
    assert row["complete_data"] == {
        "request_id": made,
        "body": {"errors": False, "msg": "Ok", "created": [done.id + 1, done.id + 2]},
    }


def test_only_what_self_serve_knows_is_among_its_jobs(ada, services, done):
    """What was asked for elsewhere has its name here, or is not here."""
    services.builds.keep(ADMIN, done.id, kept=True)
    services.builds.rebuild(ADMIN, done.id)
    services.builds.cancel(ADMIN, done.id + 1)
    rows = ada.read("/jobs")
    assert [(row["action"], row["who"], row["what"]) for row in rows] == [
        ("cancel_build", "root", {"bid": done.id + 1}),
        ("rebuild_build", "root", {"bid": done.id, "priority": 0, "count": 1}),
    ]
    (unknown,) = (
        one.id
        for one in services.requests.list_newest(ADMIN, limit=10)
        if one.action is Action.KEEP_BUILD
    )
    assert ada.refusal("GET", f"/jobs/{unknown}") == (404, f"Job {unknown} not found")


def test_a_day(stranger, factory, main, clock):
    """What started that day, and what waits since; today where none is named."""
    early = factory.build(BuildStatus.RUNNING, jobset=main)
    old = factory.build(jobset=main)
    clock.forward(days=1)
    late = factory.build(BuildStatus.FAILED, jobset=main)
    ids = [[one.get("build_id"), one.get("request_id")] for one in stranger.read("/main")]
    assert ids == [[late.id, None]]
    found = stranger.read("/main?date=2026-03-01")
    assert [one.get("build_id") or one["request_id"] for one in found] == [early.id, old.id]
    assert stranger.read("/main?date=2026-02-28") == []
    assert stranger.read("/main?date=0001-01-01") == []


CALLS = {
    ("GET", "/self-serve"),
    ("GET", "/self-serve/branches"),
    ("GET", "/self-serve/jobs"),
    ("GET", "/self-serve/jobs/{job_id}"),
    ("GET", "/self-serve/{branch}"),
    ("POST", "/self-serve/{branch}/build"),
    ("DELETE", "/self-serve/{branch}/build/{build_id}"),
    ("GET", "/self-serve/{branch}/build/{build_id}"),
    ("GET", "/self-serve/{branch}/builders"),
    ("POST", "/self-serve/{branch}/builders/{builder_name}/{revision}"),
    ("POST", "/self-serve/{branch}/request"),
    ("DELETE", "/self-serve/{branch}/request/{request_id}"),
    ("GET", "/self-serve/{branch}/request/{request_id}"),
    ("PUT", "/self-serve/{branch}/request/{request_id}"),
    ("DELETE", "/self-serve/{branch}/rev/{revision}"),
    ("GET", "/self-serve/{branch}/rev/{revision}"),
    ("POST", "/self-serve/{branch}/rev/{revision}"),
    ("GET", "/self-serve/{branch}/rev/{revision}/is_done"),
    ("POST", "/self-serve/{branch}/rev/{revision}/nightly"),
    ("POST", "/self-serve/{branch}/rev/{revision}/pgo"),
    ("GET", "/self-serve/{branch}/user/{user}"),
}
