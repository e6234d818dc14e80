"""What cannot be done, in the order in which it is looked at, always in self-serve's shape."""

import contextlib
import sqlite3

import pytest
from falcon.testing import TestClient
from support.factories import ADMIN

from ciserver.edge.bodies import LIMIT
from ciserver.model.status import BuildStatus

REVISION = "9" * 40
TYPE = "Content-Type"
BOUNDARY = "multipart/form-data; boundary=x"
JSON = {"Accept": "application/json"}
CHANGES = [
    ("POST", "/main/build"),
    ("POST", "/main/request"),
    ("PUT", "/main/request/1"),
    ("DELETE", "/main/request/1"),
    ("DELETE", "/main/build/1"),
    ("DELETE", f"/main/rev/{REVISION}"),
    ("POST", f"/main/rev/{REVISION}"),
    ("POST", f"/main/rev/{REVISION}/nightly"),
    ("POST", f"/main/rev/{REVISION}/pgo"),
    ("POST", f"/main/builders/linux64/{REVISION}"),
]


@pytest.fixture
def done(factory, main):
    """Build 1."""
    return factory.build(BuildStatus.SUCCEEDED, jobset=main, name="linux64")


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_an_unknown_branch_goes_before_other_faults(ada, main, method, path):
    """Whatever else is wrong."""
    path = path.replace("/main", "/nowhere", 1)
    fault = ada.refusal(method, path, form={"priority": "x", "build_id": "x"})
    assert fault == (404, "Branch nowhere not found")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/builders", "/user/ada", "/build/x", "/request/x", "/rev/x", "/rev/x/is_done"),
        "?date=x",
    ],
)
def test_reading_an_unknown_branch(stranger, path):
    """Before its other names are looked at."""
    assert stranger.refusal("GET", f"/nowhere{path}") == (404, "Branch nowhere not found")


@pytest.mark.parametrize(
    ("method", "path", "form", "message"),
    [
        ("POST", "/main/build", {}, "Bad build_id"),
        ("POST", "/main/build", {"build_id": ""}, "Bad build_id"),
        ("POST", "/main/build", {"build_id": "x", "priority": "x"}, "Bad build_id"),
        ("POST", "/main/build", {"build_id": "1.0"}, "Bad build_id"),
        ("POST", "/main/build", {"build_id": "\u0661"}, "Bad build_id"),
        ("POST", "/main/build", {"build_id": "9" * 5000}, "Bad build_id"),
        ("POST", "/main/build", {"build_id": "9", "priority": "1.5"}, "Bad priority"),
        ("POST", "/main/build", {"build_id": "9", "count": "x"}, "Bad count"),
        ("POST", "/main/build", {"build_id": "1", "count": "0"}, "Bad count: must be 1 to 100"),
        ("POST", "/main/build", {"build_id": "1", "count": "101"}, "Bad count: must be 1 to 100"),
        ("POST", "/main/build", {"build_id": "9", "count": "-1"}, "Bad count: must be 1 to 100"),
        (
            *("POST", "/main/build", {"build_id": "9", "priority": "9" * 9, "count": "x"}),
            "Bad priority: must be -1000000 to 1000000",
        ),
        ("POST", "/main/request", {}, "Bad request_id"),
        ("POST", "/main/request", {"request_id": "1", "priority": "x"}, "Bad priority"),
        ("POST", "/main/request", {"request_id": "1", "count": "1e3"}, "Bad count"),
        ("PUT", "/main/request/1", {}, "Bad priority"),
        ("PUT", "/main/request/1", {"priority": ""}, "Bad priority"),
        ("PUT", "/main/request/x", {"priority": "x"}, "Bad priority"),
        ("PUT", "/main/request/x", {"priority": "1"}, "Non-integer request_id"),
        ("DELETE", "/main/request/x", {}, "Non-integer request_id"),
        ("DELETE", "/main/request/1.0", {}, "Non-integer request_id"),
        ("DELETE", f"/main/request/{'9' * 30}", {}, "Non-integer request_id"),
        ("DELETE", "/main/build/x", {}, "Non-integer build_id"),
        ("POST", f"/main/rev/{REVISION}/nightly", {"priority": "high"}, "Bad priority"),
        ("POST", f"/main/rev/{REVISION}/pgo", {"priority": "high"}, "Bad priority"),
        ("POST", "/main/builders/none/x", {"priority": "high"}, "Bad priority"),
        ("POST", f"/main/builders/none/{REVISION}", {}, "Unknown builder none"),
        ("GET", "/main?date=yesterday", None, "Bad date (write YYYY-MM-DD)"),
        ("GET", "/main?date=20260301", None, "Bad date (write YYYY-MM-DD)"),
        ("GET", "/main?date=2026-02-30", None, "Bad date (write YYYY-MM-DD)"),
        ("GET", "/main?date=9999-12-31", None, "Bad date (write YYYY-MM-DD)"),
        ("GET", "/main/build/x", None, "Non-integer build_id"),
        ("GET", "/main/request/x", None, "Non-integer request_id"),
        ("GET", "/jobs/x", None, "Non-integer job_id"),
        ("GET", "/main?format=xml", None, "Bad format (json and html are known)"),
        ("DELETE", "/main/build/1?format=xml", {}, "Bad format (json and html are known)"),
    ],
)
def test_bad_values(ada, services, done, method, path, form, message):
    """400 with the name of the first that is wrong, and nothing is asked for."""
    assert ada.refusal(method, path, form=form) == (400, message)
    assert ada.read("/jobs") == []


