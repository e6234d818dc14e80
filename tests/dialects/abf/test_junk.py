"""Whatever is thrown at it, it answers in JSON of ABF's shape and never breaks."""

import json

import pytest
from dialects.abf.playing import LISTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIELDS = (
    "product_id",
    "project_id",
    "commit_hash",
    "project_version",
    "arch_id",
    "main_script",
    "params",
    "time_living",
    "not_delete",
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NUMBERS = st.sampled_from(["1", 1, "2", 0, -1, "9" * 30, 2**63])
LIST = st.dictionaries(st.sampled_from(FIELDS), JUNK | NUMBERS)
PRODUCT = st.dictionaries(
    st.sampled_from(
        [
            *("name", "description", "project_id", "autostart_status", "autostart_only_if_changed"),
            *FIELDS[3:8],
        ]
    ),
    JUNK | NUMBERS,
)
BODY = (
    st.binary()
    | JUNK.map(json.dumps).map(str.encode)
    | PRODUCT.map(lambda one: json.dumps({"product": {"project_id": 1} | one}).encode())
    | LIST.map(lambda one: json.dumps({"product_build_list": {"product_id": 1} | one}).encode())
)
TEXT = st.text(
    st.characters(min_codepoint=1, exclude_categories=["Cs"], exclude_characters="/?#"),
    min_size=1,
)
SEGMENT = st.sampled_from(["1", "1", "1", "2", "0", "x", "1.5"]).flatmap(
    lambda one: TEXT if one == "x" else st.just(one)
)
PATHS = st.sampled_from(
    [
        LISTS,
        "/api/v1/product_build_list",
        f"{LISTS}/{{}}",
        f"{LISTS}/{{}}/cancel",
        "/api/v1/products",
        "/api/v1/products/{}",
        "/api/v1/products/{}/product_build_lists",
        "/api/v1/projects/{}",
        "/api/v1/projects/{}/refs_list",
        "/api/v1/platforms",
        "/api/v1/platforms/{}",
        "/api/v1/search",
        "/api/v1/arches",
        "/api/v1/{}",
    ]
)
QUERY = st.dictionaries(
    st.sampled_from(["page", "per_page", "status", "name", "id", "type", "query", "other"]),
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers().map(str),
)


def is_in_shape(answer):
    """What each status says, and with which keys."""
    match answer.status_code:
        case 200:
            return isinstance(answer.json, dict) and bool(answer.headers["etag"])
        case 401:
            return answer.json.keys() == {"error"}
        case 403:
            return answer.json == {"message": "Access violation to this page!"}
        case 422:
            ((root, refused),) = answer.json.items()
            begins = {"product": "Product has not", "product_build_list": "Product build list has"}
            return refused["id"] is None and refused["message"].startswith(begins[root])
        case status:
            return answer.json.keys() == {"status", "message"} and answer.json["status"] == status


@pytest.fixture
def waiting(factory, put_product):
    """Two lists of a product whose repository nobody may ask: nothing leaves this machine."""
    product = put_product("https://127.0.0.1:1/evil_tools.git")
    return [factory.build(jobset=product).id for _ in range(2)]


@pytest.mark.parametrize("who", ["anybody", "ivan"])
@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=PATHS,
    segment=SEGMENT,
    suffix=st.sampled_from(["", ".json", ".json", ".json", ".xml"]),
    query=QUERY,
    kind=st.sampled_from(["application/json", "text/html", "multipart/form-data", "nonsense"]),
    body=BODY,
)
def test_junk_is_answered_in_shape(
    request, waiting, who, method, path, segment, suffix, query, kind, body
):
    """Never a page, never a crash."""
    answer = request.getfixturevalue(who).ask(
        method,
        path.format(segment) + suffix,
        body,
        params=query,
        headers={"Content-Type": kind, "Accept": "text/html"},
    )
    assert answer.status_code < 500 or answer.status_code == 502, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert is_in_shape(answer), answer.text
