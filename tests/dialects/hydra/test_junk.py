"""Whatever is thrown at it, it answers in JSON of Hydra's shape and never breaks."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIELDS = st.sampled_from(
    [
        *("name", "displayname", "description", "homepage", "owner", "enabled", "visible"),
        *("declarative", "type", "flake", "nixexprinput", "nixexprpath", "checkinterval"),
        *("schedulingshares", "keepnr", "enableemail", "emailoverride", "inputs"),
        *("username", "password", "jobsets", "repos", "force", "enable_dynamic_run_command"),
    ]
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
WORD = st.sampled_from(["1", "src", "project-1:main", "git", "true", "0", "-1", "9" * 30, "a,b"])
INPUT = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["git", "string", "boolean"]) | JUNK,
        "value": st.sampled_from(["https://example.org/a.git b", "true"]) | JUNK,
    },
)
INPUTS = st.dictionaries(st.sampled_from(["src", "a b"]) | st.text(), INPUT | JUNK, max_size=3)
OBJECT = st.dictionaries(FIELDS, JUNK | WORD | INPUTS) | st.fixed_dictionaries(
    {"displayname": WORD}, optional={"inputs": INPUTS, "nixexprinput": WORD, "enabled": WORD}
)
BODY = st.binary() | (OBJECT | JUNK).map(json.dumps).map(str.encode)
SEGMENT = st.sampled_from(["1", "0", "x", "project-1", "main", "~ada"]) | st.text(
    st.characters(min_codepoint=1, exclude_categories=["Cs"], exclude_characters="/?#"),
    min_size=1,
)
KNOWN = [
    *(("GET", "/"), ("GET", "/project/{}"), ("GET", "/jobset/{}/{}"), ("GET", "/eval/{}")),
    *(
        ("GET", "/jobset/{}/{}/evals"),
        ("GET", "/jobset/project-1/main/evals"),
        ("GET", "/build/{}"),
    ),
    *(("PUT", "/project/{}"), ("PUT", "/jobset/project-1/{}"), ("PUT", "/jobset/{}/{}")),
    *(("DELETE", "/project/{}"), ("DELETE", "/jobset/project-1/{}"), ("POST", "/login")),
    *(("POST", "/logout"), ("GET", "/current-user"), ("POST", "/api/push"), ("PUT", "/api/push")),
    *(("GET", "/api/latestbuilds"), ("GET", "/api/{}")),
]
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"])
CALL = st.sampled_from(KNOWN) | st.tuples(METHODS, st.sampled_from([path for _, path in KNOWN]))
QUERY = st.dictionaries(
    st.sampled_from(["page", "all", "nr", "project", "job", "jobsets", "repos", "force"]),
    WORD | st.text(st.characters(exclude_categories=["Cs"])) | st.integers().map(str),
)


@pytest.fixture
def there(make):
    """Something that can be hit."""
    return make.build(name="a")


@pytest.mark.parametrize("who", ["anybody", "root"])
@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    call=CALL,
    segments=st.tuples(SEGMENT, SEGMENT),
    query=QUERY,
    kind=st.sampled_from(["application/json", "text/x-json", "application/json; charset=latin-1"]),
    body=BODY,
)
def test_junk_is_answered_in_shape(request, there, who, call, segments, query, kind, body):
    """Never a page, never a crash."""
    method, path = call
    answer = request.getfixturevalue(who).ask(
        method, path.format(*segments), body, params=query, headers={"Content-Type": kind}
    )
    assert answer.status_code < 500, answer.text
    assert answer.headers.get("content-type", "application/json").startswith("application/json")
    if answer.status_code >= 400:
        assert answer.json.keys() - {"errors", "jobsetsTriggered"} == {"error"}
        assert isinstance(answer.json["error"], str)
    elif answer.status_code != 204:
        assert isinstance(answer.json, dict | list)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(form=st.dictionaries(FIELDS, WORD | st.text(st.characters(exclude_categories=["Cs"]))))
def test_forms_are_answered_in_shape(root, there, form):
    """A form has texts only, also where an object belongs."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    for path in ("/project/x", "/jobset/project-1/x", "/login", "/api/push"):
        method = "POST" if path in {"/login", "/api/push"} else "PUT"
        answer = root.ask(method, path, urlencode(form), headers=headers)
        assert answer.status_code < 500, answer.text
        assert isinstance(answer.json, dict)