def test_the_limit_of_rebuilds_is_configured(make_app, make_caller, done):
    """Nobody asks for more at once."""
    ada = make_caller("ada", "*", admin=True)
    ada.client = TestClient(make_app(most_rebuilds=2))
    refused = ada.refusal("POST", "/main/build", form={"build_id": 1, "count": 3})
    assert refused == (400, "Bad count: must be 1 to 2")
    ada.change("POST", "/main/build", build_id=1, count=2)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("revision", ["tip", "abc", "%25", "abcd%25", "*", "0x12", "a" * 65])
def test_a_change_needs_digits_of_a_revision(ada, main, method, revision):
    """At least four, at most all; wildcards are none."""
    message = "Bad revision (write at least four of its hexadecimal digits)"
    assert ada.refusal(method, f"/main/rev/{revision}") == (400, message)


@pytest.mark.parametrize("revision", ["tip", "000", "%25", "0000%25", "*", "a" * 40])
def test_a_revision_without_builds_is_not_found(stranger, done, revision):
    """Nor is what can be none."""
    shown = revision.replace("%25", "%")
    missing = (404, f"Revision {shown} not found on branch main")
    assert stranger.refusal("GET", f"/main/rev/{revision}") == missing
    assert stranger.refusal("GET", f"/main/rev/{revision}/is_done") == missing


def test_a_part_of_a_revision_must_be_known_and_clear(ada, main, factory):
    """404 for none, 400 for several."""
    factory.build(jobset=main)
    factory.build(jobset=main)
    for path in ("", "/nightly", "/pgo"):
        missing = (404, "Revision abcd not found on branch main")
        assert ada.refusal("POST", f"/main/rev/abcd{path}") == missing
        assert ada.refusal("POST", f"/main/rev/0000{path}")[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "form", "message"),
    [
        ("GET", "/main/build/7", None, "Build 7 not found on branch main"),
        ("GET", "/main/build/-1", None, "Build -1 not found on branch main"),
        ("GET", "/main/request/7", None, "Request 7 not found on branch main"),
        ("GET", "/jobs/99", None, "Job 99 not found"),
        ("POST", "/main/build", {"build_id": 7}, "Build 7 not found on branch main"),
        ("POST", "/main/request", {"request_id": 7}, "Request 7 not found on branch main"),
        ("PUT", "/main/request/7", {"priority": 1}, "Request 7 not found on branch main"),
        ("DELETE", "/main/request/7", {}, "Request 7 not found on branch main"),
        ("DELETE", "/main/build/7", {}, "Build 7 not found on branch main"),
        ("DELETE", f"/main/build/{'9' * 18}", {}, f"Build {'9' * 18} not found on branch main"),
    ],
)
def test_what_is_not_there(ada, done, method, path, form, message):
    """404 in self-serve's words."""
    assert ada.refusal(method, path, form=form) == (404, message)


