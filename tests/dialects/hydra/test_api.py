"""Lists and counts under /api."""

import pytest
from support.factories import ADMIN, ALL

from ciserver.model.account import Visibility
from ciserver.model.status import BuildStatus, EvaluationStatus


@pytest.fixture
def jobset(make):
    return make.jobset("nix")


# -- the queue ------------------------------------------------------------------------------------


def test_the_queue(anybody, make, jobset, services, clock):
    """What runs and waits: what was put to the front first, then by priority, then by age."""
    ids = [make.build(jobset=jobset, priority=one, name=f"job{one}").id for one in (0, 5, 5, 0)]
    services.builds.bump(ADMIN, ids[3])
    make.build(BuildStatus.FAILED, jobset=jobset)
    found = anybody.get("/api/queue?nr=100")
    assert [one["id"] for one in found] == [ids[3], ids[1], ids[2], ids[0]]
    assert found[1] == {
        "id": ids[1],
        "project": "nix",
        "jobset": "main",
        "job": "job5",
        "system": "x86_64-linux",
        "nixname": "job5",
        "finished": 0,
        "timestamp": int(clock.now().timestamp()),
        "priority": 105,
    }
    assert [one["id"] for one in anybody.get("/api/queue?nr=2")] == [ids[3], ids[1]]


def test_the_length_of_the_queue(anybody, root, make, jobset, set_visibility):
    """A bare number, of what one may see."""
    assert anybody.get("/api/nrqueue") == 0
    make.build(jobset=jobset)
    make.build(BuildStatus.RUNNING, jobset=jobset)
    make.build(BuildStatus.FAILED, jobset=jobset)
    assert anybody.ask("GET", "/api/nrqueue").text == "2"
    set_visibility("nix")
    assert (anybody.get("/api/nrqueue"), root.get("/api/nrqueue")) == (0, 2)


def test_the_queue_of_others(anybody, make, jobset, set_visibility):
    make.build(jobset=jobset)
    assert len(anybody.get("/api/queue?nr=1")) == 1
    set_visibility("nix", Visibility.UNLISTED)
    assert anybody.get("/api/queue?nr=1") == []


@pytest.mark.parametrize("call", ["latestbuilds", "queue", "nrbuilds", "nrbuilds?period=day"])
def test_a_number_is_needed(anybody, call):
    """In Hydra's words."""
    assert anybody.refusal("GET", f"/api/{call}") == (400, "Parameter not defined!")


@pytest.mark.parametrize("call", ["queue", "nrqueue", "nrbuilds", "jobsets", "scmdiff"])
def test_only_reading(anybody, call):
    answer = anybody.ask("POST", f"/api/{call}", {})
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


# -- builds by when they ended --------------------------------------------------------------------


def ended(make, clock, jobset, *, after, name="build"):
    clock.forward(hours=after)
    return make.build(BuildStatus.FAILED, jobset=jobset, name=name)


def test_builds_by_the_hour_and_by_the_day(anybody, make, jobset, clock):
    """The newest periods in which any ended, oldest first."""
    other = make.jobset("nix", "other")
    for after, name in ((0, "a"), (0, "b"), (1, "a"), (5, "a"), (24, "a")):
        ended(make, clock, jobset, after=after, name=name)
    ended(make, clock, other, after=0, name="a")
    make.build(jobset=jobset)
    assert anybody.get("/api/nrbuilds?nr=100&period=hour") == [2, 1, 1, 2]
    assert anybody.get("/api/nrbuilds?nr=2&period=hour") == [1, 2]
    assert anybody.get("/api/nrbuilds?nr=100&period=day") == [4, 2]
    assert anybody.get("/api/nrbuilds?nr=1&period=day") == [2]
    for query, counts in (
        ("jobset=other", [1]),
        ("project=nix&job=b", [1]),
        ("project=hydra", []),
        ("system=none", []),
        ("project=nix&jobset=main&job=a&system=x86_64-linux", [3, 1]),
    ):
        assert anybody.get(f"/api/nrbuilds?nr=100&period=day&{query}") == counts, query
    assert anybody.get("/api/nrbuilds?nr=0&period=day") == []
    assert anybody.get("/api/nrbuilds?nr=999999999&period=day") == [4, 2]


