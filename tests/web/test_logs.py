"""Logs and products over HTTP: whole, by range, and while they grow."""

import threading
import time

import falcon.testing
import pytest
from support.storages import on_both_storages

from ciserver.model.build import StepResult
from ciserver.model.status import StepStatus

CONTENT = b"0123456789" * 10


@pytest.fixture
def grown(works, services, file_storage):
    """A finished step's log of 100 bytes, and a product of the same content; in a bucket, if there
    is one.
    """
    lease = works.running()
    works.log(lease, CONTENT)
    works.product(lease, "out/a.bin", CONTENT)
    works.finish(lease)
    if file_storage.s3_bucket:
        services.log_keeping.sweep()
    return lease


@pytest.fixture(params=["/build/1/log/build", "/build/1/product/1/a.bin"])
def path(request, grown):
    return request.param


@on_both_storages
def test_a_file_is_read_whole(path, stranger):
    """All of it, with its length, and the promise of ranges."""
    answer = stranger.get(path)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-length"] == "100"
    assert answer.headers["accept-ranges"] == "bytes"


@on_both_storages
def test_a_range_is_read(path, stranger):
    """206 with exactly those bytes, and where they stand."""
    for asked, first, last in (
        ("bytes=0-", 0, 99),
        ("bytes=0-0", 0, 0),
        ("bytes=95-", 95, 99),
        ("bytes=99-99", 99, 99),
        ("bytes=90-1000", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=-1000", 0, 99),
        ("bytes=0-999999999999999999", 0, 99),
    ):
        answer = stranger.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1]), asked
        assert answer.headers["content-range"] == f"bytes {first}-{last}/100"
        assert answer.headers["content-length"] == str(last - first + 1)


@on_both_storages
def test_a_range_with_nothing_in_it_is_refused(path, stranger):
    """416 says how long the file is, so that a follower can go on."""
    for asked in ("bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={10**17}-"):
        answer = stranger.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (416, b""), asked
        assert answer.headers["content-range"] == "bytes */100"


@on_both_storages
def test_what_is_not_one_range_of_bytes_is_ignored(path, stranger):
    """The whole file is a right answer to it; a crash or a refusal is not."""
    for asked in ("bytes=0-1,5-6", "bytes=5-2", "lines=1-2", "bytes=", "bytes", "", "bytes=a-b"):
        answer = stranger.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, CONTENT), asked
    answer = stranger.get(path, headers={"Range": f"bytes={'9' * 400}-"})
    assert answer.status_code == 200


def test_a_product_that_was_read_is_not_sent_again(grown, stranger):
    """304 to If-None-Match with its ETag, or with any."""
    path = "/build/1/product/1/a.bin"
    tag = stranger.get(path).headers["etag"]
    for known in (tag, f'"other", {tag}', "*", f"W/{tag}"):
        answer = stranger.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b""), known
        assert answer.headers["etag"] == tag
    other = stranger.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, CONTENT)


def test_a_product_is_found_by_its_own_build_only(grown, works, stranger):
    """The id of another build's product is nothing here."""
    other = works.running()
    assert stranger.get(f"/build/{other.build_id}/product/1/a.bin").status_code == 404


def test_a_step_that_wrote_nothing_has_an_empty_log(works, stranger):
    """Not an error: it may write later."""
    works.running()
    assert stranger.get("/build/1/log/build").content == b""
    assert stranger.get("/build/1/log/build", headers={"Range": "bytes=0-"}).status_code == 416
    policy = stranger.get("/build/1/log/build").headers["content-security-policy"]
    assert "sandbox" in policy
    assert stranger.get("/build/1/log/nothing").status_code == 404
    assert stranger.get("/build/1/step/7").status_code == 404


def test_each_attempt_keeps_its_log(works, services, admin, stranger):
    """A step's log is the newest attempt's unless another is asked for."""
    first = works.running()
    works.log(first, b"first\n")
    works.finish(first)
    services.builds.rerun(admin, first.build_id)
    works.log(works.claim(), b"second\n")
    assert stranger.get("/build/1/log/build").content == b"second\n"
    assert stranger.get("/build/1/log/build?attempt=1").content == b"first\n"
    assert b"first" in stranger.get("/build/1/step/1?attempt=1").content
    assert stranger.get("/build/1/log/build?attempt=3").status_code == 404


