"""The log of a whole build: its page, its end, as text, and while it grows."""

import threading

import pytest

from ciserver.model.account import Visibility
from ciserver.model.build import Output, StepResult
from ciserver.model.project import ProjectSettings
from ciserver.model.status import StepStatus

JSON = {"Accept": "application/json"}
DRV = "0" * 32 + "-hello-1.drv"


def lines(first, last):
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


@pytest.fixture
def two_steps(works):
    """The first task ended, the second runs; the setup wrote something too."""
    lease = works.running()
    works.log(lease, b"set up\n", step=0)
    works.log(lease, lines(1, 70))
    works.parts.reporter.advance(lease, StepResult(1, StepStatus.SUCCEEDED, 0), 2, sandbox="plain")
    works.log(lease, lines(71, 80), step=2)
    return lease


WHOLE = b"set up\n" + lines(1, 80)


def test_the_log_of_a_build_is_that_of_all_steps(two_steps, stranger):
    """As text, whole and by range, across the steps."""
    answer = stranger.get("/log/build-1")
    assert (answer.content, answer.headers["content-type"]) == (WHOLE, "text/plain; charset=utf-8")
    assert "sandbox" in answer.headers["content-security-policy"]
    head = stranger.request("HEAD", "/log/build-1")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(WHOLE)))
    at = WHOLE.index(b"line 70")
    for first, last in ((0, 3), (5, 9), (at - 5, at + 20), (len(WHOLE) - 4, len(WHOLE) - 1)):
        part = stranger.get("/log/build-1", headers={"Range": f"bytes={first}-{last}"})
        assert (part.status_code, part.content) == (206, WHOLE[first : last + 1])
    assert (
        stranger.get("/log/build-1", headers={"Range": f"bytes={len(WHOLE)}-"}).status_code == 416
    )


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, b""),
        (1, lines(80, 80)),
        (12, lines(69, 80)),
        (80, lines(1, 80)),
        (81, WHOLE),
        (9**9, WHOLE),
    ],
)
def test_the_last_lines_of_it(two_steps, stranger, count, expected):
    """However many steps they are of."""
    assert stranger.get(f"/log/build-1?tail={count}").content == expected


def test_the_last_lines_of_a_step(two_steps, stranger, works):
    """A line that has not ended is one."""
    works.log(two_steps, b"unfinished", offset=len(lines(71, 80)), step=2)
    expected = lines(80, 80) + b"unfinished"
    assert stranger.get("/build/1/log/test?tail=2").content == expected
    assert stranger.get("/build/1/log/build?tail=1").content == lines(70, 70)


def test_last_lines_are_found_far_from_the_end(works, stranger):
    """They may be longer than what is read at once."""
    lease = works.running()
    content = b"a\n" + b"b" * 200_000 + b"\n" + b"c" * 100_000
    works.log(lease, content)
    assert stranger.get("/log/build-1?tail=2").content == content[2:]
    assert stranger.get("/log/build-1?tail=1").content == b"c" * 100_000


def test_the_log_of_a_derivation(works, stranger, services, admin):
    """By the last part of its path: of the newest build that the caller may see."""
    for text in (b"first\n", b"second\n"):
        lease = works.running()
        works.log(lease, text)
        works.parts.reporter.set_output(lease, Output("", f"/nix/store/{DRV}", {}))
        works.finish(lease)
    assert stranger.get(f"/log/{DRV}").content == b"second\n"
    assert stranger.get(f"/log/{DRV}?tail=1").content == b"second\n"
    services.builds.delete(admin, 2)
    assert stranger.get(f"/log/{DRV}").content == b"first\n"
    settings = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(admin, "project", settings)
    for name in (DRV, "build-1"):
        assert stranger.get(f"/log/{name}").status_code == 404


@pytest.mark.parametrize(
    "name", ["build-2", "build-", "build-x", "x.drv", f"build-{10**18}", "%00"]
)
def test_there_is_no_such_log(works, stranger, name):
    """Also of a build that has not begun."""
    works.build()
    assert stranger.get(f"/log/{name}").status_code == 404
    assert stranger.get("/log/build-1").status_code == 404


def test_a_reader_waits_for_more(two_steps, works, stranger, until_followed):
    """A range that begins at the end answers when there is something."""
    answers = []

    def read():
        asked = {"Range": f"bytes={len(WHOLE)}-"}
        answers.append(stranger.get("/log/build-1?wait=20", headers=asked))

    thread = threading.Thread(target=read)
    thread.start()
    until_followed(1)
    works.log(two_steps, b"more\n", offset=len(lines(71, 80)), step=2)
    thread.join(timeout=20)
    assert [one.content for one in answers] == [b"more\n"]


