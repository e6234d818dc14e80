"""Products by number, name and type, within directories, and what lies in archives."""

import gzip
import io
import os
import zipfile

import pytest
from support.storages import on_both_storages

from ciserver.executor.archive import write_archive
from ciserver.model.account import Visibility
from ciserver.model.build import Output, ProductKind
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus

STORE = "/nix/store/" + "a" * 32
REPORT = ProductKind("report", "coverage", "html/index.html")
FILES = {
    "index.html": "<h1>Start</h1>",
    "html/index.html": "<h1>Coverage</h1>",
    "html/style.css": "h1 {}",
    "html/größe 100%?.txt": "odd",
    "empty/.keep": "",
}
LINKS = {
    "latest": "html",
    "html/up.html": "../index.html",
    "out": "../secret",
    "far": "/etc/passwd",
    "self": "self",
    "gone": "nothing",
}


@pytest.fixture
def report(tmp_path):
    """A directory with files and links, as it is kept."""
    place = tmp_path / "cover"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    for name, target in LINKS.items():
        (place / name).symlink_to(target)
    content = io.BytesIO()
    folder = os.open(place, os.O_RDONLY)
    write_archive(folder, "cover", content, most_bytes=1e6)
    os.close(folder)
    content.seek(0)
    return content


@pytest.fixture
def made(works, report):
    """A build with a page, a directory and a program; answers its lease."""
    lease = works.running()
    works.product(lease, "out/a page.html", b"<script>alert(1)</script>")
    add = works.parts.reporter.add_product
    add(lease, f"{STORE}-cover", report, kind=REPORT, name="cover.tar")
    add(lease, "/out/tool", io.BytesIO(b"\x7fELF"), kind=ProductKind("file", "binary-dist"))
    works.finish(lease)
    return lease


def location(answer):
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("download", "download/1/a%20page.html"),
        ("download/1", "download/1/a%20page.html"),
        ("download/1/other-name", "download/1/a%20page.html"),
        ("download/2", "download/2/cover/html/index.html"),
        ("download/3", "download/3/tool"),
        ("download/2/cover", "download/2/cover/"),
        ("download/2/cover/html", "download/2/cover/html/"),
        ("download/2/cover/latest", "download/2/cover/latest/"),
        ("download/2/other/html/style.css", "download/2/cover/html/style.css"),
        ("download-by-type/report/coverage", "download/2/cover/html/index.html"),
        ("download-by-type/report/coverage/html/style.css", "download/2/cover/html/style.css"),
        ("download-by-type/file/binary-dist", "download/3/tool"),
        ("download/2/cover/empty/", "contents/2"),
        ("output/out", "results/"),
    ],
)
def test_a_product_has_one_address(made, stranger, asked, canonical):
    """Others lead there, from a directory to the page to begin with."""
    assert location(stranger.get(f"/build/1/{asked}")) == f"/build/1/{canonical}"


SERVED = {
    "1/a page.html": (b"<script>alert(1)</script>", "text/html; charset=utf-8"),
    "a page.html": (b"<script>alert(1)</script>", "text/html; charset=utf-8"),
    "3/tool": (b"\x7fELF", "application/octet-stream"),
    "2/cover/": (b"<h1>Start</h1>", "text/html; charset=utf-8"),
    "2/cover/html/": (b"<h1>Coverage</h1>", "text/html; charset=utf-8"),
    "2/cover/html/style.css": (b"h1 {}", "text/css; charset=utf-8"),
    "cover/html/style.css": (b"h1 {}", "text/css; charset=utf-8"),
    "2/cover/html/größe 100%25%3F.txt": (b"odd", "text/plain; charset=utf-8"),
    "2/cover/latest/style.css": (b"h1 {}", "text/css; charset=utf-8"),
    "2/cover/html/up.html": (b"<h1>Start</h1>", "text/html; charset=utf-8"),
    "2/cover/empty/.keep": (b"", "application/octet-stream"),
}


