"""Projects by Hydra's rules: what is present counts, and all of it is replaced."""

import pytest
from dialects.hydra.playing import OURS
from support.factories import ADMIN

from ciserver.model.account import Visibility
from ciserver.model.request import Action, RequestStatus

NIX = {"displayname": "Nix", "enabled": True, "visible": True}


def trail(services):
    newest = services.requests.list_newest(ADMIN, limit=1)[0]
    return newest.action, newest.who, newest.what, newest.status


def test_a_project_is_made(eelco, anybody, services):
    """201 with its address; who makes it owns it, and the trail says so."""
    given = {**NIX, "description": "Packages", "homepage": "https://nixos.org", "extra": [1]}
    answer = eelco.ask("PUT", "/project/nix", given)
    uri = f"{OURS}/project/nix"
    assert (answer.status_code, answer.headers["location"]) == (201, uri)
    assert answer.json == {"name": "nix", "type": "project", "uri": uri, "redirect": uri}
    assert anybody.get("/project/nix") == {
        "name": "nix",
        "displayname": "Nix",
        "description": "Packages",
        "homepage": "https://nixos.org",
        "owner": "eelco",
        "enabled": 1,
        "hidden": 0,
        "enable_dynamic_run_command": False,
        "jobsets": [],
        "releases": [],
    }
    what = {"project": "nix"}
    assert trail(services) == (Action.ADD_PROJECT, "eelco", what, RequestStatus.DONE)


def test_a_project_is_replaced(eelco, anybody, services):
    """What is not given becomes empty."""
    eelco.put("/project/nix", {**NIX, "description": "Packages"}, 201)
    answer = eelco.put("/project/nix", {"displayname": "Nix!"})
    assert answer == {"redirect": f"{OURS}/project/nix#tabs-configuration"}
    shown = anybody.get("/project/nix")
    assert (shown["displayname"], shown["description"]) == ("Nix!", "")
    assert (shown["enabled"], shown["hidden"]) == (0, 1)
    assert trail(services)[0] is Action.CHANGE_PROJECT


@pytest.mark.parametrize(
    ("given", "enabled"),
    [(True, 1), (False, 1), ("0", 1), (0, 1), ("", 1), ([], 1), (None, 0)],
)
def test_present_is_true(eelco, anybody, given, enabled):
    """As Hydra has it: false and 0 are there, null is not."""
    eelco.put("/project/nix", {"displayname": "Nix", "enabled": given, "visible": given}, 201)
    shown = anybody.get("/project/nix")
    assert (shown["enabled"], shown["hidden"]) == (enabled, 1 - enabled)


