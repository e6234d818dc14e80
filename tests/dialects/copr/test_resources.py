"""The resources around build tasks, which clients reach from the root by links."""

import re

import pytest

from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus

LINUX, FEDORA, CENTOS = "x86_64-linux", "fedora-rawhide-x86_64", "centos-stream-9-aarch64"
REVISION = "d241064b14f9dcd5d9032d0aca3b4e78fbd1aafd"


@pytest.fixture
def tool(make_jobset):
    settings = ProjectSettings(description="Counts", homepage="https://example.org/tool")
    return make_jobset("tool", "ada", settings)


@pytest.fixture
def tasks(tool, make_group):
    """A build of two chroots, one of which has succeeded."""
    systems = ((FEDORA, BuildStatus.SUCCEEDED), LINUX)
    return make_group(*systems, jobset=tool, revision=REVISION, network=False)


def test_the_root_links_to_the_lists(get):
    """Where a client begins, whatever it was told of the last slash."""
    links = get("/api_2/")["_links"]
    assert links["projects"].pop("query_params")[0]["name"] == "owner"
    assert links == {
        "self": {"href": "/api_2/"},
        "projects": {"href": "/api_2/projects"},
        "mock_chroots": {"href": "/api_2/mock_chroots"},
        "builds": {"href": "/api_2/builds"},
        "build_tasks": {"href": "/api_2/build_tasks"},
    }


def test_the_root_without_its_slash_is_moved(client):
    """For good, and with the method kept."""
    answer = client.simulate_get("/api_2")
    assert (answer.status_code, answer.headers["location"]) == (308, "/api_2/")


def test_a_build(get, tool, tasks, clock):
    """Exactly the documented keys: released clients refuse others."""
    group = tasks[0].group_id
    expected = {
        "build": {
            "id": group,
            "state": "pending",
            "submitter": "ada",
            "built_packages": [],
            "package_version": None,
            "package_name": "build",
            "repos": [],
            "submitted_on": int(clock.now().timestamp()),
            "enable_net": False,
            "source_type": "scm",
            "source_metadata": {"type": "git", "committish": REVISION},
        },
        "_links": {
            "self": {"href": f"/api_2/builds/{group}"},
            "project": {"href": f"/api_2/projects/{tool.id}"},
            "build_tasks": {"href": f"/api_2/build_tasks?build_id={group}"},
        },
    }
    assert get(f"/api_2/builds/{group}") == expected
    assert get("/api_2/builds")["builds"] == [expected]


@pytest.mark.parametrize("asked", ["show_build_tasks", "show_build_tasks=True"])
def test_a_build_with_its_tasks(get, tasks, asked):
    """As the list of tasks has them, beside the build."""
    group = tasks[0].group_id
    shown = get(f"/api_2/builds/{group}?{asked}")
    assert shown["build_tasks"] == get(f"/api_2/build_tasks?build_id={group}")["build_tasks"]
    assert len(shown["build_tasks"]) == 2
    assert shown["_links"]["self"] == {"href": f"/api_2/builds/{group}?show_build_tasks=True"}


def test_a_build_without_a_repository(get, make_group):
    """What was submitted as a whole has no commit."""
    (task,) = make_group(LINUX, revision="")
    build = get(f"/api_2/builds/{task.id}")["build"]
    assert (build["source_type"], build["source_metadata"]) == ("custom", {})
    assert get(f"/api_2/build_tasks/{task.id}/{LINUX}")["build_task"]["git_hash"] is None


def test_a_project(get, tool):
    """A jobset under the name that it has among those of its owner."""
    expected = {
        "project": {
            "id": tool.id,
            "name": "tool",
            "owner": "ada",
            "is_a_group_project": False,
            "description": "Counts",
            "instructions": "",
            "homepage": "https://example.org/tool",
            "contact": None,
            "disable_createrepo": False,
            "build_enable_net": True,
            "repos": [],
        },
        "_links": {
            "self": {"href": f"/api_2/projects/{tool.id}"},
            "builds": {"href": f"/api_2/builds?project_id={tool.id}"},
            "chroots": {"href": f"/api_2/projects/{tool.id}/chroots"},
            "build_tasks": {"href": f"/api_2/build_tasks?project_id={tool.id}"},
        },
    }
    assert get(f"/api_2/projects/{tool.id}") == expected
    assert get("/api_2/projects") == {
        "projects": [expected],
        "_links": {"self": {"href": "/api_2/projects"}},
    }