@pytest.mark.parametrize("path", ["/main/nothing", "/jobs/1/2", "/main/rev/abcd/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_paths_that_self_serve_does_not_know(ada, done, method, path):
    """404 in its shape."""
    assert ada.refusal(method, path)[0] == 404


def test_what_is_of_another_branch_is_not_there(ada, factory, done):
    """Under its own branch alone."""
    other = factory.build(BuildStatus.RUNNING, jobset=factory.jobset())
    for path in (f"/main/build/{other.id}", f"/main/request/{other.id}"):
        assert ada.refusal("GET", path)[0] == 404
        assert ada.refusal("DELETE", path)[0] == 404
        assert ada.ask("GET", path.replace("/main", f"/{other.project}:main")).status_code == 200
    assert ada.refusal("POST", "/main/build", form={"build_id": other.id})[0] == 404


def test_what_waits_has_no_build(ada, factory, main):
    """It is canceled and rebuilt as a request."""
    waiting = factory.build(jobset=main)
    missing = (404, f"Build {waiting.id} not found on branch main")
    assert ada.refusal("DELETE", f"/main/build/{waiting.id}") == missing
    assert ada.refusal("POST", "/main/build", form={"build_id": waiting.id}) == missing


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (BuildStatus.RUNNING, "Request is already running"),
        (BuildStatus.SUCCEEDED, "Request already complete"),
        (BuildStatus.CANCELED, "Request already complete"),
    ],
)
def test_what_waits_no_more_cannot_be_given_a_priority(ada, factory, main, status, message):
    """400, in the original's words."""
    build = factory.build(status, jobset=main)
    refused = ada.refusal("PUT", f"/main/request/{build.id}", form={"priority": 1})
    assert refused == (400, message)


def test_priorities_have_bounds(make_caller, services, factory, main):
    """Those of the core, which says what they are."""
    member = make_caller("grace", "*")
    services.projects.set_member(ADMIN, main.project, "grace", frozenset({"bump", "evaluate"}))
    build = factory.build(jobset=main)
    for priority in (11, -(10**17)):
        status, message = member.refusal(
            "PUT", f"/main/request/{build.id}", form={"priority": priority}
        )
        assert (status, message[:14]) == (400, "Bad priority: ")


@pytest.mark.parametrize(
    ("properties", "files", "told"),
    [
        ("{", "", ["Bad properties: must be an object in JSON"]),
        ("[]", "", ["Bad properties: must be an object"]),
        ("null", "", ["Bad properties: must be an object"]),
        ("", "{}", ["Bad files: must be a list"]),
        ("", "x", ["Bad files: must be a list in JSON"]),
        ("{", "{", ["Bad properties", "Bad files"]),
        ('{"a-b": "1", "2c": "2", "": "3"}', "", ["'a-b'", "'2c'", "''"]),
        ('{"é": "1"}', "", ["'é'"]),
        ('{"\\ud800": "1"}', "", ["'\\ud800'"]),
        ('{"a\\nb": 1}', "", ["'a\\nb'"]),
        ('{"CISERVER_X": "1"}', "", ["'CISERVER_X' is reserved"]),
        ('{"PATH": "1", "a": []}', "", ["Bad properties: 'PATH' is reserved", "'a' must be"]),
        ('{"SELFSERVE_FILES": "1"}', "", ["'SELFSERVE_FILES' is reserved"]),
        ('{"a": null, "b": [1], "c": {}}', "", ["'a'", "'b'", "'c'"]),
        ('{"a": "x\\u0000"}', "", ["'a' has a character"]),
        ('{"a": "\\ud800"}', "", ["'a' has a character"]),
        ("", '["a", 1]', ["Bad files: must be a list of texts"]),
        ("", '["\\udfff"]', ["Bad files: must be a list of texts"]),
        ("[" * 60_000, "", ["Bad properties"]),
        ('{"a": "' + "x" * 70_000 + '"}', "", ["Bad properties: must be at most 64 KiB"]),
        ('{"a": 1' + "0" * 5000 + "}", "", ["Bad properties"]),
    ],
    ids=range(21),
)
def test_bad_properties_and_files(ada, done, properties, files, told):
    """Every fault is named, with the name of the property."""
    form = {"properties": properties, "files": files}
    status, message = ada.refusal("POST", f"/main/builders/linux64/{REVISION}", form=form)
    assert status == 400
    for part in told:
        assert part in message


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ('{"build_id": 1}', "application/json", 400),
        ("build_id=1", "text/plain", 400),
        ("build_id=1", None, 400),
        ("<x/>", "application/xml", 400),
        ("--x\r\nbroken", BOUNDARY, 400),
        ("", "multipart/form-data", 400),
        (
            '--x\r\nContent-Disposition: form-data; name="é\x80"\r\n\r\n1\r\n--x--\r\n',
            BOUNDARY,
            400,
        ),
        ("x" * (LIMIT + 1), "application/x-www-form-urlencoded", 413),
        ("x" * (LIMIT + 1), "application/json", 413),
    ],
    ids=range(9),
)
def test_bad_bodies(ada, done, body, content_type, status):
    """Only forms are read, and they have a limit."""
    headers = {**JSON, **({TYPE: content_type} if content_type else {})}
    body = body.encode("latin-1")
    refused = ada.refusal("POST", "/main/build", headers=headers, body=body)
    assert refused[0] == status