@pytest.mark.parametrize("query", ["period=week&nr=1", "period=day&nr=-1", "period=day&nr=x"])
def test_periods_that_there_are_not(anybody, query):
    assert anybody.refusal("GET", f"/api/nrbuilds?{query}")[0] == 400
    assert anybody.refusal("GET", "/api/nrbuilds?nr=1")[1] == "Parameter not defined!"


def test_only_so_many_builds_are_counted(store, make, jobset, clock):
    """Then a period that may not be whole is left out."""
    for after in (0, 1, 0, 1, 0):
        ended(make, clock, jobset, after=after)
    count, rest = store.ended.count, {"seconds": 3600, "periods": 10}
    assert count(ALL, most=100, **rest) == (1, 2, 2)
    assert count(ALL, most=5, **rest) == (2, 2)


# -- jobsets --------------------------------------------------------------------------------------


def test_how_jobsets_stand(anybody, make, farm, store, clock, jobset):
    """The builds of the newest evaluation that has some, and what was heard last."""
    assert anybody.get("/api/jobsets?project=nix") == [
        {
            "project": "nix",
            "name": "main",
            **dict.fromkeys(("nrscheduled", "nrsucceeded", "nrfailed", "nrtotal"), 0),
            **dict.fromkeys(("lastcheckedtime", "starttime", "triggertime", "errortime")),
            "checkinterval": 0,
            "errormsg": "",
            "fetcherrormsg": None,
            "haserrormsg": False,
        }
    ]
    good = make.build(BuildStatus.SUCCEEDED, jobset=jobset)
    found = anybody.get("/api/jobsets?project=nix")[0]
    assert counts(found) == (0, 1, 0, 1)
    assert found["lastcheckedtime"] == int(clock.now().timestamp())
    evaluation = make.evaluation(jobset)
    assert anybody.get("/api/jobsets?project=nix")[0]["triggertime"] is not None
    with store.transaction():
        store.evaluations.add_reuses(evaluation.id, [good.id])
        store.evaluations.finish(evaluation.id, EvaluationStatus.SUCCEEDED, clock.now())
    assert counts(anybody.get("/api/jobsets?project=nix")[0]) == (0, 1, 0, 1)
    make.build(jobset=jobset)
    assert counts(anybody.get("/api/jobsets?project=nix")[0]) == (1, 0, 0, 1)
    make.build(BuildStatus.FAILED, jobset=jobset)
    farm.failed(jobset, "undefined variable 'x'")
    found = anybody.get("/api/jobsets?project=nix")[0]
    assert counts(found) == (0, 0, 1, 1)
    assert (found["haserrormsg"], found["errormsg"]) == (True, "undefined variable 'x'")
    assert found["fetcherrormsg"] is None
    assert found["errortime"] == int(clock.now().timestamp())
    farm.failed(jobset, "no such host", pinned=False)
    found = anybody.get("/api/jobsets?project=nix")[0]
    assert (found["haserrormsg"], found["fetcherrormsg"]) == (False, "no such host")


def counts(found):
    return tuple(found[name] for name in ("nrscheduled", "nrsucceeded", "nrfailed", "nrtotal"))


def test_hidden_jobsets_are_for_those_with_rights(anybody, root, farm, add_user, services):
    farm.build_ng(hidden=True)
    rob = add_user("rob")

    def names(caller):
        return [one["name"] for one in caller.get("/api/jobsets?project=hydra")]

    for caller in (anybody, rob):
        assert names(caller) == ["hydra-ant-logger-trunk", "hydra-master", "master"]
    services.projects.set_member(ADMIN, "hydra", "rob", frozenset({"cancel"}))
    for caller in (root, rob):
        assert "build-ng" in names(caller)


def test_jobsets_of_a_project_that_is_not_there(anybody, make, jobset, set_visibility):
    assert anybody.refusal("GET", "/api/jobsets?project=none")[0] == 404
    missing = anybody.refusal("GET", "/api/jobsets")
    assert missing == (400, "Parameter 'project' not defined!")
    set_visibility("nix")
    assert anybody.refusal("GET", "/api/jobsets?project=nix")[0] == 404