def test_a_form_does_too(eelco, anybody):
    """And the query, where there is no body."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = eelco.ask("PUT", "/project/nix", "displayname=Nix+it&enabled=1", headers=form)
    assert answer.status_code == 201
    assert anybody.get("/project/nix")["displayname"] == "Nix it"
    assert eelco.ask("PUT", "/project/nix?displayname=New").status_code == 200
    assert anybody.get("/project/nix")["displayname"] == "New"


def test_a_project_is_renamed(eelco, anybody):
    """By the name in the body."""
    eelco.put("/project/nix", NIX, 201)
    answer = eelco.put("/project/nix", {**NIX, "name": "nixos"})
    assert answer == {"redirect": f"{OURS}/project/nixos#tabs-configuration"}
    assert anybody.get("/project/nixos")["displayname"] == "Nix"
    moved = anybody.ask("GET", "/project/nix")
    assert (moved.status_code, moved.headers["location"]) == (301, "/project/nixos")


def test_a_name_that_is_taken_is_400(eelco):
    """Hydra has no other word for it."""
    eelco.put("/project/nix", NIX, 201)
    eelco.put("/project/nixos", NIX, 201)
    status, message = eelco.refusal("PUT", "/project/nix", {**NIX, "name": "nixos"})
    assert (status, "nixos" in message) == (400, True)


def test_only_administrators_name_an_owner(eelco, root, add_user, anybody):
    """From others it is not read, since they send back what they were shown."""
    add_user("rob")
    eelco.put("/project/nix", {**NIX, "owner": "rob"}, 201)
    assert anybody.get("/project/nix")["owner"] == "eelco"
    root.put("/project/nix", {**NIX, "owner": "rob"})
    assert anybody.get("/project/nix")["owner"] == "rob"
    status, message = root.refusal("PUT", "/project/nix", {**NIX, "owner": "nobody"})
    assert (status, message) == (400, "owner: there is no user nobody")


def test_what_hydra_has_no_word_for_stays(eelco, anybody, set_visibility):
    """A private project does not become public because a client cannot say so."""
    eelco.put("/project/nix", NIX, 201)
    set_visibility("nix", Visibility.PRIVATE)
    eelco.put("/project/nix", {**NIX, "description": "New"})
    assert anybody.refusal("GET", "/project/nix")[0] == 404
    assert eelco.get("/project/nix")["description"] == "New"


def test_a_project_is_deleted(eelco, anybody, services, make):
    """With its jobsets and builds."""
    eelco.put("/project/nix", NIX, 201)
    build = make.build(jobset=make.jobset("nix", "trunk"))
    assert eelco.ask("DELETE", "/project/nix").json == {"redirect": f"{OURS}/"}
    for path in ("/project/nix", "/jobset/nix/trunk", f"/build/{build.id}"):
        assert anybody.refusal("GET", path)[0] == 404, path
    assert trail(services)[:2] == (Action.REMOVE_PROJECT, "eelco")


def test_a_project_without_a_name_to_show_has_its_own(make, anybody):
    """Hydra's clients show it in any case."""
    make.jobset("watched")
    assert anybody.get("/project/watched")["displayname"] == "watched"


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({}, {"displayname"}),
        ({"displayname": " "}, {"displayname"}),
        ({"displayname": None, "name": "a/b"}, {"displayname", "name"}),
        ({"displayname": 1, "description": [], "homepage": {}}, None),
        ({"displayname": "a\0b", "description": "\ud800"}, {"displayname", "description"}),
        ({**NIX, "name": "\udfff"}, {"name"}),
        ({**NIX, "name": "-x"}, {"name"}),
        ({**NIX, "declarative": {"file": "spec.json"}}, {"declarative.type"}),
        ({**NIX, "declarative": "spec.json"}, {"declarative"}),
        (
            {**NIX, "declarative": {"file": "../x", "type": "string", "value": "x"}},
            {"declarative.file", "declarative.type"},
        ),
        (
            {**NIX, "name": "-x", "declarative": {"file": "/x", "type": "git", "value": "/srv/x"}},
            {"declarative.file", "declarative.value", "name"},
        ),
        (
            {**NIX, "declarative": {"file": "x", "type": "git", "value": "a b c d"}},
            {"declarative.value"},
        ),
        ({**NIX, "enable_dynamic_run_command": True}, {"enable_dynamic_run_command"}),
        ({**NIX, "enable_dynamic_run_command": "maybe"}, {"enable_dynamic_run_command"}),
    ],
)
def test_every_fault_is_named(eelco, anybody, given, faults):
    """All at once, in words and as a list; and nothing is made."""
    answer = eelco.ask("PUT", "/project/nix", given)
    fields = {one["field"] for one in answer.json["errors"]}
    assert (answer.status_code, fields) == (400, faults or given.keys())
    assert all(one["message"] in answer.json["error"] for one in answer.json["errors"])
    assert anybody.refusal("GET", "/project/nix")[0] == 404


def test_what_a_client_was_shown_it_may_send_back(eelco):
    """A changed answer is a good request."""
    eelco.put("/project/nix", NIX, 201)
    shown = eelco.get("/project/nix")
    eelco.put("/project/nix", shown | {"visible": True, "description": "New"})
    assert eelco.get("/project/nix") == shown | {"description": "New"}
