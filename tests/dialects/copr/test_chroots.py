"""The chroots of a project: switched on and off, told what is to be in them, and built for."""

import json

import pytest
from support.factories import ADMIN

from ciserver.model.account import Right, Visibility
from ciserver.model.project import ProjectSettings
from ciserver.model.request import RequestStatus

LINUX, FEDORA, OLD = "x86_64-linux", "fedora-40-x86_64", "fedora-20-i386"
URL = "https://example.org/rose-1.0-2.src.rpm"
EMPTY = {"buildroot_pkgs": [], "comps": None, "comps_name": None, "comps_len": 0}


@pytest.fixture
def ada(add_user):
    return add_user("ada")


@pytest.fixture
def jobset(make_jobset, services, ada):
    """A project of ada's on a server with three systems, one of which is not active."""
    services.systems.add(ADMIN, FEDORA)
    services.systems.add(ADMIN, OLD, active=False)
    return make_jobset("roses", owner="ada")


@pytest.fixture
def ask(client, jobset, ada):
    """What is answered to ada, or to somebody else, about the chroots of the project."""

    def ask(method, name="", body=None, headers=ada):
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        path = f"/api_2/projects/{jobset.id}/chroots{name and '/' + name}"
        sent = {"Content-Type": "application/json", **headers}
        return client.simulate_request(method, path, body=text, headers=sent)

    return ask


@pytest.fixture
def names(get, jobset):
    """The chroots that the project has."""

    def names():
        listed = get(f"/api_2/projects/{jobset.id}/chroots")["chroots"]
        shown = get(f"/api_2/projects/{jobset.id}?show_chroots")["project_chroots"]
        assert shown == listed
        return [one["chroot"]["name"] for one in listed]

    return names


@pytest.fixture
def build(client, jobset, ada, store):
    """Sends a source in; answers the jobs that are made of it, by chroot."""

    def build(status=201, **more):
        body = json.dumps({"project_id": jobset.id, "srpm_url": URL, **more})
        sent = {"Content-Type": "application/json", **ada}
        answer = client.simulate_post("/api_2/builds", body=body, headers=sent)
        assert answer.status_code == status, answer.text
        if status != 201:
            return answer.json["data"]["error"]
        group = store.listings.of_group(int(answer.headers["location"].rpartition("/")[2]))
        return {one.system: one for one in group}

    return build


@pytest.fixture
def job_of(services):
    return lambda build: services.lists.jobs([build])[build.id]


