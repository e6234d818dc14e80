"""What cannot be used is refused in one shape, with every fault named."""

import json

import pytest

from ciserver.service.submissions import MANIFEST_LIMIT

GOOD = "image: host\ntasks:\n  - build: echo built\n"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
REQUIRED = {"field": "manifest", "reason": "manifest is required"}
NOT_JSON = {"reason": "Invalid JSON provided"}
NO_OBJECT = {"reason": "Expected JSON dictionary"}


def errors(answer, status=400):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert list(answer.json) == ["errors"]
    return answer.json["errors"]


def fault(field, reason):
    return {"field": field, "reason": f"{field} {reason}"}


@pytest.fixture
def none_made(services, admin):
    """Nothing was made, and nothing written of it."""
    yield
    assert services.queries.builds(admin).builds == ()


BODIES = [
    ("", [NOT_JSON, REQUIRED]),
    ("{", [NOT_JSON, REQUIRED]),
    ('{"manifest": "x"} and more', [NOT_JSON, REQUIRED]),
    (b"\xff\xfe\xff", [NOT_JSON, REQUIRED]),
    (b'{"manifest": "\xe9"}', [NOT_JSON, REQUIRED]),
    ('{"manifest": "\\ud800"}', [NOT_JSON, REQUIRED]),
    ('{"unknown": {"a": ["\\udfff"]}}', [NOT_JSON, REQUIRED]),
    ('{"\\ud83d": 1}', [NOT_JSON, REQUIRED]),
    ("[" * 100_000, [NOT_JSON, REQUIRED]),
    ("[" * 500 + "]" * 500, [NOT_JSON, REQUIRED]),
    ('{"a": ' * 101 + "1" + "}" * 101, [NOT_JSON, REQUIRED]),
    ("[" * 99 + "]" * 99, [NO_OBJECT, REQUIRED]),
    ('{"manifest": "x", "manifest": "y"}', [NOT_JSON, REQUIRED]),
    ("9" * 10_000, [NOT_JSON, REQUIRED]),
    ("null", [NO_OBJECT, REQUIRED]),
    ('""', [NO_OBJECT, REQUIRED]),
    ("[]", [NO_OBJECT, REQUIRED]),
    ("NaN", [NO_OBJECT, REQUIRED]),
    ("{}", [REQUIRED]),
    ('{"MANIFEST": "x"}', [REQUIRED]),
]


def test_what_is_no_json_object(ada, none_made):
    """And then the manifest is missing, too."""
    for body, found in BODIES:
        answer = ada.post("/api/jobs", body=body, headers=JSON)
        assert errors(answer) == found, body[:40]


def test_another_type_is_read_as_a_form(ada, none_made):
    """In which JSON has no manifest."""
    for name in ("", "text/plain", "application/json-patch+json", "multipart/form-data", "/"):
        body, headers = json.dumps({"manifest": GOOD}), {"Content-Type": name}
        assert errors(ada.post("/api/jobs", body=body, headers=headers)) == [REQUIRED], name


MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
DISPOSITION = b'--b\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n'


def test_odd_multipart_forms(ada, none_made):
    """What cannot be read has no manifest."""
    for body in (
        b"",
        b"--b",
        b"--b--\r\n",
        b"manifest=x",
        DISPOSITION,
        DISPOSITION + b"image: host",
        DISPOSITION.replace(b"; name", b"; eman") + b"x\r\n--b--\r\n",
        DISPOSITION.replace(b"Content-Disposition", b"\xff\xfe") + b"x\r\n--b--\r\n",
        DISPOSITION.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 10_000 + b"\r\n\r\n"),
        (DISPOSITION + b"x\r\n") * 100 + b"--b--\r\n",
    ):
        assert errors(ada.post("/api/jobs", body=body, headers=MULTIPART)) == [REQUIRED], body[:80]


