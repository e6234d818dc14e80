"""The lists: what they choose, in which order, page by page."""

import pytest

from ciserver.model.status import BuildStatus

LINUX, ARM, FEDORA = "x86_64-linux", "aarch64-linux", "fedora-rawhide-x86_64"


@pytest.fixture
def farm(make_jobset, make_group):
    """Two owners with a project each: builds 1 and 3 of ada's over two chroots, one of grace's."""
    of_ada = make_jobset("tool", owner="ada")
    of_grace = make_jobset("toy", owner="grace")
    first = make_group((LINUX, BuildStatus.SUCCEEDED), (ARM, BuildStatus.FAILED), jobset=of_ada)
    other = make_group((FEDORA, BuildStatus.SUCCEEDED), jobset=of_grace)
    second = make_group(LINUX, ARM, jobset=of_ada)
    return {"ada": of_ada, "grace": of_grace, "builds": (first, other, second)}


def tasks(answer):
    return [
        (one["build_task"]["build_id"], one["build_task"]["chroot_name"])
        for one in answer["build_tasks"]
    ]


def ids(answer, name):
    return [one[name]["id"] for one in answer[f"{name}s"]]


def test_tasks_come_by_build_and_chroot(get, farm):
    """Oldest build first, and within it by the name of the chroot."""
    first, other, second = (one[0].group_id for one in farm["builds"])
    assert tasks(get("/api_2/build_tasks")) == [
        (first, ARM),
        (first, LINUX),
        (other, FEDORA),
        (second, ARM),
        (second, LINUX),
    ]


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("owner=ada", [0, 0, 2, 2]),
        ("owner=grace", [1]),
        ("owner=", []),
        ("group=copr", []),
        ("owner=ada&group=copr", [0, 0, 2, 2]),
        ("owner=ada&state=succeeded", [0]),
        ("state=succeeded", [0, 1]),
        ("state=pending&owner=grace", []),
        ("state=waiting", []),
        ("state=skipped&owner=ada", []),
        ("project_id=-1", []),
        ("project_id=0&owner=ada", []),
        (f"project_id={10**40}", []),
        ("limit=2", [0, 0]),
        ("limit=2&offset=1", [0, 1]),
        ("offset=4", [2]),
        ("offset=5", []),
        (f"offset={10**40}", []),
        (f"owner=ada&offset={10**40}", []),
        ("offset=-7", [0, 0, 1, 2, 2]),
        ("owner=ada&limit=2&offset=1", [0, 2]),
        ("limit=0&limit=1", [0]),
        ("unheard=of", [0, 0, 1, 2, 2]),
    ],
)
def test_what_the_filters_choose(get, farm, asked, chosen):
    """State is asked for beside the owner or project; the limits cut what is left."""
    numbers = [one[0].group_id for one in farm["builds"]]
    assert [one for one, _ in tasks(get(f"/api_2/build_tasks?{asked}"))] == [
        numbers[one] for one in chosen
    ]


def test_the_narrowest_filter_counts_alone(get, farm):
    """A build goes before a project, which goes before an owner."""
    first, other, _ = (one[0].group_id for one in farm["builds"])
    grace = farm["grace"].id
    assert tasks(get(f"/api_2/build_tasks?project_id={grace}&owner=ada&group=x")) == [
        (other, FEDORA)
    ]
    everything = f"build_id={first}&project_id={grace}&owner=grace&group=x"
    assert tasks(get(f"/api_2/build_tasks?{everything}")) == [(first, ARM), (first, LINUX)]
    assert tasks(get(f"/api_2/build_tasks?{everything}&state=failed")) == [(first, ARM)]
    assert tasks(get(f"/api_2/build_tasks?{everything}&state=forked")) == []
    assert tasks(get(f"/api_2/build_tasks?{everything}&limit=1&offset=1")) == [(first, LINUX)]
    assert tasks(get(f"/api_2/build_tasks?{everything}&limit=1&offset=-1")) == [(first, ARM)]


@pytest.mark.parametrize("path", ["build_tasks", "builds"])
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("", "limit=100"),
        ("limit=7", "limit=7"),
        ("limit=0", "limit=100"),
        ("limit=-1", "limit=100"),
        ("limit=101", "limit=100"),
        ("limit=%2B5&offset=-3", "limit=5&offset=-3"),
        ("offset=2", "offset=2&limit=100"),
        ("group=a+b%26c%00%C3%A9", "group=a+b%26c%00%C3%A9&limit=100"),
        ("unheard=of", "limit=100"),
    ],
)
def test_self_repeats_what_was_asked(get, path, asked, told):
    """With the limit that holds, and nothing that was not understood."""
    links = get(f"/api_2/{path}?{asked}")["_links"]
    assert links == {"self": {"href": f"/api_2/{path}?{told}"}}


def test_a_page_has_at_most_a_hundred(get, make):
    """Whatever is asked for; the next page has the rest."""
    for _ in range(103):
        make.build()
    assert len(tasks(get("/api_2/build_tasks?limit=1000"))) == 100
    assert len(tasks(get("/api_2/build_tasks?limit=1000&offset=100"))) == 3
    assert len(get("/api_2/builds")["builds"]) == 100


def test_builds_come_newest_first(get, farm):
    """By project, by owner, finished or not, page by page."""
    first, other, second = (one[0].group_id for one in farm["builds"])
    ada = farm["ada"].id
    for asked, chosen in {
        "": [second, other, first],
        f"project_id={ada}": [second, first],
        f"project_id={ada}&owner=grace": [second, first],
        "owner=grace": [other],
        "group=copr": [],
        "is_finished=YES": [other, first],
        "is_finished=0": [second],
        "owner=ada&is_finished=true": [first],
        "limit=1": [second],
        "limit=1&offset=1": [other],
        "offset=3": [],
        "offset=-3": [second, other, first],
    }.items():
        assert ids(get(f"/api_2/builds?{asked}"), "build") == chosen, asked


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        ("project_id=99", {"project_id": 99}),
        ("owner=nobody", {"username": "nobody"}),
    ],
)
def test_builds_of_nothing_known(client, farm, asked, data):
    """Unlike tasks, which are none then."""
    answer = client.simulate_get(f"/api_2/builds?{asked}")
    assert (answer.status_code, answer.json["data"]) == (404, data)
    assert client.simulate_get(f"/api_2/build_tasks?{asked}").json["build_tasks"] == []


def test_projects_are_found(get, farm):
    """By owner, name and text, in the order of their making."""
    ada, grace = farm["ada"].id, farm["grace"].id
    for asked, chosen in {
        "": [ada, grace],
        "owner=ada": [ada],
        "owner=nobody": [],
        "name=toy": [grace],
        "name=to": [],
        "search_query=TO": [ada, grace],
        "search_query=ool": [ada],
        "group=copr": [],
        "limit=1": [ada],
        "limit=1&offset=1": [grace],
        "limit=-1": [ada, grace],
        "offset=-1": [ada, grace],
        f"limit={10**30}": [ada, grace],
    }.items():
        assert ids(get(f"/api_2/projects?{asked}"), "project") == chosen, asked
    assert get("/api_2/projects?owner=ada&limit=5")["_links"] == {
        "self": {"href": "/api_2/projects?owner=ada&limit=5"}
    }
