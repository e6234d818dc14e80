"""Declarative projects: set up, shown, and closed to changes by hand."""

import pytest
from support.factories import ADMIN

from ciserver.dialects.hydra import words
from ciserver.recipe import jobset_spec

LIB = "https://git.example.org/lib.git"
SPEC = {"file": "nix/spec.json", "type": "git", "value": f"{LIB} master"}
NIX = {"displayname": "Nix", "enabled": True, "visible": True}
DECLARATIVE = {**NIX, "declarative": SPEC}
TRUNK = {
    "nixexprinput": "src",
    "nixexprpath": "release.nix",
    "inputs": {"src": {"type": "git", "value": LIB}},
}


@pytest.fixture
def nix(eelco):
    eelco.put("/project/nix", DECLARATIVE, 201)
    return eelco


def test_it_is_shown(nix, anybody):
    """Where its jobsets are declared, and the jobset that does it, which is evaluated at once."""
    shown = anybody.get("/project/nix")
    assert (shown["declarative"], shown["jobsets"]) == (SPEC, [".jobsets"])
    jobset = anybody.get("/jobset/nix/.jobsets")
    assert jobset["inputs"] == {
        "declInput": {
            "name": "declInput",
            "type": "git",
            "value": f"{LIB} master",
            "emailresponsible": False,
        }
    }
    assert jobset["triggertime"] is not None


def test_without_a_file_it_is_none(nix, anybody):
    """The key goes, and the jobset."""
    for emptied in ({"file": "", "type": "git", "value": LIB}, {}, None):
        nix.put("/project/nix", DECLARATIVE)
        nix.put("/project/nix", {**NIX, "declarative": emptied})
        assert "declarative" not in anybody.get("/project/nix")
        assert anybody.get("/project/nix")["jobsets"] == []
        assert anybody.refusal("GET", "/jobset/nix/.jobsets")[0] == 404


def test_saved_again_it_is_evaluated_again(nix, services, store, clock):
    """Once for all that waits."""
    jobset = store.jobsets.get_by_name("nix", ".jobsets")

    def evaluations():
        return services.queries.jobset(ADMIN, "nix", ".jobsets").evaluations.evaluations

    nix.put("/project/nix", DECLARATIVE)
    assert len(evaluations()) == 1
    with store.transaction():
        store.evaluations.drop_open(jobset.id, clock.now())
    nix.put("/project/nix", {**DECLARATIVE, "description": "New"})
    assert len(evaluations()) == 2
    assert store.jobsets.get_by_name("nix", ".jobsets") == jobset


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/jobset/nix/trunk"),
        ("PUT", "/jobset/nix/.jobsets"),
        ("DELETE", "/jobset/nix/.jobsets"),
    ],
)
def test_nobody_changes_its_jobsets(nix, root, method, path):
    """Neither the owner nor an administrator."""
    for caller in (nix, root):
        status, message = caller.refusal(method, path, TRUNK if method == "PUT" else None)
        assert status == 403
        assert message.startswith("can't modify jobset of declarative project")


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"file": "a/../b"}, {"declarative.file"}),
        ({"file": "/a"}, {"declarative.file"}),
        ({"file": "a\nb"}, {"declarative.file"}),
        ({"file": "a\0b"}, {"declarative.file"}),
        ({"file": 3}, {"declarative.file"}),
        ({"type": "string"}, {"declarative.type"}),
        ({"type": "hg"}, {"declarative.type"}),
        ({"value": ""}, {"declarative.value"}),
        ({"value": "/srv/git/x.git"}, {"declarative.value"}),
        ({"value": f"{LIB} a..b"}, {"declarative.value"}),
        ({"type": "path", "value": "/etc"}, {"declarative.value"}),
        ({"type": [], "value": {}}, {"declarative.type", "declarative.value"}),
    ],
)
def test_faults(eelco, anybody, given, faults):
    """Each by its name; and nothing is made."""
    answer = eelco.ask("PUT", "/project/nix", {**NIX, "declarative": {**SPEC, **given}})
    assert answer.status_code == 400
    told = {one["field"] for one in answer.json["errors"]}
    assert told == faults
    assert anybody.refusal("GET", "/project/nix")[0] == 404


def test_a_declaration_has_the_same_words_as_requests(nix):
    """What the one calls a setting the other calls it too."""
    assert jobset_spec._WORDS.items() <= words.FIELD.items()
    assert list(words.MODE.items()) == [(one, n) for n, one in enumerate(jobset_spec._MODES)]


# -- names that somebody may not see --------------------------------------------------------------


def test_a_name_that_one_may_not_see_is_as_one_that_is_not_there(
    nix, add_user, anybody, set_visibility
):
    """Nobody learns from the answer that there is such a project."""
    set_visibility("nix")
    rob = add_user("rob")
    for caller in (rob, anybody):
        assert caller.refusal("PUT", "/project/nix", NIX) == caller.refusal(
            "PUT", "/project/none", NIX
        )
    assert rob.refusal("PUT", "/jobset/nix/trunk", TRUNK)[0] == 404
    assert rob.refusal("PUT", "/jobset/none/trunk", TRUNK)[0] == 404


def test_who_makes_projects_is_told_that_a_name_is_taken(nix, add_user, set_visibility, services):
    """There can be only one of a name; nothing else of it is told, and nothing changed."""
    set_visibility("nix")
    maker = add_user("maker", roles=("create-projects",))
    status, message = maker.refusal("PUT", "/project/nix", {**NIX, "displayname": "Mine"})
    assert (status, message) == (400, "there is already a project nix; choose another name")
    answer = maker.ask("PUT", "/project/nix", {"name": "nix"})
    assert {one["field"] for one in answer.json["errors"]} == {"displayname", "name"}
    assert nix.get("/project/nix")["displayname"] == "Nix"