def test_odd_forms(ada, none_made):
    """Whatever they hold."""
    for body in (b"manifest", b"\xff=\xff&%ff=%ff", b"&&==", b"%", b"tags=a"):
        assert errors(ada.post("/api/jobs", body=body, headers=FORM))[0]["field"] == "manifest"


WRONG_TYPES = [
    ("manifest", "str", [1, True, ["x"], {}, 1.5]),
    ("note", "str", [1, False, [], {}]),
    ("tags", "list", ["a/b", 1, True, {"a": 1}]),
    ("access:read", "list", ["*", 0, {}]),
    ("access:write", "list", ["ada", 1.5]),
    ("triggers", "list", ["email", {"action": "email"}, 3]),
    ("execute", "bool", ["true", 1, 0, [], "no"]),
    ("secrets", "bool", ["yes", 1, {}]),
    ("visibility", "str", [1, ["PUBLIC"], True]),
]


def test_wrong_types(ada, none_made):
    """The field and the type it should have."""
    for field, kind, values in WRONG_TYPES:
        for value in values:
            answer = ada.post("/api/jobs", json={"manifest": GOOD, field: value})
            assert errors(answer) == [fault(field, f"should be a {kind}")], (field, value)


def test_nulls(ada, none_made):
    """Null is not the same as left out."""
    for field, _, _ in WRONG_TYPES:
        answer = ada.post("/api/jobs", json={"manifest": GOOD, field: None})
        assert errors(answer) == [fault(field, "may not be null")]


def test_lists_of_other_things_than_text(ada, none_made):
    """Each place that is wrong."""
    for field in ("tags", "access:read", "access:write"):
        answer = ada.post("/api/jobs", json={"manifest": GOOD, field: ["ada", 1, None, ["a"]]})
        places = [f"{field}[{place}]" for place in (1, 2, 3)]
        assert errors(answer) == [fault(place, "should be a str") for place in places]


def test_what_is_wrong_of_itself_hides_nothing(ada, none_made):
    """Types, the manifest, tags, triggers and people: all of it in one answer, each once."""
    body = {
        "manifest": "image: 1\ntasks:\n  - a: echo\n  - a: echo\n",
        "note": 5,
        "tags": ["ok", 1, "a b", ""],
        "access:read": ["nobody", None],
        "access:write": {},
        "triggers": [{"action": "pigeon"}, {"action": "webhook"}],
        "execute": "yes",
        "visibility": "hidden",
    }
    found = [one["field"] for one in errors(ada.post("/api/jobs", json=body))]
    assert sorted(found) == [
        "access:read",
        "access:read[1]",
        "access:write",
        "execute",
        "manifest",
        "manifest",
        "note",
        "tags[1]",
        "tags[2]",
        "tags[3]",
        "triggers[0].action",
        "triggers[1].url",
        "visibility",
    ]


def test_a_manifest_of_a_wrong_type_is_not_read(ada, none_made):
    """It is told once, beside the faults of other fields."""
    for manifest, reason in ((None, "may not be null"), (["image: x"], "should be a str")):
        answer = ada.post("/api/jobs", json={"manifest": manifest, "tags": ["/"]})
        assert errors(answer) == [
            fault("manifest", reason),
            fault("tags[0]", "must be letters, digits, '-', '_', '.' or ':'"),
        ]
    answer = ada.post("/api/jobs", json={"note": "x" * 5000})
    assert [one["field"] for one in errors(answer)] == ["manifest", "note"]


def test_every_wrong_type_is_named_at_once(ada, none_made):
    """In the order of the documents."""
    body = {field: 1.5 for field, _, _ in reversed(WRONG_TYPES)}
    found = errors(ada.post("/api/jobs", json=body))
    assert found == [fault(field, f"should be a {kind}") for field, kind, _ in WRONG_TYPES]


