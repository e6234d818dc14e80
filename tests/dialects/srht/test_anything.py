"""Whatever is sent, the answer is in this dialect's shape, and never a crash."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIELDS = (
    "manifest",
    "note",
    "tags",
    "access:read",
    "access:write",
    "triggers",
    "execute",
    "secrets",
    "visibility",
    "jobs",
    "unknown",
)
KEYS = ("action", "condition", "url", "to", "cc", "image", "tasks")
ANYTHING = st.characters()  # lone surrogates too
TEXT = st.text(ANYTHING, max_size=20) | st.sampled_from(
    ["*", "~ada", "ada", "public", "PRIVATE", "email", "webhook", "https://example.org/", "\x00"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | TEXT, inner, max_size=4)
    ),
    max_leaves=8,
)
MANIFESTS = st.sampled_from(
    [
        "image: host\ntasks:\n  - build: echo\n",
        "image: host\ntasks:\n  - build: [1]\n",
        "image: &a [*a]\n",
        "{}",
        "",
    ]
)
TRIGGERS = st.fixed_dictionaries(
    {"action": st.just("webhook"), "url": st.just("https://example.org/ci")},
    optional={"condition": st.sampled_from(["success", "failure", "always"])},
)
LIKELY = st.fixed_dictionaries(
    {"manifest": st.just("image: host\ntasks:\n  - build: echo\n")},
    optional={
        "note": st.text(max_size=40),
        "tags": st.lists(st.text("aB1-_.:", min_size=1, max_size=5), max_size=3),
        "access:read": st.lists(st.sampled_from(["*", "ada", "~ada"]), max_size=3),
        "access:write": st.lists(st.sampled_from(["ada", "~ada"]), max_size=2),
        "triggers": st.lists(TRIGGERS, max_size=2),
        "execute": st.booleans(),
        "secrets": st.booleans(),
        "visibility": st.sampled_from(["PUBLIC", "unlisted", "Private"]),
        "unknown": st.text(max_size=5),
    },
)
BODIES = st.one_of(
    LIKELY.map(json.dumps),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6).map(json.dumps),
    st.builds(
        lambda fields, manifest: json.dumps({**fields, "manifest": manifest}),
        st.dictionaries(st.sampled_from(FIELDS[1:]), VALUES, max_size=3),
        MANIFESTS,
    ),
    VALUES.map(json.dumps),
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=20), max_size=4).map(
        lambda fields: "&".join(f"{name}={quote(text)}" for name, text in fields.items())
    ),
)
TYPES = st.sampled_from(
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "text/plain",
        "",
        ";;=",
        "a/b; q=",
    ]
)
PATHS = st.sampled_from(
    [
        "/api/jobs",
        "/api/jobs/",
        "/api/jobs/{}",
        "/api/jobs/{}/manifest",
        "/api/jobs/{}/artifacts",
        "/api/jobs/{}/start",
        "/api/jobs/{}/cancel",
        "/api/jobs/{}/{}",
        "/api/job-group",
        "/api/job-group/{}",
        "/api/job-group/{}/start",
        "/api/job-group/{}/cancel",
        "/logs/{}/log",
        "/logs/{}/{}/log",
        "/query",
        "/query/log/{}/log",
        "/query/log/{}/{}/log",
    ]
)
SEGMENTS = st.sampled_from(["1", "2", "3", "build", "setup", "99", "-1", ""]) | st.text(max_size=8)
QUERIES = st.one_of(
    st.just(""),
    st.text(max_size=12).map(lambda text: f"start={quote(text)}"),
    st.integers().map(lambda number: f"start={number}&start={number}"),
    st.text(st.sampled_from("start=&%0f;+[]"), max_size=12),
)
RANGES = st.sampled_from(
    ["", "bytes=0-", "bytes=5-1", "bytes=-0", "bytes=9999-", "lines=1-2", "bytes=0-1,4-5"]
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


@pytest.fixture
def server(ada, worker):
    """A program in front of a finished, a running and a pending job."""
    ada.submit(visibility="private")
    lease = worker.start()
    worker.log(lease, b"built\n")
    worker.product(lease)
    worker.finish(lease)
    ada.submit()
    worker.start()
    ada.submit(execute=False)
    return ada


@settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(METHODS, PATHS, SEGMENTS, SEGMENTS, QUERIES, BODIES, TYPES, RANGES)
def test_anything_is_answered(server, method, path, first, second, query, body, kind, range_):
    """JSON with errors that have reasons, or what was asked for."""
    answer = server.request(
        method,
        path.format(quote(first, safe=""), quote(second, safe="")),
        query_string=query,
        body=body,
        headers={"Content-Type": kind, "Range": range_},
    )
    assert answer.status_code < 500
    if answer.status_code >= 400 and answer.status_code != 416 and method != "HEAD":
        assert answer.headers["content-type"].startswith("application/json")
        assert list(answer.json) == ["errors"]
        assert answer.json["errors"]
        for one in answer.json["errors"]:
            assert one.keys() <= {"field", "reason"}
            assert one["reason"]
    if answer.status_code == 200 and path.startswith("/api/") and method != "OPTIONS":
        is_text = answer.headers["content-type"].startswith("text/plain")
        assert is_text == path.endswith("/manifest") or second == "manifest"


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(LIKELY)
def test_what_is_made_is_what_was_asked_for(server, fields):
    """And it is shown alike by itself and in the list."""
    answer = server.post("/api/jobs", json=fields)
    assert answer.status_code == 200, answer.text
    job = answer.json
    assert job["status"] == ("queued" if fields.get("execute", True) else "pending")
    assert job["tags"] == ("/".join(fields.get("tags", ())) or None)
    assert job["note"] == (fields.get("note") or None)
    assert server.job(job["id"]) == job
    assert server.get("/api/jobs").json["results"][0] == job
    assert server.get(f"/api/jobs/{job['id']}/manifest").text == fields["manifest"]
