"""Telling of a push: evaluations by the name of a jobset, or by what it is fed with."""

from dataclasses import replace

import pytest
from dialects.hydra.playing import HYDRA, NIXPKGS
from support.factories import ADMIN

from ciserver.model.evaluation import Kind
from ciserver.model.project import Input, JobsetMode, JobsetSettings
from ciserver.model.request import Action

MAIN = f"{HYDRA} main"


@pytest.fixture
def put(services):
    """A jobset in this mode, of a project with this owner, that is fed with hydra's branch main."""

    def put(project, name, mode=JobsetMode.ON, *, owner="eelco", uri=HYDRA, enabled=True):
        projects = services.projects
        if project not in {one.project.name for one in services.queries.list_projects(ADMIN)}:
            projects.watch(ADMIN, project, f"https://example.org/{project}.git", owner=owner)
        settings = JobsetSettings(recipe_input="src", mode=mode)
        inputs = (Input("src", uri, "refs/heads/main"),)
        made, _ = services.jobsets.put(ADMIN, project, name, settings, inputs)
        if not enabled:
            kept = services.rights.project(ADMIN, project).settings
            projects.put_project(ADMIN, project, replace(kept, enabled=False))
        return made

    return put


@pytest.fixture
def requested(services):
    """What waits to be evaluated: jobset -> who asked."""

    def found():
        waiting = services.queries.queue(ADMIN).evaluations
        assert {one.kind for one in waiting} <= {Kind.API}
        return {f"{one.project}:{one.jobset}": one.requested_by for one in waiting}

    return found


def triggered(caller, query, method="POST", **rest):
    answer = caller.ask(method, f"/api/push?{query}", **rest)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json.keys() == {"jobsetsTriggered"}
    return answer.json["jobsetsTriggered"]


def test_by_name(eelco, put, requested, services):
    """POST or PUT; in the order of the names, each once, and in the trail."""
    put("nix", "a")
    put("nix", "b")
    assert triggered(eelco, "jobsets=nix:b,nix:a,nix:b") == ["nix:b", "nix:a"]
    assert requested() == {"nix:a": "eelco", "nix:b": "eelco"}
    newest = services.requests.list_newest(ADMIN, limit=2)
    assert [one.action for one in newest] == [Action.EVALUATE] * 2
    assert triggered(eelco, "jobsets=nix:a", "PUT") == ["nix:a"]
    assert triggered(eelco, "") == []


def test_names_may_be_in_the_body(eelco, put):
    """As JSON or in a form, whichever the client likes."""
    put("nix", "a")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert triggered(eelco, "", body={"jobsets": "nix:a"}) == ["nix:a"]
    assert triggered(eelco, "", body="jobsets=nix%3Aa", headers=form) == ["nix:a"]
    assert triggered(eelco, "jobsets=nix:a", headers={}) == ["nix:a"]


@pytest.mark.parametrize(
    ("mode", "by_name", "by_repository"),
    [
        (JobsetMode.OFF, False, False),
        (JobsetMode.ON, True, True),
        (JobsetMode.ONE_SHOT, True, False),
        (JobsetMode.ONE_AT_A_TIME, True, False),
    ],
)
def test_what_is_off_needs_force(eelco, put, mode, by_name, by_repository):
    """By name whatever is not off, by repository what is plainly on; with force everything."""
    put("nix", "a", mode)
    assert triggered(eelco, "jobsets=nix:a") == ["nix:a"] * by_name
    assert triggered(eelco, f"repos={MAIN}") == ["nix:a"] * by_repository
    for query in ("jobsets=nix:a&force", f"repos={MAIN}&force=0"):
        assert triggered(eelco, query) == ["nix:a"]


def test_a_project_that_is_off(eelco, put):
    """Its jobsets are, too."""
    put("nix", "a", enabled=False)
    assert triggered(eelco, "jobsets=nix:a") == triggered(eelco, f"repos={MAIN}") == []
    assert triggered(eelco, "jobsets=nix:a&force=1") == ["nix:a"]


def test_by_repository(eelco, put):
    """The whole value counts, and the newest jobset comes first."""
    for name in ("a", "b"):
        put("nix", name)
    put("nix", "c", uri=NIXPKGS)
    assert triggered(eelco, f"repos={MAIN}") == ["nix:b", "nix:a"]
    assert triggered(eelco, f"repos={MAIN},{NIXPKGS} main") == ["nix:c", "nix:b", "nix:a"]
    assert triggered(eelco, f"repos={HYDRA}") == []
    assert triggered(eelco, f"jobsets=nix:a&repos={MAIN}") == ["nix:a", "nix:b"]


def test_what_was_done_before_a_refusal_is_told(eelco, put, add_user, requested):
    """And stays done."""
    add_user("rob")
    put("nix", "a")
    put("robs", "b", owner="rob")
    for query, status in (("jobsets=nix:a,robs:b", 403), ("jobsets=nix:a,nix:none", 404)):
        answer = eelco.ask("POST", f"/api/push?{query}")
        assert (answer.status_code, answer.json["jobsetsTriggered"]) == (status, ["nix:a"])
        assert answer.json["error"]
    assert requested() == {"nix:a": "eelco"}


def test_who_may(eelco, put, anybody, add_user, services, set_visibility):
    """The right to evaluate in the project, and the scope for it."""
    put("nix", "a")
    answer = anybody.ask("POST", "/api/push?jobsets=nix:a")
    expected = {"jobsetsTriggered": [], "error": "This page requires you to sign in."}
    assert (answer.status_code, answer.json) == (403, expected)
    for caller in (add_user("reader", "builds:read", roles=("evaluate",)), add_user("rob")):
        answer = caller.ask("POST", "/api/push?jobsets=nix:a")
        assert (answer.status_code, answer.json["jobsetsTriggered"]) == (403, [])
    services.projects.set_member(ADMIN, "nix", "rob", frozenset({"evaluate"}))
    ann = add_user("ann", roles=("evaluate",))
    assert triggered(ann, "jobsets=nix:a") == ["nix:a"]
    set_visibility("nix")
    assert ann.ask("POST", "/api/push?jobsets=nix:a").status_code == 404
    assert triggered(ann, f"repos={MAIN}") == []


@pytest.mark.parametrize("body", [{"jobsets": ["nix:a"]}, {"repos": 5}, {"jobsets": "\ud800"}])
def test_names_are_text(eelco, put, body):
    answer = eelco.ask("POST", "/api/push", body)
    assert (answer.status_code, answer.json["jobsetsTriggered"]) == (400, [])
    assert answer.json["errors"] == [{"field": next(iter(body)), "message": "must be text"}]


def test_a_jobset_without_a_repository(eelco, services, put):
    """There is nothing to evaluate; Hydra has no 409."""
    put("nix", "a")
    services.jobsets.put(ADMIN, "nix", "empty", JobsetSettings(), ())
    status, message = eelco.refusal("POST", "/api/push?jobsets=nix:empty")
    assert (status, "no repository" in message) == (400, True)