def refused(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["message"]
    return answer.json


def test_a_project_has_what_is_active(names, services, build):
    """Until it chooses; what becomes known or active is there from then on."""
    assert names() == [LINUX, FEDORA]
    services.systems.change(ADMIN, OLD, active=True)
    services.systems.change(ADMIN, FEDORA, active=False)
    assert names() == [LINUX, OLD]
    assert set(build()) == {LINUX, OLD}


def test_switched_off_and_on_again(ask, names, build, get, jobset):
    """Off is safe to repeat; what is off is not there, and not built for."""
    for _ in range(2):
        answer = ask("DELETE", LINUX)
        assert (answer.status_code, answer.text) == (204, "")
    assert names() == [FEDORA]
    assert refused(ask("GET", LINUX), 404)["data"] == {"project_id": jobset.id}
    refused(ask("PUT", LINUX, {}), 404)
    assert set(build()) == {FEDORA}
    assert set(build(chroots=[FEDORA, LINUX])) == {FEDORA}
    assert build(400, chroots=[LINUX]) == f"chroots: none of them is known, only {FEDORA}"
    answer = ask("POST", body={"name": LINUX, "buildroot_pkgs": ["gcc"]})
    assert (answer.status_code, answer.text) == (201, "")
    place = f"/api_2/projects/{jobset.id}/chroots/{LINUX}"
    assert answer.headers["location"] == f"http://falconframework.org{place}"
    assert get(place)["chroot"] == {**EMPTY, "name": LINUX, "buildroot_pkgs": ["gcc"]}
    assert names() == [FEDORA, LINUX]
    refused(ask("POST", body={"name": LINUX}), 409)
    for name in (FEDORA, LINUX):
        ask("DELETE", name)
    assert names() == []
    assert build(400) == "chroots: none of them is known, only none"


def test_a_build_runs_on_the_first_image_of_its_system(services, build, job_of):
    """And on the host's own where it has none."""
    services.systems.change(ADMIN, FEDORA, images=("fedora/40", "other"))
    made = build()
    assert {name: job_of(one).image for name, one in made.items()} == {
        LINUX: "host",
        FEDORA: "fedora/40",
    }


def test_what_a_project_chose_stays_chosen(ask, names, services, build):
    """Also when others come, and when it is not active for a while."""
    ask("DELETE", LINUX)
    services.systems.add(ADMIN, "centos-9-x86_64")
    services.systems.change(ADMIN, FEDORA, active=False)
    assert names() == [FEDORA]
    assert build(400) == "chroots: none of them is known, only none"
    services.systems.change(ADMIN, FEDORA, active=True)
    assert set(build()) == {FEDORA}


def test_what_is_to_be_there_is_changed_and_told_to_the_script(ask, get, jobset, build, job_of):
    """Only what is given changes, with the entity as the answer."""
    comps = "<comps>ä</comps>"
    answer = ask("PUT", FEDORA, {"name": "x", "buildroot_pkgs": ["make", "@dev"], "comps": comps})
    expected = {
        **EMPTY,
        "name": FEDORA,
        "buildroot_pkgs": ["make", "@dev"],
        "comps": comps,
        "comps_len": len(comps) + 1,
    }
    place = f"/api_2/projects/{jobset.id}/chroots/{FEDORA}"
    links = {"project": {"href": f"/api_2/projects/{jobset.id}"}, "self": {"href": place}}
    assert (answer.status_code, answer.json) == (200, {"chroot": expected, "_links": links})
    assert get(place) == answer.json
    changed = ask("PUT", FEDORA, {"comps_name": "comps.xml", "comps": None}).json["chroot"]
    assert changed == {**expected, "comps_name": "comps.xml"}
    job = job_of(build()[FEDORA])
    assert job.environment["BUILDROOT_PACKAGES"] == "make @dev"
    assert job.environment["COMPS"] == comps
    changed = ask("PUT", FEDORA, {"buildroot_pkgs": [], "comps": "", "comps_name": ""}).json
    assert changed["chroot"] == {**EMPTY, "name": FEDORA}
    assert job_of(build()[FEDORA]).environment["COMPS"] == ""


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, {"name"}),
        ({"name": 1}, {"name"}),
        ({"name": "linux"}, {"name"}),
        ({"name": "a/b-c"}, {"name"}),
        ({"name": "fedora-99-x86_64"}, {"name"}),
        ({"name": OLD}, {"name"}),
        ({"name": "x", "buildroot_pkgs": "gcc"}, {"name", "buildroot_pkgs"}),
        ({"name": OLD, "buildroot_pkgs": [1], "comps": []}, {"buildroot_pkgs", "comps"}),
        ({"name": OLD, "buildroot_pkgs": ["a b"]}, {"buildroot_pkgs"}),
        ({"name": OLD, "buildroot_pkgs": [""]}, {"buildroot_pkgs"}),
        ({"name": OLD, "buildroot_pkgs": ["x" * 999] * 66}, {"buildroot_pkgs"}),
        ({"name": OLD, "comps": "x" * 65_537}, {"comps"}),
        ({"name": OLD, "comps": "\0", "comps_name": "../x"}, {"comps", "comps_name"}),
    ],
)
def test_what_cannot_be_switched_on(ask, given, names):
    """Every fault is named; unknown, malformed and what is not active."""
    error = refused(ask("POST", body=given), 400)["data"]["error"]
    assert {one.partition(":")[0] for one in error.split("; ")} == names
    if "name" not in names:
        refused(ask("PUT", LINUX, given), 400)


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "[" * 100_000])
def test_bodies_that_cannot_be_read(ask, body):
    """Told in JSON, with the beginning of what was sent."""
    for method, name in (("POST", ""), ("PUT", LINUX)):
        told = refused(ask(method, name, body), 400)
        assert told["data"] == {"request_string": body[:1000]}


@pytest.mark.parametrize(
    ("name", "status"),
    [("linux", 400), ("sparc-solaris", 404), ("x%2F-y", 400), ("", 405)],
)
def test_names_that_are_none(ask, name, status):
    """Unknown or malformed: nothing is switched off."""
    refused(ask("DELETE", name), status)
    refused(ask("PUT", name, {}), status)


def test_who_may(ask, add_user, jobset, services, client):
    """Whoever may change the project; the refusal leaves a row, and what is hidden is not there."""
    eve = add_user("eve")
    calls = (("POST", "", {"name": LINUX}), ("PUT", LINUX, {}), ("DELETE", LINUX, None))
    for method, name, body in calls:
        refused(ask(method, name, body, {}), 401)
        refused(ask(method, name, body, eve), 403)
        refused(ask(method, name, "{", eve), 403)
    services.projects.set_member(ADMIN, "roses", "eve", frozenset({Right.EDIT}))
    assert ask("DELETE", LINUX, None, eve).status_code == 204
    done = services.requests.list_newest(ADMIN, limit=1)[0]
    assert (done.action, done.who, done.status) == ("change-jobset", "eve", RequestStatus.DONE)
    assert done.what == {"jobset": "roses:main", "system": LINUX}
    hidden = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(ADMIN, "roses", hidden)
    for method, name, body in calls:
        told = refused(ask(method, name, body, add_user(f"bob{method}")), 404)
        assert told["data"] == {"project_id": jobset.id}


def test_only_the_active_ones_are_listed_where_that_is_asked(get, jobset, services):
    """With what their labels say, where these say something."""
    labels = {"os_release": "Fedora Linux", "other": "x"}
    services.systems.change(ADMIN, OLD, labels=labels)
    shown = {
        "name": OLD,
        "os_release": "Fedora Linux",
        "os_version": "20",
        "arch": "i386",
        "is_active": False,
    }
    assert get(f"/api_2/mock_chroots/{OLD}")["chroot"] == shown
    assert shown in [one["chroot"] for one in get("/api_2/mock_chroots")["chroots"]]
    for asked, count in (("active_only=True", 2), ("active_only=0", 3), ("active_only", 2)):
        listed = get(f"/api_2/mock_chroots?{asked}")["chroots"]
        assert len(listed) == count, asked
        assert all(one["chroot"]["is_active"] for one in listed) is (count == 2)
