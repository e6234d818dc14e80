"""Lists are paged by id: the newest first, fifty at a time."""

import pytest


@pytest.fixture
def many(ada):
    """Ids of 101 jobs, newest first."""
    return [ada.submit() for _ in range(101)][::-1]


@pytest.fixture
def with_artifacts(ada, worker):
    """A finished job with 51 artifacts."""
    job_id = ada.submit()
    lease = worker.start()
    for number in range(51):
        worker.product(lease, f"out/{number}.txt")
    worker.finish(lease)
    return job_id


def pages(program, path, start=None):
    """Follow `next` to the end."""
    while True:
        answer = program.get(path, params={"start": start} if start else {})
        assert answer.status_code == 200, answer.text
        yield answer.json
        start = answer.json["next"]
        if start is None:
            return


def ids(page):
    return [one["id"] for one in page["results"]]


def test_all_pages(ada, many):
    """`next` is the id that the following page begins with, as text; `total` counts everything."""
    first, second, third = pages(ada, "/api/jobs")
    assert (ids(first), ids(second), ids(third)) == (many[:50], many[50:100], many[100:])
    assert (first["next"], second["next"], third["next"]) == (str(many[50]), str(many[100]), None)
    assert {(one["total"], one["results_per_page"]) for one in (first, second, third)} == {
        (101, 50)
    }


def test_jobs_in_a_list_are_whole(ada, worker):
    """As each is by itself, whether it waits or runs."""
    ada.submit(tags=["a", "b"], note="One")
    worker.start()
    ada.submit(execute=False)
    listed = ada.get("/api/jobs").json["results"]
    assert listed == [ada.job(2), ada.job(1)]


def test_a_list_has_only_what_one_asked_for(ada, program):
    """Nobody else's jobs, public as they may be."""
    job_id = ada.submit()
    assert program("grace").get("/api/jobs").json == {
        "next": None,
        "results": [],
        "total": 0,
        "results_per_page": 50,
    }
    assert ids(ada.get("/api/jobs").json) == [job_id]


STARTS = {
    "": 3,
    "-1": 3,
    "0": 0,
    "-2": 0,
    "2": 2,
    "3": 3,
    "0002": 2,
    str(2**63 - 1): 3,
    str(2**63): 3,
    "9" * 5000: 3,
    "-" + "9" * 5000: 0,
}


def test_where_a_page_begins(ada, worker):
    """At this id, though it is no job's; -1 is the top."""
    for _ in range(3):
        ada.submit()
    lease = worker.start()
    for number in range(3):
        worker.product(lease, f"{number}.txt")
    for path in ("/api/jobs", f"/api/jobs/{lease.build_id}/artifacts"):
        for start, count in STARTS.items():
            page = ada.get(path, params={"start": start}).json
            assert ids(page) == list(range(count, 0, -1)), (path, start[:30])
            assert (page["total"], page["next"]) == (3, None)


def test_a_page_that_begins_nowhere(ada):
    """400 names the parameter."""
    ada.submit()
    for path in ("/api/jobs", "/api/jobs/1/artifacts"):
        for start in ("abc", "1.5", "0x1", "--1", "-", "\N{FULLWIDTH DIGIT ONE}", "1 2", "\x00"):
            answer = ada.get(path, params={"start": start})
            assert answer.status_code == 400, start
            assert answer.json == {
                "errors": [{"field": "start", "reason": "start should be an int"}]
            }


def test_artifacts(ada, with_artifacts):
    """The same paging, and every key with its type."""
    first, second = pages(ada, f"/api/jobs/{with_artifacts}/artifacts")
    assert (ids(first), ids(second)) == (list(range(51, 1, -1)), [1])
    assert (first["next"], first["total"]) == ("1", 51)
    assert second["results"] == [
        {
            "id": 1,
            "created": "2026-03-01T12:00:00+00:00",
            "path": "out/0.txt",
            "name": "0.txt",
            "url": f"http://falconframework.org/build/{with_artifacts}/product/1/0.txt",
            "size": 5,
        }
    ]


def test_the_address_of_an_artifact_is_good(ada, with_artifacts, stranger):
    """Its bytes are there."""
    (artifact,) = ada.get(f"/api/jobs/{with_artifacts}/artifacts?start=1").json["results"]
    path = artifact["url"].removeprefix("http://falconframework.org")
    assert stranger.get(path).content == b"made\n"


def test_a_rerun_shows_its_own_artifacts(ada, with_artifacts, services, actor, worker):
    """Those of the run before are not there any more."""
    services.builds.rerun(actor("ada"), with_artifacts)
    lease = worker.start()
    worker.product(lease, "new.txt")
    worker.finish(lease)
    page = ada.get(f"/api/jobs/{with_artifacts}/artifacts").json
    assert ([one["name"] for one in page["results"]], page["total"]) == (["new.txt"], 1)