WEBHOOK = {"action": "webhook", "url": "https://example.org/ci"}
IMPOSSIBLE = [
    ({"manifest": "x" * MANIFEST_LIMIT}, fault("manifest", "must be less than 16384 bytes")),
    ({"note": "x" * 4097}, fault("note", "must be at most 4096 characters")),
    ({"visibility": "hidden"}, "visibility"),
    ({"visibility": ""}, "visibility"),
    ({"tags": ["good", ""]}, "tags[1]"),
    ({"tags": ["a b"]}, "tags[0]"),
    ({"tags": ["a/b"]}, "tags[0]"),
    ({"tags": ["é"]}, "tags[0]"),
    ({"tags": ["a\x00"]}, "tags[0]"),
    ({"tags": ["x" * 1000]}, "tags[0]"),
    (
        {"access:read": ["nobody"]},
        {"field": "access:read", "reason": "there is no user nobody"},
    ),
    (
        {"access:write": ["~nobody", "*"]},
        {"field": "access:write", "reason": "there is no user *"},
    ),
    ({"tags": ["../x"]}, "tags[0]"),
    ({"tags": ["a\n"]}, "tags[0]"),
    ({"tags": ["\N{CYRILLIC SMALL LETTER A}"]}, "tags[0]"),
    ({"tags": ["<script>"]}, "tags[0]"),
    ({"tags": ["x"] * 101}, fault("tags", "must be at most 100")),
    ({"access:read": [f"user-{n}" for n in range(101)]}, "access:read"),
    ({"access:read": [""]}, "access:read"),
    ({"access:read": ["\x00"]}, "access:read"),
    ({"triggers": [1]}, "triggers[0]"),
    ({"triggers": [None]}, "triggers[0]"),
    ({"triggers": [WEBHOOK] * 21}, fault("triggers", "must have at most 20 triggers")),
    ({"triggers": [WEBHOOK] * 9999}, fault("triggers", "must have at most 20 triggers")),
    ({"triggers": [{}]}, fault("triggers[0].action", "is required")),
    ({"triggers": [{"action": "pigeon"}]}, "triggers[0].action"),
    ({"triggers": [{"action": "webhook"}]}, fault("triggers[0].url", "is required")),
    ({"triggers": [{"action": ["webhook"]}]}, "triggers[0].action"),
    (
        {"triggers": [{"action": "webhook", "url": "https://x", "condition": "maybe"}]},
        "triggers[0].condition",
    ),
    ({"manifest": ""}, "manifest"),
    ({"manifest": "image: [\n"}, "manifest"),
    ({"manifest": "\x00"}, "manifest"),
    ({"manifest": "- a\n"}, "manifest"),
    ({"manifest": "tasks:\n  - a: b\n"}, {"field": "manifest", "reason": "image: is required"}),
    ({"manifest": GOOD + "  - build: echo again\n"}, "manifest"),
    ({"manifest": GOOD + "artifacts: [../x]\n"}, "manifest"),
    ({"manifest": GOOD + "artifacts: [a/x, b/x]\n"}, "manifest"),
    ({"manifest": GOOD + f"artifacts: {[f'x{n}' for n in range(101)]}\n"}, "manifest"),
    ({"manifest": GOOD + "systems: [x]\n"}, "manifest"),
    ({"manifest": GOOD + "matrix: {a: [b]}\n"}, "manifest"),
]


def test_values_that_cannot_be(ada, none_made):
    """The core's complaints, under the names that the caller knows."""
    for fields, found in IMPOSSIBLE:
        seen = errors(ada.post("/api/jobs", json={"manifest": GOOD, **fields}))
        wanted = found["field"] if isinstance(found, dict) else found
        assert wanted in [one["field"] for one in seen], fields
        assert isinstance(found, str) or found in seen
        assert all(one["reason"] for one in seen)


def test_every_fault_is_named_at_once(ada, none_made):
    """Of the manifest, the tags, the triggers and the people."""
    answer = ada.post(
        "/api/jobs",
        json={
            "manifest": "image: 1\ntasks: 2\n",
            "tags": [" ", "/"],
            "triggers": [{"action": "pigeon"}],
            "access:read": ["nobody"],
            "note": "x" * 5000,
        },
    )
    fields = [one["field"] for one in errors(answer)]
    assert sorted(fields) == [
        "access:read",
        "manifest",
        "manifest",
        "note",
        "tags[0]",
        "tags[1]",
        "triggers[0].action",
    ]


