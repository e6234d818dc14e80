"""Pages about the whole server: the queue in numbers, steps, workers, the search."""

from dataclasses import replace

import pytest
from support.factories import Factory

from ciserver.engines import make_engine
from ciserver.executor.sandbox import SandboxBroken
from ciserver.model.account import ANONYMOUS, Visibility
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus
from ciserver.service.counters import Counters
from ciserver.service.status import Status
from ciserver.shipped import shipped
from ciserver.web.app import create_app

PATHS = ("/queue", "/queue-summary", "/status", "/steps", "/machines")


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.mark.parametrize("path", [*PATHS, "/search?query=nothing"])
def test_when_there_is_nothing(browser, path):
    """It says so, and every page has the search and leads to the others."""
    page = browser.page(path)
    fields = [one for one in page.all("input") if one.get("name") == "query"]
    assert fields
    assert {one["action"] for one in page.all("form")} >= {"/search"}
    if path in PATHS:
        links = {one["href"]: one for one in page.all("a")}
        assert links.keys() >= set(PATHS)
        assert links[path]["aria-current"] == "page"


def test_the_queue_in_numbers(browser, make):
    """By jobset and by system, over what runs and waits."""
    jobset = make.jobset("roses")
    for system in ("x86_64-linux", "x86_64-linux", "aarch64-linux"):
        make.build(jobset=jobset, system=system)
    make.build(BuildStatus.RUNNING, jobset=make.jobset("tulips"))
    make.build(BuildStatus.FAILED, jobset=make.jobset("gone"))
    text = " ".join(browser.page("/queue-summary").text.split())
    assert "By jobset 4" in text
    assert "roses / main 3" in text
    assert "tulips / main 1" in text
    assert "x86_64-linux3aarch64-linux1" in text
    assert "gone" not in text
    assert "There are more" not in text


def test_a_queue_that_is_too_long_to_be_counted(browser, make, parts, clock, admin):
    """Its front is, and the page says so."""
    for _ in range(3):
        make.build()
    services = parts.services
    reasons = services.queries.reasons
    few = Status(
        parts.store, clock, services.rights, reasons, Counters(), services.storage, most_counted=2
    )
    app = create_app(
        replace(services, status=few), shipped("templates"), server_name="ci", base_url=""
    )
    found = type(browser)(app).page("/queue-summary").text
    assert "There are more: these are the 2 builds" in " ".join(found.split())
    assert few.count_unfinished(ANONYMOUS) == 2
    assert few.count_unfinished(admin) == 3


def test_steps(browser, make, clock):
    """Those that run, and those that ended last, each with the way to its log."""
    running = make.build(BuildStatus.RUNNING, jobset=make.jobset("roses"))
    page = browser.page("/status")
    assert f"/build/{running.id}/step/1?attempt=1" in {one["href"] for one in page.all("a")}
    assert "roses / main" in page.text
    assert "No build has ended yet" in browser.page("/steps").text
    clock.forward(minutes=1)
    ended = make.build(BuildStatus.SUCCEEDED, jobset=make.jobset("tulips"))
    page = browser.page("/steps")
    assert f"/build/{ended.id}/step/0?attempt=1" in {one["href"] for one in page.all("a")}
    assert "roses" not in page.text


def test_workers(browser, parts):
    """With the reason why one takes no builds."""
    assert "No worker runs builds right now" in browser.page("/machines").text
    parts.services.run_on(make_engine(parts, SandboxBroken("no bwrap", "install it")))
    text = browser.page("/machines").text
    assert "local" in text
    assert "It takes no builds: no bwrap; install it" in " ".join(text.split())


def test_what_is_private_is_on_no_page(browser, person, make, services, admin):
    """But for those who see it."""
    jobset = make.jobset("secret")
    make.build(BuildStatus.RUNNING, jobset=jobset)
    make.build(BuildStatus.FAILED, jobset=jobset)
    private = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(admin, "secret", private)
    for path in (*PATHS[1:4], "/search?query=build"):
        assert "secret / main" not in browser.page(path).text, path
        assert "secret / main" in person.page(path).text, path


def test_a_search_keeps_what_was_written(browser):
    """Also one that cannot be used."""
    for query, status_code in (("ros%C3%A9", 200), ("%3Cb%3E", 400)):
        answer = browser.get(f"/search?query={query}")
        assert answer.status_code == status_code
        values = [one.get("value") for one in browser.parse(answer.text).all("input")]
        assert ("ros\u00e9" if status_code == 200 else "<b>") in values
