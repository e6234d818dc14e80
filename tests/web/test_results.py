"""The directory of a build's results: what is listed there and what is served."""

import pytest

from ciserver.model.account import Visibility
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus

ODD = "ä #%?&<b>.txt"


def links(page):
    return {one["title"]: one["href"] for one in page.all("a") if "/results/" in one["href"]}


def test_the_directory_lists_logs_and_products(works, browser):
    """Of the steps that began and of what was made, with their sizes."""
    lease = works.running()
    works.log(lease, b"built\n")
    works.product(lease, path="out/a.txt", content=b"x" * 1234)
    page = browser.page("/build/1/results/")
    assert links(page) == {
        "setup.log": "/build/1/results/setup.log",
        "build.log": "/build/1/results/build.log",
        "a.txt": "/build/1/results/a.txt",
    }
    for text in ("6 bytes", "1.2 kB", "out/a.txt", "log of build"):
        assert text in page.text


def test_every_listed_file_is_served(works, browser):
    """Logs to be read, products to be saved; whole and by range; whatever they are called."""
    lease = works.running()
    works.log(lease, b"built\n")
    works.product(lease, path=f"out/{ODD}", content=b"made\n")
    works.finish(lease)
    found = links(browser.page("/build/1/results/"))
    log = browser.get(found["build.log"])
    assert (log.content, log.headers["content-type"]) == (b"built\n", "text/plain; charset=utf-8")
    assert "content-disposition" not in log.headers
    product = browser.get(found[ODD])
    assert product.content == b"made\n"
    assert product.headers["content-type"] == "application/octet-stream"
    assert product.headers["content-disposition"].startswith("attachment;")
    for answer in (log, product):
        assert "sandbox" in answer.headers["content-security-policy"]
    part = browser.get(found["build.log"], headers={"Range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, b"bu")
    assert browser.get(found["setup.log"]).content == b""


def test_files_of_one_name_are_all_there(works, browser):
    """A log keeps its name; of products, the first one does where no log has it."""
    lease = works.running()
    works.log(lease, b"the log\n")
    contents = {"a/x.txt": b"1", "b/x.txt": b"2", "c/2-x.txt": b"3", "d/x.txt": b"4"}
    for path, content in {**contents, "build.log": b"a product"}.items():
        works.product(lease, path=path, content=content)
    found = links(browser.page("/build/1/results/"))
    served = {name: browser.get(path).content for name, path in found.items()}
    assert served == {
        "setup.log": b"",
        "build.log": b"the log\n",
        "x.txt": b"1",
        "2-x.txt": b"2",
        "2-2-x.txt": b"3",
        "3-x.txt": b"4",
        "2-build.log": b"a product",
    }


def test_before_the_start_there_is_nothing(works, browser):
    """The directory is there and says so."""
    works.build()
    page = browser.page("/build/1/results/")
    assert links(page) == {}
    assert "Nothing is here yet" in page.text


def test_the_newest_attempt_counts(works, browser, services, admin):
    """What an earlier one left is on the page of the build."""
    lease = works.running()
    works.product(lease, path="old.txt")
    works.log(lease, b"first\n")
    works.finish(lease, BuildStatus.FAILED)
    services.builds.rerun(admin, 1)
    again = works.claim()
    works.log(again, b"second\n")
    found = links(browser.page("/build/1/results/"))
    assert set(found) == {"setup.log", "build.log"}
    assert browser.get(found["build.log"]).content == b"second\n"
    assert browser.get("/build/1/results/old.txt").status_code == 404


def test_a_kept_copy_of_a_product_is_asked_about(works, browser):
    """It is sent again only when another attempt left another file of its name."""
    works.finished()
    first = browser.get("/build/1/results/a.txt")
    assert first.headers["cache-control"] == "private, no-cache"
    again = browser.get("/build/1/results/a.txt", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "private, no-cache")


@pytest.mark.parametrize(
    "path",
    [
        "/build/2/results/",
        "/build/2/results/build.log",
        "/build/1/results/none",
        "/build/1/results/test.log",
        "/build/1/results/..%2Fbuild.log",
        "/build/1/results/build.log%00",
        "/build/1/results/a/b",
    ],
)
def test_what_is_not_there(works, browser, path):
    """Unknown builds and files, and steps that have not begun."""
    works.running()
    assert browser.get(path).status_code == 404


def test_a_number_that_is_none_is_refused(browser):
    """As on every page of a build."""
    for path in ("/build/x/results/", f"/build/{2**63}/results/a"):
        assert browser.get(path).status_code == 400


def test_results_of_a_private_project_are_for_its_people(works, browser, person, services, admin):
    """Directory and files: for others they are not there."""
    works.finished()
    settings = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(admin, "project", settings)
    for path in ("/build/1/results/", "/build/1/results/build.log", "/build/1/results/a.txt"):
        assert browser.get(path).status_code == 404
        assert person.get(path).status_code == 200
