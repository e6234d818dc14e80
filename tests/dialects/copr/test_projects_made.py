"""Projects made, changed and deleted through /api_2."""

import json

import pytest
from support.factories import ADMIN

from ciserver.model.account import CREATE_PROJECTS, Right
from ciserver.model.project import JobsetSettings

LINUX = "x86_64-linux"


@pytest.fixture
def ada(add_user, services):
    proof = add_user("ada")
    services.access.change_user(ADMIN, "ada", roles=(CREATE_PROJECTS,))
    return proof


@pytest.fixture
def ask(client):
    def ask(method, path, body=None, headers=None):
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        sent = {"Content-Type": "application/json", **(headers or {})}
        return client.simulate_request(method, f"/api_2/{path}", body=text, headers=sent)

    return ask


def refused(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["message"]
    return answer.json


def test_made_changed_and_deleted(ask, get, ada, services):
    """Only what is given is changed; the name is free again afterwards."""
    for _ in range(2):
        wanted = {"name": "roses", "description": "Red", "homepage": "https://example.org/"}
        made = ask("POST", "projects", {**wanted, "repos": [], "contact": "ada@example.org"}, ada)
        assert (made.status_code, made.text) == (201, "")
        path = made.headers["location"].removeprefix("http://falconframework.org/api_2/")
        shown = get(f"/api_2/{path}")["project"]
        assert {**shown, **wanted, "owner": "ada"} == shown
        assert services.projects.members(ADMIN, "roses") == ()
        assert ask("PUT", path, {"description": "White", "homepage": None}, ada).status_code == 204
        shown = get(f"/api_2/{path}")["project"]
        assert (shown["description"], shown["homepage"]) == ("White", "https://example.org/")
        assert ask("PUT", path, {"homepage": "", "name": "x"}, ada).status_code == 204
        shown = get(f"/api_2/{path}")["project"]
        assert (shown["name"], shown["description"], shown["homepage"]) == ("roses", "White", None)
        refused(ask("POST", "projects", wanted, ada), 409)
        assert ask("DELETE", path, None, ada).status_code == 204
        refused(ask("DELETE", path, None, ada), 404)
        refused(ask("PUT", path, {}, ada), 404)


def test_what_is_told_of_its_sources_is_kept(ask, get, ada, services, store):
    """And told to the scripts that build them; the network as a build does not say otherwise."""
    told = {
        "instructions": "Use it\nwell",
        "contact": "ada@example.org",
        "repos": ["https://example.org/repo/", "copr://ada/tulips"],
        "disable_createrepo": True,
        "build_enable_net": False,
    }
    made = ask("POST", "projects", {"name": "roses", **told}, ada)
    path = made.headers["location"].partition("/api_2/")[2]
    shown = get(f"/api_2/{path}")["project"]
    assert {**shown, **told} == shown
    assert get("/api_2/projects")["projects"][0]["project"] == shown
    jobs = []
    for more in ({}, {"enable_net": True}):
        wanted = {"project_id": shown["id"], "srpm_url": "https://example.org/a-1-1.src.rpm"}
        built = ask("POST", "builds", {**wanted, **more}, ada).headers["location"]
        build = get(built.partition("falconframework.org")[2])["build"]
        assert build["repos"] == told["repos"]
        jobs += services.lists.jobs(store.listings.of_group(build["id"])).values()
    assert [one.network for one in jobs] == [False, True]
    assert jobs[0].environment["REPOS"] == "https://example.org/repo/\ncopr://ada/tulips"
    assert jobs[0].environment["CREATEREPO"] == "0"
    for _ in range(2):
        changes = {"contact": "", "repos": [], "instructions": None}
        assert ask("PUT", path, changes, ada).status_code == 204
        shown = get(f"/api_2/{path}")["project"]
        assert (shown["contact"], shown["repos"]) == (None, [])
        assert shown["instructions"] == "Use it\nwell"
        assert (shown["disable_createrepo"], shown["build_enable_net"]) == (True, False)
    (last, *_) = services.requests.list_newest(ADMIN, limit=1)
    assert last.what == {"jobset": "roses:main", "sources": ["contact", "repositories"]}


@pytest.mark.parametrize(
    ("given", "chroots"),
    [
        ({}, [LINUX, "fedora-40-x86_64"]),
        ({"chroots": None}, [LINUX, "fedora-40-x86_64"]),
        ({"chroots": [LINUX, "unknown-1-x86_64", "old-1-x86_64"]}, [LINUX]),
        ({"chroots": ["unknown-1-x86_64"]}, []),
        ({"chroots": []}, []),
    ],
)
def test_a_project_is_made_with_its_chroots(ask, get, ada, services, given, chroots):
    """Unknown ones and those that are not active are left out, as Copr does."""
    services.systems.add(ADMIN, "fedora-40-x86_64")
    services.systems.add(ADMIN, "old-1-x86_64", active=False)
    made = ask("POST", "projects", {"name": "roses", **given}, ada)
    path = made.headers["location"].partition("falconframework.org")[2]
    assert [one["chroot"]["name"] for one in get(f"{path}/chroots")["chroots"]] == chroots


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, {"name"}),
        ({"name": None}, {"name"}),
        ({"name": 1}, {"name"}),
        ({"name": "1rose"}, {"name"}),
        ({"name": "a b"}, {"name"}),
        ({"name": "a/b"}, {"name"}),
        ({"name": "..", "chroots": LINUX}, {"name", "chroots"}),
        ({"name": "rosé", "repos": [1]}, {"name", "repos"}),
        ({"name": "r", "group": "roses"}, {"group"}),
        ({"name": "r", "homepage": "javascript:alert(1)"}, {"homepage"}),
        ({"name": "r", "contact": "nobody"}, {"contact"}),
        ({"name": "r", "description": 1, "instructions": []}, {"description", "instructions"}),
        ({"name": "r", "description": "\0"}, {"description"}),
        ({"name": "r", "repos": ["a b"]}, {"repos"}),
        ({"name": "r", "repos": ["https://example.org/" + "x" * 981]}, {"repos"}),
        ({"name": "r", "disable_createrepo": 1}, {"disable_createrepo"}),
        ({"name": "r", "build_enable_net": "no"}, {"build_enable_net"}),
    ],
)
def test_what_cannot_be_made(ask, ada, services, given, names):
    """Every fault is named at once, and nothing is made."""
    error = refused(ask("POST", "projects", given, ada), 400)["data"]["error"]
    assert {one.partition(":")[0] for one in error.split("; ")} == names
    assert services.lists.projects(ADMIN) == ()