# -- pages ----------------------------------------------------------------------------------------


def test_the_page_of_the_log_has_all_steps(two_steps, works, browser):
    """With their lines numbered through; it is looked at again until the build ends."""
    page = browser.page("/build/1/log")
    for text in ("set up", "line 1", "line 80"):
        assert text in page.text
    links = {one["href"] for one in page.all("a")}
    assert {"/log/build-1", "/build/1/step/1?attempt=1", "/build/1/step/2?attempt=1"} <= links
    assert ("main", {"data-refresh": "3"}) in [
        (tag, {"data-refresh": one.get("data-refresh", "")}) for tag, one in page.tags
    ]
    ids = [one["id"] for _, one in page.tags if "id" in one]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("path", "first", "last", "raw"),
    [
        ("/build/1/log/tail", 31, 80, "/log/build-1"),
        ("/build/1/step/1/log/tail", 21, 70, "/build/1/log/build?attempt=1"),
    ],
)
def test_the_end_of_a_log_has_a_page(two_steps, browser, path, first, last, raw):
    """The last 50 lines, with their own numbers."""
    page = browser.page(path)
    assert f"line {first}\n" in page.text
    assert f"line {first - 1}\n" not in page.text
    assert f"line {last}" in page.text
    assert raw in {one["href"] for one in page.all("a")}


def test_the_log_of_a_step_has_two_addresses(two_steps, browser):
    assert browser.page("/build/1/step/1/log").text == browser.page("/build/1/step/1").text


@pytest.mark.parametrize(
    ("path", "status", "target"),
    [
        ("/build/1/log/raw", 302, "/log/build-1"),
        ("/build/1/step/2/log/raw", 302, "/build/1/log/test?attempt=1"),
        ("/build/1/nixlog/1", 301, "/build/1/step/1/log"),
        ("/build/1/nixlog/1/raw", 301, "/build/1/step/1/log/raw"),
        ("/build/1/nixlog/2/tail", 301, "/build/1/step/2/log/tail"),
    ],
)
def test_other_addresses_lead_there(two_steps, stranger, path, status, target):
    answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (status, target)


def test_a_mode_that_nobody_knows_is_refused(two_steps, stranger):
    """Where a step could be meant, it is not there for people."""
    for path in ("/build/1/step/1/log/pretty", "/build/1/log/pretty"):
        answer = stranger.get(path, headers=JSON)
        assert answer.status_code == 400
        assert answer.json["error"].startswith("Unknown log display mode")
    assert stranger.get("/build/1/log/pretty").status_code == 404


def test_a_step_may_be_called_like_a_mode(works, stranger):
    """Then its log is meant."""
    lease = works.running(recipe="image: host\ntasks:\n  - raw: echo\n")
    works.log(lease, b"mine\n")
    assert stranger.get("/build/1/log/raw").content == b"mine\n"


@pytest.mark.parametrize(
    "path",
    [
        *("/build/2/log", "/build/2/log/raw", "/build/1/step/9/log", "/build/1/step/9/log/raw"),
        *("/build/1/nixlog/9", "/build/2/nixlog/1/raw"),
    ],
)
def test_what_is_not_there(two_steps, stranger, path):
    assert stranger.get(path).status_code == 404


def test_a_build_that_has_not_begun_has_an_empty_log(works, browser):
    works.build()
    assert "Nothing is written yet" in browser.page("/build/1/log").text
    assert "Nothing is written yet" in browser.page("/build/1/log/tail").text


def test_logs_that_were_removed(works, browser, stranger, two_steps, clock):
    """The page of the build says so, and the API when; the addresses of logs answer that they are
    gone, the ones of a step as well.
    """
    works.finish(two_steps)
    store = works.parts.store
    for logs in store.log_keeping.list_due(clock.now(), 10):
        with store.transaction():
            store.log_keeping.remove(logs, clock.now())
        for step in store.log_keeping.steps(logs):
            store.files.remove_log(logs.build_id, logs.attempt, step)
    day = f"{clock.now():%Y-%m-%d}"
    page = browser.get("/build/1")
    assert page.status_code == 200
    assert f"The log of build 1 was removed on {day}" in page.text
    for path in ("/log/build-1", "/build/1/log", "/build/1/log/tail", "/build/1/step/1/lines"):
        assert stranger.get(path, headers=JSON).status_code == 410, path
    assert stranger.get("/ci/v1/builds/1/steps/1/log?wait=20").status_code == 410
    (attempt,) = stranger.get("/ci/v1/builds/1").json["attempts"]
    assert attempt["logs_removed_at"].startswith(day)