@pytest.mark.parametrize(
    "homepage", ["", "example.org", "ftp://example.org", "http://[", "http://"]
)
def test_a_homepage_that_is_no_address(get, make_jobset, homepage):
    """Is none: a client would refuse the whole project."""
    jobset = make_jobset("tool", settings=ProjectSettings(homepage=homepage))
    assert get(f"/api_2/projects/{jobset.id}")["project"]["homepage"] is None


def test_a_project_with_more(get, tool, tasks):
    """Builds and chroots beside it, as their own lists have them."""
    shown = get(f"/api_2/projects/{tool.id}?show_builds=1&show_chroots=yes")
    assert shown["project_builds"] == get(f"/api_2/builds?project_id={tool.id}")["builds"]
    assert shown["project_chroots"] == get(f"/api_2/projects/{tool.id}/chroots")["chroots"]
    assert len(shown["project_builds"]) == 1
    assert shown["_links"]["self"]["href"].endswith("?show_builds=True&show_chroots=True")
    plain = get(f"/api_2/projects/{tool.id}?show_builds=False&show_chroots=no")
    assert set(plain) == {"project", "_links"}


def test_the_chroots_of_a_project(get, tool, tasks):
    """All that there are: its recipes choose."""
    names = [one["chroot"]["name"] for one in get(f"/api_2/projects/{tool.id}/chroots")["chroots"]]
    assert {FEDORA, LINUX} <= set(names)
    assert get(f"/api_2/projects/{tool.id}/chroots/{FEDORA}") == {
        "chroot": {
            "name": FEDORA,
            "buildroot_pkgs": [],
            "comps": None,
            "comps_name": None,
            "comps_len": 0,
        },
        "_links": {
            "project": {"href": f"/api_2/projects/{tool.id}"},
            "self": {"href": f"/api_2/projects/{tool.id}/chroots/{FEDORA}"},
        },
    }


@pytest.mark.parametrize(
    ("name", "release", "version", "arch"),
    [
        (FEDORA, "fedora", "rawhide", "x86_64"),
        (CENTOS, "centos-stream", "9", "aarch64"),
        (LINUX, "linux", "", "x86_64"),
    ],
)
def test_a_mock_chroot(get, store, name, release, version, arch):
    """Its parts are read from the right; our own systems have two."""
    with store.transaction():
        store.systems.add(name)
    expected = {
        "chroot": {
            "name": name,
            "os_release": release,
            "os_version": version,
            "arch": arch,
            "is_active": True,
        },
        "_links": {"self": {"href": f"/api_2/mock_chroots/{name}"}},
    }
    assert get(f"/api_2/mock_chroots/{name}") == expected
    listed = get("/api_2/mock_chroots?active_only=True")
    assert expected in listed["chroots"]
    assert listed["_links"] == {"self": {"href": "/api_2/mock_chroots?active_only=True"}}


def test_every_link_leads_somewhere(get, store, tasks):
    """From the root on, all that is linked answers and says so of itself."""
    with store.transaction():
        store.systems.add("el+epel-9-x86_64")
    seen, waiting = set(), ["/api_2/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        found = get(path)
        assert found["_links"]["self"]["href"].partition("?")[0] == path.partition("?")[0]
        waiting += re.findall(r"'href': '([^']+)'", str(found))
    group = tasks[0].group_id
    assert {f"/api_2/build_tasks/{group}/{FEDORA}", f"/api_2/builds/{group}"} <= seen
    assert all(path.startswith("/api_2/") for path in seen)
