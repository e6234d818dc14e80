"""/ci/v1: projects with their members and jobsets, made, changed and removed."""

import pytest

from ciserver.model.account import Right

PROJECT = "/ci/v1/projects/project"
MEMBERS = f"{PROJECT}/members"
JOBSET = f"{PROJECT}/jobsets/docs"
SOURCE = {"name": "source", "uri": "https://git.example.org/docs.git"}
# What an answer tells beside what may be set.
TOLD = {"project", "name", "enabled", "paused", "pgo_strategy", "url"}


def complaints_of(answer):
    assert answer.status_code == 400, answer.text
    return {one["field"]: one["message"] for one in answer.json["error"]["complaints"]}


@pytest.fixture
def grace(services, admin):
    """The name of an account that is nobody special."""
    services.access.add_user(admin, "grace", email="", password="correct horse", admin=False)
    return "grace"


# -- projects -------------------------------------------------------------------------------------


def test_only_what_is_given_of_a_project_changes(script, stranger, watched, grace):
    """Each field by itself; the rest stays, and GET shows it."""
    changes = {
        "display_name": "The project",
        "description": "Says hello",
        "homepage": "https://hello.example.org",
        "enabled": False,
        "hidden": True,
        "visibility": "unlisted",
        "owner": grace,
    }
    before = stranger.get(PROJECT).json
    for name, value in changes.items():
        answer = script.request("PATCH", PROJECT, json={name: value})
        assert (answer.status_code, answer.json) == (200, before | {name: value})
        before = answer.json
    assert stranger.get(PROJECT).json == before
    assert script.request("PATCH", PROJECT, json={}).json == before


def test_bad_changes_of_a_project_are_refused(script, watched):
    """Every fault with its field, and nothing is changed."""
    before = script.get(PROJECT).json
    wrong = {"visibility": "secret", "enabled": 1, "homepage": None, "color": "red"}
    told = complaints_of(script.request("PATCH", PROJECT, json=wrong))
    assert set(told) == set(wrong)
    assert told["visibility"] == "must be one of public, unlisted, private"
    unknown = script.request("PATCH", PROJECT, json={"owner": "nobody", "hidden": True})
    assert set(complaints_of(unknown)) == {"owner"}
    assert script.get(PROJECT).json == before
    assert script.request("PATCH", "/ci/v1/projects/other", json={}).status_code == 404


def test_an_owner_does_not_give_a_project_away(acting, script, services, admin, watched, grace):
    """They change it as they like; whose it is only administrators say."""
    script.request("PATCH", PROJECT, json={"owner": grace})
    services.access.add_user(admin, "heir", email="", password="correct horse", admin=False)
    owner = acting(grace)
    assert owner.request("PATCH", PROJECT, json={"hidden": True}).status_code == 200
    assert owner.request("PATCH", PROJECT, json={"owner": "heir"}).status_code == 403
    assert script.get(PROJECT).json["owner"] == grace


def test_a_removed_project_is_gone(works, script, stranger):
    """With its builds, and what ran of it is canceled; its name is free."""
    build = works.build()
    answer = script.request("DELETE", PROJECT)
    assert (answer.status_code, answer.json) == (200, {"removed": "project"})
    for path in (PROJECT, f"/ci/v1/builds/{build}", "/project/project"):
        assert stranger.get(path).status_code == 404
    assert stranger.get("/ci/v1/projects").json == []
    assert script.request("DELETE", PROJECT).status_code == 404
    again = {"name": "project", "uri": "https://git.example.org/again.git"}
    assert script.post("/ci/v1/projects", json=again).status_code == 201


# -- members --------------------------------------------------------------------------------------


def test_members_are_set_listed_and_ended(script, watched, grace):
    """Exactly the rights that were given last; none ends the membership."""
    path = f"{MEMBERS}/{grace}"
    assert script.get(path).status_code == 404
    for rights in (["cancel", "restart"], ["evaluate"]):
        answer = script.request("PUT", path, json={"rights": rights})
        assert (answer.status_code, answer.json) == (200, {"user": grace, "rights": rights})
        assert script.get(MEMBERS).json == [{"user": grace, "rights": rights}]
        assert script.get(path).json == answer.json
    assert script.request("PUT", path, json={"rights": []}).json["rights"] == []
    assert script.get(MEMBERS).json == []