@pytest.mark.parametrize("path", SERVED)
def test_what_a_build_wrote_is_shown_as_the_page_of_nobody(made, stranger, path):
    """Its scripts run, and reach nothing of ours."""
    answer = stranger.get(f"/build/1/download/{path}")
    assert (answer.content, answer.headers["content-type"]) == SERVED[path]
    assert answer.headers["content-security-policy"] == "sandbox allow-scripts"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    head = stranger.request("HEAD", f"/build/1/download/{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(SERVED[path][0]))


@on_both_storages
def test_a_directory_is_to_be_had_as_it_is_kept(made, report, stranger):
    answer = stranger.get("/build/1/download/2/cover.tar")
    assert (answer.content, answer.headers["content-type"]) == (
        report.getvalue(),
        "application/x-tar",
    )


@pytest.mark.parametrize("path", ["1/a page.html", "2/cover/html/style.css"])
def test_what_is_known_already_is_not_sent_again(made, stranger, clock, path):
    """By its tag, or where the client names none by the time when the build ended."""
    path = f"/build/1/download/{path}"
    first = stranger.get(path)
    tag, ended = first.headers["etag"], first.headers["last-modified"]
    assert ended == clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT")
    for known in ({"If-None-Match": tag}, {"If-Modified-Since": ended}):
        answer = stranger.get(path, headers=known)
        assert (answer.status_code, answer.content) == (304, b""), known
    for other in (
        {"If-None-Match": '"other"', "If-Modified-Since": ended},
        {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
    ):
        assert stranger.get(path, headers=other).status_code == 200, other


@on_both_storages
def test_a_part_is_sent_of_what_is_still_the_same(made, stranger):
    """Whoever has the beginning of something else gets the whole."""
    path = "/build/1/download/2/cover/html/index.html"
    tag = stranger.get(path).headers["etag"]
    part = stranger.get(path, headers={"Range": "bytes=4-7", "If-Range": tag})
    assert (part.status_code, part.content) == (206, b"Cove")
    assert part.headers["content-range"] == "bytes 4-7/17"
    whole = stranger.get(path, headers={"Range": "bytes=4-7", "If-Range": '"other"'})
    assert (whole.status_code, whole.content) == (200, b"<h1>Coverage</h1>")


MISSING = {
    "download/4": "Build doesn't have a product 4.",
    "download/0": "Build doesn't have a product 0.",
    "download/none.txt": "Build doesn't have a product none.txt.",
    "download/1/a page.html/": "a page.html is a file",
    "download/1/a page.html/x": "a page.html is a file",
    "download/2/cover/none": "there is no none in this product",
    "download/2/cover/html/style.css/": "style.css is a file",
    "download/2/cover/html/style.css/x": "there is no html/style.css/x",
    "download/2/cover/out": "there is no out",
    "download/2/cover/far": "there is no far",
    "download/2/cover/self": "there is no self",
    "download/2/cover/gone": "there is no gone",
    "download/2/cover/../../secret": "there is no ../../secret",
    "download/2/cover/%2e%2e/secret": "there is no ../secret",
    "download-by-type/doc/manual": "Build doesn't have a build product with type doc/manual.",
    "output/doc": "Build doesn't have an output doc; known are none.",
    "contents/4": "Build doesn't have a product 4.",
    "contents/3": "it is no archive of a kind that is known here",
}


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_said(made, stranger, browser, path):
    """To programs as to people; no link leads out of a directory."""
    for answer in (stranger.get(f"/build/1/{path}"), browser.get(f"/build/1/{path}")):
        assert answer.status_code == 404
    told = stranger.get(f"/build/1/{path}", headers={"Accept": "application/json"}).json["error"]
    assert MISSING[path] in told


def test_outputs_of_a_derivation(works, report, stranger):
    """One that is kept as a whole leads there; of others it is said that they are not."""
    lease = works.running()
    paths = {"out": f"{STORE}-cover", "dev": f"{STORE}-dev"}
    works.parts.reporter.set_output(lease, Output("", f"{STORE}-x.drv", paths))
    works.parts.reporter.add_product(
        lease, paths["out"], report, kind=ProductKind("nix-build"), name="cover.tar"
    )
    works.finish(lease)
    assert location(stranger.get("/build/1/output/out")) == "/build/1/download/1/cover.tar"
    gone = stranger.get("/build/1/output/dev", headers={"Accept": "application/json"})
    assert (gone.status_code, paths["dev"] in gone.json["error"]) == (410, True)
    known = stranger.get("/build/1/output/doc", headers={"Accept": "application/json"})
    assert "known are out, dev" in known.json["error"]


# -- what lies in archives ------------------------------------------------------------------------


@on_both_storages
def test_a_directory_is_listed_with_links_to_its_files(made, browser):
    page = browser.page("/build/1/contents/2")
    links = {
        one["title"]: one["href"]
        for one in page.all("a")
        if "/download/" in one["href"] and "title" in one
    }
    assert {one.removeprefix("cover/") for one in links} >= FILES.keys() | LINKS.keys()
    for name, text in FILES.items():
        assert browser.get(links[f"cover/{name}"]).text == text
    assert "to ../secret" in page.text


@on_both_storages
def test_an_archive_of_any_kind_is_listed(works, browser):
    """Its names may be anything."""
    lease = works.running()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("<b>bold</b>.txt", b"x" * 1234)
    works.product(lease, "a.zip", target.getvalue())
    works.product(lease, "b.txt.gz", gzip.compress(b"Hello"))
    works.finish(lease)
    page = browser.page("/build/1/contents/a.zip")
    assert "<b>bold</b>.txt" in page.text
    assert "1.2 kB" in page.text
    answer = browser.get("/build/1/contents/b.txt.gz")
    assert (answer.status_code, "cannot be told" in answer.text) == (404, True)


def test_the_newest_attempt_counts(works, browser, services, admin):
    """Numbers are those of what it made."""
    lease = works.running()
    works.product(lease, "old.txt")
    works.finish(lease, BuildStatus.FAILED)
    services.builds.rerun(admin, 1)
    again = works.claim()
    works.product(again, "new.txt")
    works.finish(again)
    assert location(browser.get("/build/1/download")) == "/build/1/download/1/new.txt"
    assert browser.get("/build/1/download/old.txt").status_code == 404


def test_products_of_a_private_project_are_for_its_people(made, browser, person, services, admin):
    settings = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(admin, "project", settings)
    for path in ("download", "download/3/tool", "download/2/cover/", "contents/2", "output/out"):
        assert browser.get(f"/build/1/{path}").status_code == 404
        assert person.get(f"/build/1/{path}").status_code in {200, 302}
