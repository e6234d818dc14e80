"""Logs as files: whole, by range, while they grow."""

import pytest
from support.factories import done

LOG = b"0123456789" * 10
PATHS = ("/logs/{}/{}log", "/query/log/{}/{}log")


@pytest.fixture
def lease(ada, worker):
    ada.submit()
    lease = worker.start()
    worker.log(lease, b"set up\n", 0)
    worker.log(lease, LOG, 1)
    return lease


@pytest.fixture(params=PATHS)
def path(request, lease):
    """The address of the first task's log."""
    return request.param.format(lease.build_id, "build/")


def test_a_log_is_plain_text(path, stranger):
    """Whole, with its length, and nothing that a browser would run."""
    answer = stranger.get(path)
    assert (answer.status_code, answer.content) == (200, LOG)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == "100"
    assert answer.headers["accept-ranges"] == "bytes"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_head(path, stranger):
    """The length alone."""
    answer = stranger.request("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "100"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=95-", 95, 99), ("bytes=-131072", 0, 99), ("bytes=-5", 95, 99)],
)
def test_a_range(path, stranger, asked, first, last):
    """As a page asks for the end and a follower for what is new."""
    answer = stranger.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, LOG[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/100"
    head = stranger.request("HEAD", path, headers={"Range": asked})
    assert head.headers["content-length"] == str(last - first + 1)


def test_a_range_behind_the_end(path, stranger, worker, lease):
    """416 until there is more, which the same range then gets."""
    asked = {"Range": "bytes=100-"}
    answer = stranger.get(path, headers=asked)
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */100")
    worker.reporter.append_log(lease, 1, 100, b"more")
    assert stranger.get(path, headers=asked).content == b"more"


def test_the_setup_has_a_log(stranger, lease):
    """Without the name of a task."""
    for path in PATHS:
        assert stranger.get(path.format(lease.build_id, "")).content == b"set up\n"


def test_what_has_not_started_has_no_log(stranger, worker, lease, ada):
    """404 in JSON; empty as long as it has written nothing."""
    waiting = ada.submit()
    for path in PATHS:
        for missing in (path.format(waiting, ""), path.format(lease.build_id, "test/")):
            answer = stranger.get(missing)
            assert (answer.status_code, answer.json) == (
                404,
                {"errors": [{"reason": "404 not found"}]},
            )
    worker.reporter.advance(lease, done(1), 2, sandbox="plain")
    for path in PATHS:
        answer = stranger.get(path.format(lease.build_id, "test/"))
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("job", ["999", "abc", "-1", "1e3", "%20", str(2**63), "9" * 5000])
def test_logs_of_no_job(job, stranger, lease):
    """404, but /query tells a number from what is none."""
    for task in ("", "build/"):
        assert stranger.get(PATHS[0].format(job, task)).status_code == 404
        answer = stranger.get(PATHS[1].format(job, task))
        assert answer.status_code == (404 if job == "999" else 400)
        assert answer.json["errors"][0].keys() >= {"reason"}


def test_logs_of_no_task(stranger, lease):
    """404, whatever the name."""
    for task in ("none", "..", "%2e%2e", "%00", "log", "a%2Fb", "x" * 5000):
        for path in PATHS:
            answer = stranger.get(path.format(lease.build_id, f"{task}/"))
            assert (answer.status_code, list(answer.json)) == (404, ["errors"]), task