def test_bad_members_are_refused(script, watched, grace):
    """An unknown right, an unknown user, no list of rights at all."""
    path = f"{MEMBERS}/{grace}"
    told = complaints_of(script.request("PUT", path, json={"rights": ["cancel", "fly"]}))
    assert told == {"rights": f"unknown right fly; known are {', '.join(Right)}"}
    for wrong in ({}, {"rights": "cancel"}, {"rights": [1]}, {"rights": [], "user": "ada"}):
        assert complaints_of(script.request("PUT", path, json=wrong)), wrong
    unknown = script.request("PUT", f"{MEMBERS}/nobody", json={"rights": ["cancel"]})
    assert set(complaints_of(unknown)) == {"user"}
    other = script.request("PUT", "/ci/v1/projects/other/members/grace", json={"rights": []})
    assert other.status_code == 404
    assert script.get(MEMBERS).json == []


# -- jobsets --------------------------------------------------------------------------------------


def test_a_jobset_is_made_read_and_sent_back(script, watched):
    """201 and then 200; what GET tells is what PUT takes, so one thing can be changed."""
    made = script.request("PUT", JOBSET, json={"inputs": [SOURCE], "mail_to": "ada@example.org"})
    assert made.status_code == 201
    assert (made.json["mode"], made.json["shares"], made.json["enabled"]) == ("on", 100, True)
    assert made.json["inputs"][0]["watch"] == ["refs/heads/*", "refs/tags/*"]
    whole = script.get(JOBSET).json
    assert whole == made.json
    body = {name: value for name, value in whole.items() if name not in TOLD}
    changed = script.request("PUT", JOBSET, json=body | {"mode": "off", "script": "ci/run"})
    assert changed.status_code == 200
    assert changed.json == whole | {"mode": "off", "script": "ci/run", "enabled": False}


def test_inputs_may_be_values(script, watched):
    """Text and truth stand for themselves beside the repository."""
    values = [
        {"name": "depth", "type": "string", "value": "3"},
        {"name": "fast", "type": "boolean", "value": "true"},
    ]
    made = script.request("PUT", JOBSET, json={"inputs": [SOURCE, *values]}).json
    assert [(one["type"], one["value"]) for one in made["inputs"]] == [
        ("git", ""),
        ("string", "3"),
        ("boolean", "true"),
    ]


def test_inputs_may_be_paths_and_expressions(script, watched, tmp_path, person):
    """Told again as they were given, on the page of the jobset too."""
    place = tmp_path / "files"
    place.mkdir()
    given = [
        {"name": "files", "type": "path", "uri": f"file://{place}", "refresh_seconds": 90},
        {"name": "feed", "type": "path", "uri": "https://files.example/feed?all=1"},
        {"name": "args", "type": "nix", "value": "{ a = 1; }"},
    ]
    made = script.request("PUT", JOBSET, json={"inputs": [SOURCE, *given]})
    assert made.status_code == 201, made.text
    _, files, feed, args = made.json["inputs"]
    assert (files["type"], files["uri"], files["refresh_seconds"]) == ("path", str(place), 90)
    assert (files["ref"], files["watch"]) == ("", [])
    assert (feed["uri"], feed["refresh_seconds"]) == ("https://files.example/feed?all=1", 30)
    assert (args["type"], args["value"]) == ("nix", "{ a = 1; }")
    body = {name: value for name, value in made.json.items() if name not in TOLD}
    assert script.request("PUT", JOBSET, json=body).json == made.json
    page = person.get("/jobset/project/docs").text
    for shown in (str(place), "90 seconds", "feed?all=1", "{ a = 1; }"):
        assert shown in page