# -- following ------------------------------------------------------------------------------------


def follow(client, place, **more):
    query = {"offset": place["offset"], "line": place["line"], "state": place["state"], **more}
    return client.get("/build/1/step/1/lines", params=query).json


START = {"offset": 0, "line": 1, "state": ""}


def test_lines_follow_a_growing_log(works, stranger):
    """Each answer goes on where the one before ended: numbers, colors and unfinished lines."""
    lease = works.running()
    works.log(lease, b"one\n\x1b[31mtwo\nthr")
    first = follow(stranger, START)
    assert ("one" in first["html"], "two" in first["html"]) == (True, True)
    assert "thr" in first["unfinished"]
    assert (first["line"], first["complete"]) == (3, False)
    works.log(lease, b"ee\n", offset=len(b"one\n\x1b[31mtwo\nthr"))
    works.finish(lease)
    second = follow(stranger, first)
    assert "three" in second["html"]
    assert 'class="f1"' in second["html"], "the color of the line before goes on"
    assert second["complete"]


def test_a_state_that_we_did_not_give_is_harmless(works, stranger):
    """The state comes from the address, so anything may stand in it."""
    works.log(works.running(), b"one\n")
    for state in ("x", '{"fg": [1]}', "\u00e9" * 10, "-1.-1", "9" * 300, "<script>", "%00"):
        answer = stranger.get("/build/1/step/1/lines", params={"state": state})
        assert answer.status_code in {200, 400}, state
        assert "<script" not in answer.text


def waiting(parts, path, **rest):
    """Ask in a thread of its own; the answer and when it came are in the list when it is done."""
    answers = []

    def ask():
        client = falcon.testing.TestClient(parts.app)
        answers.append((client.simulate_get(path, **rest), time.monotonic()))
        parts.store.database.close()

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


@pytest.mark.parametrize("what", ["lines", "raw", "api"])
def test_a_wait_ends_as_soon_as_bytes_arrive(what, works, parts, until_followed):
    """Every way to follow a log answers at once when there is more, not at the end of its time."""
    lease = works.running()
    works.log(lease, b"one\n")
    path, rest = {
        "lines": ("/build/1/step/1/lines?offset=4&line=2&wait=20", {}),
        "raw": ("/build/1/log/build?wait=20", {"headers": {"Range": "bytes=4-"}}),
        "api": ("/ci/v1/builds/1/steps/1/log?offset=4&wait=20", {}),
    }[what]
    thread, answers = waiting(parts, path, **rest)
    until_followed(1)
    written = time.monotonic()
    works.log(lease, b"two\n", offset=4)
    thread.join(10)
    ((answer, came),) = answers
    assert "two" in answer.text
    assert came - written < 5


def test_a_wait_ends_with_the_step(works, parts, until_followed):
    """Nothing will follow: the answer says so at once."""
    lease = works.running()
    thread, answers = waiting(parts, "/build/1/step/1/lines?wait=20")
    until_followed(1)
    works.finish(lease)
    thread.join(10)
    assert answers[0][0].json["complete"]


def test_news_of_another_step_does_not_end_a_wait(works, parts, until_followed):
    """Who waits for a step hears of that step, not of everything that the build does."""
    lease = works.running()
    thread, answers = waiting(parts, "/build/1/step/2/lines?wait=20")
    until_followed(1)
    works.log(lease, b"of the first\n")
    parts.reporter.advance(lease, StepResult(1, StepStatus.SUCCEEDED, 0), 2, sandbox="plain")
    works.log(lease, b"of the second\n", step=2)
    thread.join(10)
    assert "of the second" in answers[0][0].json["html"]


def test_a_wait_without_news_ends_in_time(works, parts):
    """The limit that was asked for holds, and the answer is empty, not an error."""
    works.running()
    thread, answers = waiting(parts, "/build/1/step/1/lines?wait=1")
    thread.join(10)
    assert (answers[0][0].json["html"], answers[0][0].json["complete"]) == ("", False)
