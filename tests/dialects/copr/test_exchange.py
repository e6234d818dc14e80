"""Every request of Copr's document on build tasks, with the answers that it shows."""

import pytest
from support.factories import done

from ciserver.model.build import BuildResult, Offer
from ciserver.model.status import BuildStatus

CHROOT = "fedora-rawhide-x86_64"
STARTED, ENDED = 1440753865, 1440753919
GIT_HASH = "d241064b14f9dcd5d9032d0aca3b4e78fbd1aafd"
RESULTS = "http://copr.fedoraproject.org/build/106882/results/"

# As documented, but for these decisions: items of lists have build_id too, and a build's own id is
# shown; items link to their build; `self` of a list tells the limit; results are ours.
ITEM = {
    "build_task": {
        "chroot_name": CHROOT,
        "build_id": 106882,
        "started_on": STARTED,
        "state": "succeeded",
        "ended_on": ENDED,
        "result_dir_url": RESULTS,
        "git_hash": GIT_HASH,
    },
    "_links": {
        "project": {"href": "/api_2/projects/3985"},
        "build": {"href": "/api_2/builds/106882"},
        "self": {"href": f"/api_2/build_tasks/106882/{CHROOT}"},
    },
}
LIST = {
    "build_tasks": [ITEM],
    "_links": {"self": {"href": "/api_2/build_tasks?build_id=106882&limit=100"}},
}


@pytest.fixture
def documented(store, clock, make, make_jobset, make_group):
    """The build of the document's examples, with its numbers."""
    jobset = make_jobset("aeghqawgt", owner="vgologuz")
    clock.forward(seconds=STARTED - clock.now().timestamp())
    renumber(store, "jobsets", jobset.id, 3985, "inputs")
    (task,) = make_group(CHROOT, jobset=store.jobsets.get(3985), revision=GIT_HASH)
    renumber(store, "builds", task.id, 106882)
    with store.transaction():
        store.database.sql("UPDATE builds SET group_id = id")
    lease = make.claim(Offer("local-0", (CHROOT,))).lease
    make.reporter.advance(lease, done(0), 1, sandbox="plain")
    clock.forward(seconds=ENDED - STARTED)
    make.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), ())


def renumber(store, table, old, new, *children):
    """Give a row the number that the document has."""
    with store.transaction():
        store.database.sql("PRAGMA defer_foreign_keys = ON")
        store.database.sql(f"UPDATE {table} SET id = ? WHERE id = ?", (new, old))
        for child in children:
            store.database.sql(f"UPDATE {child} SET jobset_id = ?", (new,))


@pytest.mark.usefixtures("documented")
@pytest.mark.parametrize("path", ["/api_2/build_tasks", "/api_2/builds_tasks"])
def test_list_build_tasks(get, path):
    """The list of one build, under the documented path and under the one that links have."""
    found = get(f"{path}?build_id=106882", host="copr.fedoraproject.org")
    assert found == LIST


@pytest.mark.usefixtures("documented")
def test_get_build_task_details(get):
    """The same entity as in the list, by build and chroot."""
    found = get(f"/api_2/build_tasks/106882/{CHROOT}", host="copr.fedoraproject.org")
    assert found == ITEM


@pytest.mark.usefixtures("documented")
@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("owner=vgologuz", 1),
        ("owner=nobody", 0),
        ("project_id=3985", 1),
        ("project_id=3984", 0),
        ("state=succeeded", 1),
        ("state=failed", 0),
        ("offset=0", 1),
        ("offset=1", 0),
        ("limit=1", 1),
        ("owner=nobody&project_id=3985", 1),
        ("owner=nobody&project_id=3984&build_id=106882", 1),
    ],
)
def test_each_documented_parameter(get, asked, count):
    """What is ignored beside something narrower is ignored."""
    found = get(f"/api_2/builds_tasks?{asked}", host="copr.fedoraproject.org")
    assert found["build_tasks"] == [ITEM] * count


@pytest.mark.usefixtures("documented")
@pytest.mark.parametrize(
    ("path", "build_id"),
    [
        ("/api_2/builds_tasks?build_id=106883", 106883),
        (f"/api_2/build_tasks/106883/{CHROOT}", 106883),
        ("/api_2/build_tasks/106882/fedora-22-x86_64", 106882),
    ],
)
def test_documented_404(client, path, build_id):
    """Build, or build task, not found."""
    answer = client.simulate_get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert str(build_id) in answer.json["message"]
    assert answer.json["data"] == {"build_id": build_id}