def test_bad_jobsets_are_refused(script, watched):
    """Every fault with its field, also within inputs; nothing is made."""
    wrong = {
        "mode": "sometimes",
        "shares": "many",
        "recipe_path": "x",
        "color": "red",
        "inputs": [{"uri": 5, "type": "svn"}, {"name": "b", "size": 1}],
    }
    assert set(complaints_of(script.request("PUT", JOBSET, json=wrong))) == {
        "mode",
        "shares",
        "recipe_path",
        "color",
        "inputs[0].name",
        "inputs[0].uri",
        "inputs[0].type",
        "inputs[1].size",
    }
    for inputs in ({}, "x", [5], [[]]):
        told = complaints_of(script.request("PUT", JOBSET, json={"inputs": inputs}))
        assert told == {"inputs": "must be a list of objects"}
    unfit = {"shares": 0, "inputs": [SOURCE | {"uri": "ext::sh -c id"}]}
    assert set(complaints_of(script.request("PUT", JOBSET, json=unfit))) == {
        "shares",
        "inputs.source",
    }
    assert script.get(JOBSET).status_code == 404


def test_whom_a_jobset_mails_to_is_not_for_everybody(script, stranger, make_script, watched):
    """Nobody reads the address but those who may change it."""
    script.request("PUT", JOBSET, json={"mail_to": "ada@example.org"})
    assert script.get(JOBSET).json["mail_to"] == "ada@example.org"
    for reader in (stranger, make_script("*")):
        for path in (JOBSET, PROJECT, "/ci/v1/projects", "/jobset/project/docs"):
            assert "ada@example.org" not in reader.get(path).text, path


def test_secrets_of_a_script_are_stars(script, stranger, watched, services, admin):
    """For everybody; what was read may be sent back, and changes nothing of them."""
    words = {"script": "make.sh", "parameters": "SIZE=small API_TOKEN=t0ken"}
    script.request("PUT", JOBSET, json={"inputs": [SOURCE], **words})
    for reader in (script, stranger):
        whole = reader.get(JOBSET).json
        assert whole["parameters"] == "SIZE=small API_TOKEN=***"
    body = {name: value for name, value in whole.items() if name not in TOLD}
    changed = body | {"parameters": "API_TOKEN=*** SIZE=large"}
    assert script.request("PUT", JOBSET, json=changed).status_code == 200
    stored = services.queries.jobset(admin, "project", "docs").jobset.settings.script
    assert stored.parameters == "API_TOKEN=t0ken SIZE=large"


def test_a_removed_jobset_is_gone(script, watched):
    """Its name is free, and the others stay."""
    script.request("PUT", JOBSET, json={})
    assert script.request("DELETE", JOBSET).json == {"removed": "project:docs"}
    assert script.get(JOBSET).status_code == 404
    assert script.request("DELETE", JOBSET).status_code == 404
    assert [one["name"] for one in script.get(PROJECT).json["jobsets"]] == ["main"]
    assert script.request("PUT", JOBSET, json={}).status_code == 201


# -- evaluations that are asked for ---------------------------------------------------------------


def test_an_evaluation_is_asked_for(script, watched, services, repository):
    """202 with its page; of the newest revision, or of one that is named."""
    path = "/ci/v1/jobsets/project/main/evaluate"
    answer = script.post(path)
    assert (answer.status_code, answer.json["evaluation"]) == (202, 1)
    assert answer.json["url"].endswith("/eval/1")
    old = repository.commit({"README": "one\n"}, "First")
    repository.commit({"README": "two\n"}, "Second")
    repository.push()
    script.post(path, json={"revision": old, "kind": "manual"})
    while services.evaluations.evaluate_next():
        pass
    found = script.get("/ci/v1/evaluations/2").json
    assert (found["revision"], found["kind"], found["status"]) == (old, "manual", "succeeded")


def test_bad_evaluations_are_refused(script, watched):
    """Nobody may say that they pushed; a jobset without a repository cannot be evaluated."""
    path = "/ci/v1/jobsets/project/main/evaluate"
    for kind in ("push", "tag", "pull_request", "sometimes", 5):
        assert set(complaints_of(script.post(path, json={"kind": kind}))) == {"kind"}
    assert script.post(path, json={"revision": "--upload-pack=x"}).status_code == 400
    script.request("PUT", JOBSET, json={})
    without = script.post("/ci/v1/jobsets/project/docs/evaluate")
    assert (without.status_code, without.json["error"]["code"]) == (409, "conflict")
    assert script.post("/ci/v1/jobsets/project/other/evaluate").status_code == 404
    assert script.post("/ci/v1/jobsets/other/main/evaluate").status_code == 404
