"""Whatever is sent, the answer is one of self-serve's, and never a crash."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.status import BuildStatus

NAMES = st.one_of(
    st.sampled_from(
        ["main", "nowhere", "project-1:main", ":", "1", "2", "-1", "9" * 40, "0000", "linux64"]
    ),
    st.text(max_size=12),
)
PATHS = st.sampled_from(
    [
        "/branches",
        "/jobs",
        "/jobs/{}",
        "/{}",
        "/main/build",
        "/{}/build/{}",
        "/main/build/{}",
        "/main/builders",
        "/main/builders/linux64/{}",
        "/main/builders/{}/" + "9" * 40,
        "/main/request",
        "/main/request/{}",
        "/main/rev/{}",
        "/main/rev/{}/is_done",
        "/main/rev/{}/nightly",
        "/main/rev/{}/pgo",
        "/main/user/{}",
        "/{}/{}/{}",
    ]
)
FIELDS = st.sampled_from(
    [
        *("build_id", "request_id", "priority", "count", "properties", "files", "_method"),
        *("num", "offset", "date", "stableDelay"),
    ]
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
).map(json.dumps)
VALUES = st.one_of(
    st.sampled_from(["1", "2", "-1", "0", "", "DELETE", "put", "2026-03-01", "9" * 30]),
    st.text(max_size=12),
    JSONS,
)
FORMS = st.dictionaries(FIELDS, VALUES, max_size=5)
KINDS = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "application/json",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        ";",
    ]
)


def encoded(text):
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def pairs(fields):
    return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in fields.items())


@pytest.fixture
def builds(factory, main):
    """Build 1 has ended, build 2 waits."""
    factory.build(BuildStatus.SUCCEEDED, jobset=main, name="linux64")
    factory.build(jobset=main)


def check(answer):
    assert answer.status_code in {200, 202, 301, 400, 404, 405}, answer.text
    if answer.status_code == 301:
        return
    assert answer.headers["content-type"] == "application/json"
    value = json.loads(answer.content)
    if answer.status_code == 202:
        assert value.keys() == {"status", "msg", "request_id"}
    elif answer.status_code != 200:
        assert value.keys() == {"status", "msg"}
        assert value["status"] == "FAILED"
        assert value["msg"]


any_request = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@any_request
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=PATHS,
    names=st.lists(NAMES, min_size=3, max_size=3),
    query=FORMS,
    form=FORMS,
)
def test_any_form(ada, builds, method, path, names, query, form):
    """Any method and path, any fields in query and body."""
    path = path.format(*(encoded(one) or "x" for one in names))
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    check(ada.ask(method, f"{path}?{pairs(query)}", headers=headers, body=pairs(form)))


@any_request
@given(
    path=st.sampled_from(["/main/build", "/main/request/2", "/main/builders/linux64/" + "9" * 40]),
    kind=KINDS,
    body=st.binary(max_size=200)
    | st.binary(max_size=60).map(
        lambda some: (
            b'--x\r\nContent-Disposition: form-data; name="build_id'
            + some
            + b'"\r\n\r\n1\r\n--x--\r\n'
        )
    ),
)
def test_any_body(ada, builds, path, kind, body):
    """Bytes that are no form, and forms with anything in them."""
    headers = {"Accept": "application/json", "Content-Type": kind}
    check(ada.ask("POST", path, headers=headers, body=body))


@any_request
@given(properties=JSONS | st.text(max_size=20), files=JSONS | st.text(max_size=20))
def test_any_properties(ada, builds, perform, properties, files):
    """What is accepted can be stored, shown and performed."""
    form = pairs({"properties": properties, "files": files})
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    answer = ada.ask("POST", f"/main/builders/linux64/{'9' * 40}", headers=headers, body=form)
    check(answer)
    if answer.status_code == 202:
        row = ada.read(f"/jobs/{answer.json['request_id']}")
        assert all(isinstance(one, str) for one in row["what"]["properties"].values())
        assert all(isinstance(one, str) for one in row["what"]["files"])