def test_very_many_faults_are_told_in_part(ada, none_made):
    """The answer to a body is not many times its size."""
    for fields in (
        {"tags": [1] * 200_000},
        {"tags": ["/"] * 200_000},
        {"access:read": ["x"] * 200_000},
        {"access:write": [f"u{n}" for n in range(80_000)]},
        {"triggers": [1] * 200_000},
    ):
        found = errors(ada.post("/api/jobs", json={"manifest": GOOD, **fields}))
        assert 1 <= len(found) <= 101
    for jobs in (["x"] * 200_000, list(range(120_000))):
        assert 1 <= len(errors(ada.post("/api/job-group", json={"jobs": jobs}))) <= 101


def test_a_huge_body_is_refused(ada, none_made):
    """413, by what it says of itself and by what it is."""
    body = json.dumps({"manifest": "x" * 1_100_000})
    for headers in (JSON, FORM):
        assert errors(ada.post("/api/jobs", body=body, headers=headers), 413)


def test_ids_of_no_job(ada):
    """404, whatever they look like."""
    for job_id in ("abc", "-1", "0", "1.0", "%31%20", "%EF%BC%91", str(2**63), "9" * 99):
        for method, rest in (
            ("GET", ""),
            ("GET", "/manifest"),
            ("GET", "/artifacts"),
            ("POST", "/start"),
            ("POST", "/cancel"),
        ):
            answer = ada.request(method, f"/api/jobs/{job_id}{rest}")
            assert errors(answer, 404) == [{"reason": "404 not found"}]


METHODS = {
    "/api/jobs": "GET, POST",
    "/api/jobs/1": "GET",
    "/api/jobs/1/manifest": "GET",
    "/api/jobs/1/artifacts": "GET",
    "/api/jobs/1/start": "POST",
    "/api/jobs/1/cancel": "POST",
    "/api/job-group": "POST",
    "/api/job-group/1": "GET",
    "/api/job-group/1/start": "POST",
    "/api/job-group/1/cancel": "POST",
    "/logs/1/log": "GET",
    "/logs/1/build/log": "GET",
    "/query/log/1/log": "GET",
    "/query/log/1/build/log": "GET",
}


def test_wrong_methods(ada):
    """405 tells those that there are."""
    for path, known in METHODS.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(known.split(", ")):
            answer = ada.request(method, path)
            assert errors(answer, 405) == [{"reason": "405 method not allowed"}]
            assert answer.headers["allow"] == f"{known}, OPTIONS"


def test_unknown_paths(ada):
    """404 in JSON, though a browser asks."""
    for path in (
        "/api/jobs/1/none",
        "/api/jobs/1/log",
        "/api/job-group/1/none",
        "/logs",
        "/logs/1",
        "/query",
        "/query/log",
        "/query/log/1/",
    ):
        for method in ("GET", "POST", "DELETE"):
            answer = ada.request(method, path, headers={"Accept": "text/html"})
            assert errors(answer, 404) == [{"reason": "404 not found"}], (method, path)


def test_a_slash_at_the_end_makes_no_difference(ada):
    """Some versions of the server took it."""
    answer = ada.post("/api/jobs/", json={"manifest": GOOD})
    assert answer.status_code == 200
    for path, known in METHODS.items():
        if path.startswith("/api/jobs") and "GET" in known:
            plain, slash = ada.get(path), ada.get(f"{path}/")
            assert (slash.status_code, slash.content) == (200, plain.content), path
    assert ada.post("/api/jobs/1/cancel/").json == {}


def test_a_build_without_a_manifest_has_none_to_show(make, ada):
    """404, not an empty text."""
    build = make.build()
    assert errors(ada.get(f"/api/jobs/{build.id}/manifest"), 404)