@pytest.mark.parametrize("body", ["{", "[]", "null", '"x"', "[" * 100_000])
def test_bodies_that_cannot_be_read(ask, ada, body):
    """Told in JSON."""
    refused(ask("POST", "projects", body, ada), 400)


def test_one_of_several_jobsets_leaves_the_others(ask, ada, make_jobset, services, store):
    """The project goes with the last one."""
    main = make_jobset("roses", owner="ada")
    other, _ = services.jobsets.put(ADMIN, "roses", "other", JobsetSettings(), ())
    assert ask("DELETE", f"projects/{other.id}", None, ada).status_code == 204
    assert [one.id for one in services.lists.jobsets(ADMIN)] == [main.id]
    assert ask("DELETE", f"projects/{main.id}", None, ada).status_code == 204
    assert store.projects.find("roses") is None


def test_who_may(ask, ada, add_user, make_jobset, services, make_group):
    """To make one is for who may make projects, the rest for who may change it; and nothing is
    deleted while something of it is built.
    """
    jobset = make_jobset("roses", owner="ada")
    path, eve = f"projects/{jobset.id}", add_user("eve")
    for headers, status in (({}, 401), (eve, 403)):
        refused(ask("POST", "projects", {"name": "tulips"}, headers), status)
        refused(ask("PUT", path, {"description": "x"}, headers), status)
        refused(ask("DELETE", path, None, headers), status)
    make_group(LINUX, jobset=jobset)
    refused(ask("DELETE", path, None, ada), 400)
    services.projects.set_member(ADMIN, "roses", "eve", frozenset({Right.EDIT}))
    assert ask("PUT", path, {"description": "x"}, eve).status_code == 204
