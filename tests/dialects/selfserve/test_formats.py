"""JSON or a page, methods that a form names, and where browsers are led."""

import json
from html.parser import HTMLParser

import pytest

from ciserver.model.status import BuildStatus

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}


class Shown(HTMLParser):
    """The text of the one <pre> of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.pre, self.within = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.within = self.within or tag == "pre"

    def handle_endtag(self, tag):
        self.within = self.within and tag != "pre"

    def handle_data(self, data):
        self.pre += data if self.within else ""


def is_page(answer):
    return answer.headers["content-type"] == "text/html; charset=utf-8"


def shown(answer):
    page = Shown(answer.text)
    assert is_page(answer)
    assert answer.text.startswith("<!doctype html>")
    assert page.tags.count("pre") == 1
    return json.loads(page.pre)


@pytest.fixture
def done(factory, main):
    return factory.build(BuildStatus.SUCCEEDED, jobset=main, name="a <b> & 'c'")


@pytest.mark.parametrize(
    ("accept", "query", "as_json"),
    [
        (None, "", False),
        ("*/*", "", False),
        ("text/html", "", False),
        ("application/json", "", True),
        ("text/html;q=0.9, application/json;q=0.1", "", True),
        ("text/html", "?format=json", True),
        ("application/json", "?format=html", False),
        ("application/json", "?format=", True),
        ("text/html", "?format=", False),
    ],
)
def test_the_format_goes_before_accept(stranger, done, accept, query, as_json):
    """Accept is searched for the type, whatever its qualities say; a page is usual."""
    headers = {"Accept": accept} if accept else {}
    for path in ("/main", "/branches", "/jobs", "/main/nothing", "/nowhere"):
        answer = stranger.ask("GET", path + query, headers=headers)
        assert (answer.headers["content-type"] == "application/json") == as_json
        assert is_page(answer) != as_json


def test_a_page_holds_the_same_as_json(stranger, done):
    """Where nothing is made for people; escaped, whatever the names are."""
    for path in ("/branches", "/main/build/1", "/main/request/1", "/main/builders"):
        page = stranger.ask("GET", path, headers=HTML)
        assert shown(page) == stranger.read(path)
        assert "<b>" not in page.text
    path = f"/main/rev/{done.revision}/is_done"
    assert shown(stranger.ask("GET", path, headers=HTML)) == stranger.read(path)


def test_a_refusal_for_a_browser_is_a_page(stranger):
    """With the same status and message as for programs."""
    answer = stranger.ask("GET", "/<script>", headers=HTML)
    assert answer.status_code == 404
    assert shown(answer) == {"status": "FAILED", "msg": "Branch <script> not found"}
    assert "<script>" not in answer.text


def test_pages_keep_the_headers_that_keep_browsers_safe(stranger, main):
    """As all of our pages do."""
    for path in ("", "/main", "/nowhere"):
        headers = stranger.ask("GET", path, headers=HTML).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]


def test_the_root_is_a_page_for_everybody(stranger):
    """Programs, too."""
    for headers in (JSON, HTML, {}):
        assert is_page(stranger.ask("GET", "?format=json", headers=headers))


def test_head_is_get_without_a_body(stranger, done):
    """The same status."""
    for path, status in (("/main", 200), ("/nowhere", 404)):
        answer = stranger.ask("HEAD", path)
        assert (answer.status_code, answer.content) == (status, b"")


def test_a_slash_at_the_end_is_taken_away(stranger, main):
    """By a redirect that keeps the query."""
    answer = stranger.ask("GET", "/main/?format=json")
    assert (answer.status_code, answer.headers["location"]) == (301, "/self-serve/main?format=json")


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("POST", "/main/build", {"build_id": 1}),
        ("DELETE", "/main/build/1", {}),
        ("POST", f"/main/rev/{'9' * 40}", {}),
        ("POST", f"/main/rev/{'9' * 40}/nightly", {}),
    ],
)
def test_a_browser_is_led_to_the_job(ada, done, method, path, form):
    """A client that names neither a format nor JSON; others get 202."""
    for headers in ({}, HTML, {"Accept": "*/*"}):
        answer = ada.ask(method, path, form=form, headers=headers)
        request_id = shown(answer)["request_id"]
        assert answer.status_code == 302
        assert answer.headers["location"] == f"/self-serve/jobs/{request_id}"
    for query, headers in (("", JSON), ("?format=json", HTML), ("?format=html", {})):
        answer = ada.ask(method, path + query, form=form, headers=headers)
        assert (answer.status_code, answer.headers.get("location")) == (202, None)
    assert shown(answer)["status"] == "OK"


@pytest.mark.parametrize("name", ["DELETE", "delete", "Delete"])
def test_a_form_names_another_method(ada, done, name):
    """In its body or in the query, in letters of either case."""
    made = ada.change("POST", f"/main/build/{done.id}", _method=name)
    assert ada.read(f"/jobs/{made}")["action"] == "cancel_build"
    made = ada.change("POST", f"/main/request/{done.id}?_method={name}")
    assert ada.read(f"/jobs/{made}")["action"] == "cancel_request"
    made = ada.change("POST", f"/main/rev/{done.revision}", _method=name)
    assert ada.read(f"/jobs/{made}")["action"] == "cancel_revision"


def test_a_form_puts(ada, factory, main):
    """With its other fields."""
    build = factory.build(jobset=main)
    made = ada.change("POST", f"/main/request/{build.id}", _method="put", priority=6)
    assert ada.read(f"/jobs/{made}")["what"] == {"brid": build.id, "priority": 6}


def test_a_form_that_names_post_posts(ada, done):
    """The method that it has."""
    made = ada.change("POST", "/main/build", _method="POST", build_id=done.id)
    assert ada.read(f"/jobs/{made}")["action"] == "rebuild_build"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_a_post_names_another_method(ada, factory, main, method):
    """Least of all a link that somebody follows."""
    build = factory.build(jobset=main)
    other = "DELETE" if method == "PUT" else "PUT"
    if method in {"GET", "HEAD"}:
        other = "DELETE"
    ada.ask(method, f"/main/request/{build.id}?_method={other}", form={"priority": 1})
    done = {"GET": [], "HEAD": [], "PUT": ["reprioritize"], "DELETE": ["cancel_request"]}
    assert [one["action"] for one in ada.read("/jobs")] == done[method]