def test_a_form_of_several_parts(ada, done):
    """What browsers send for files is a form, too."""
    body = (
        '--x\r\nContent-Disposition: form-data; name="build_id"\r\n\r\n1\r\n'
        '--x\r\nContent-Disposition: form-data; name="priority"\r\n\r\n4\r\n--x--\r\n'
    )
    answer = ada.ask("POST", "/main/build", headers={**JSON, TYPE: BOUNDARY}, body=body)
    assert answer.status_code == 202
    assert ada.read("/jobs")[0]["what"] == {"bid": 1, "priority": 4, "count": 1}


def test_parameters_count_in_the_body_alone(ada, done):
    """Not in the query, where links would carry them."""
    assert ada.refusal("POST", "/main/build?build_id=1") == (400, "Bad build_id")
    made = ada.ask("POST", "/main/build?priority=9", form={"build_id": 1}).json["request_id"]
    assert ada.read(f"/jobs/{made}")["what"]["priority"] == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "", {"GET"}),
        ("DELETE", "/jobs", {"GET"}),
        ("PUT", "/branches", {"GET"}),
        ("POST", "/jobs/1", {"GET"}),
        ("DELETE", "/main", {"GET"}),
        ("GET", "/main/build", {"POST"}),
        ("PUT", "/main/build", {"POST"}),
        ("GET", f"/main/builders/linux64/{REVISION}", {"POST"}),
        ("PUT", "/main/build/1", {"GET", "POST", "DELETE"}),
        ("PUT", f"/main/rev/{REVISION}", {"GET", "POST", "DELETE"}),
        ("PATCH", "/main/request/1", {"GET", "POST", "PUT", "DELETE"}),
        ("POST", "/main/request/1", {"GET", "PUT", "DELETE"}),
        ("POST", "/main/build/1", {"GET", "DELETE"}),
        ("POST", "/main/build?_method=DELETE", {"POST"}),
        ("POST", f"/main/rev/{REVISION}/nightly?_method=DELETE", {"POST"}),
        ("POST", "/main/request/1?_method=GET", {"GET", "PUT", "DELETE"}),
    ],
)
def test_wrong_methods(ada, done, method, path, allowed):
    """405, and which ones are right."""
    answer = ada.ask(method, path)
    assert (answer.status_code, answer.json["status"]) == (405, "FAILED")
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == allowed


def test_a_request_that_cannot_be_stored(ada, parts, done):
    """503, to be tried again; for the calls that make new builds, too."""
    parts.store.database.sql("PRAGMA busy_timeout = 10")
    held = sqlite3.connect(parts.store.database.place, isolation_level=None)
    with contextlib.closing(held):
        held.execute("BEGIN IMMEDIATE")
        for method, path in CHANGES:
            form = {"build_id": 1, "request_id": 1, "priority": 1}
            if method == "PUT":
                continue  # build 1 has ended, which is found first
            status, message = ada.refusal(method, path, form=form)
            assert (status, "held by another process" in message) == (503, True), path
    assert ada.read("/jobs") == []
    assert ada.ask("POST", "/main/build", form={"build_id": 1}).status_code == 202


def test_a_crash_is_told_in_the_same_shape(parts, done):
    """With an incident and nothing else."""
    parts.store.database.sql("ALTER TABLE jobsets RENAME TO gone")
    answer = TestClient(parts.app).simulate_get("/self-serve/main", headers=JSON)
    assert (answer.status_code, answer.json["status"]) == (500, "FAILED")
    assert "incident" in answer.json["msg"]
    assert "gone" not in answer.text
