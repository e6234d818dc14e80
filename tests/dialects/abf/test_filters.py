"""Lists of lists by status, by product and by number."""

import pytest
from dialects.abf.playing import LISTS

from ciserver.model.account import Visibility
from ciserver.model.status import BuildStatus

S = BuildStatus
STAGES = (S.QUEUED, S.RUNNING, S.CANCELING, S.SUCCEEDED, S.PARTIAL)
STAGES += (S.FAILED, S.ERRORED, S.CANCELED, S.TIMED_OUT)


@pytest.fixture
def product(put_product):
    """One whose repository nobody asks."""
    return put_product("https://example.org/evil_tools.git")


@pytest.fixture
def other(put_product):
    return put_product("https://example.org/other.git", "Other", "other")


@pytest.fixture
def made(factory, product, other, clock):
    """A build at each stage, of each product, each a second younger; newest first."""
    made = []
    for jobset in (product, other):
        for status in STAGES:
            clock.forward(seconds=1)
            made.append((factory.build(status, jobset=jobset).id, jobset.name, status))
    return made[::-1]


def ids(client, query, path=LISTS):
    answer = client.get(f"{path}.json", query_string=query)
    assert answer.status_code == 200
    return [one["id"] for one in answer.json["product_build_lists"]]


CODES = {
    0: {S.SUCCEEDED},
    1: {S.FAILED, S.ERRORED},
    2: {S.QUEUED},
    3: {S.RUNNING},
    4: {S.CANCELED, S.TIMED_OUT},
    5: {S.CANCELING},
    6: {S.PARTIAL},
}


@pytest.mark.parametrize("code", CODES)
def test_by_status(anybody, made, product, code):
    """Whatever it stands for here, what changed last first; also of one product."""
    wanted = [one for one in made if one[2] in CODES[code]]
    assert ids(anybody, f"status={code}") == [one for one, _, _ in wanted]
    path = f"/api/v1/products/{product.id}/product_build_lists"
    mine = [one for one, name, _ in wanted if name == product.name]
    assert ids(anybody, f"status={code}", path) == mine


def test_by_name(anybody, made, product):
    """By a piece of the product's name, in any case; with a status beside it, too."""
    assert ids(anybody, "name=THER&per_page=100") == [
        one for one, name, _ in made if name[0] == "O"
    ]
    failed = [one for one, name, status in made if name[0] == "r" and status in CODES[1]]
    assert ids(anybody, "name=2012lts&status=1") == failed
    path = f"/api/v1/products/{product.id}/product_build_lists"
    assert ids(anybody, "name=Other", path) == []
    assert len(ids(anybody, "name=rosa", path)) == len(STAGES)


def test_by_number(anybody, made):
    """One or none."""
    one, _, status = made[3]
    assert ids(anybody, f"id={one}") == [one]
    assert status not in CODES[0]
    assert ids(anybody, f"id={one}&status=0") == []


@pytest.mark.parametrize(
    "query",
    [
        *("status=7", "status=-1", "status=abc", "status=99999999999999999999", "status=1,4"),
        *("id=0", "id=-1", "id=abc", f"id={2**63}", "name=none", "name=%25", "name=%00"),
    ],
)
def test_what_names_nothing_finds_nothing(anybody, made, query):
    """It is no fault."""
    assert ids(anybody, query) == []


def test_marks_that_databases_know_are_letters(anybody, made):
    """A line stands for itself."""
    assert set(ids(anybody, "name=_&per_page=100")) == {one for one, name, _ in made if "_" in name}


def test_an_empty_filter_is_none(anybody, made):
    """As forms send them."""
    assert ids(anybody, "status=&name=&id=&per_page=100") == [one for one, _, _ in made]


def test_pages_of_what_is_filtered(anybody, made):
    """Their neighbours are filtered alike; there is no last one, and far away is nothing."""
    wanted = [one for one, _, status in made if status in CODES[4]]
    answer = anybody.get(f"{LISTS}.json", query_string="status=4&name=o&per_page=3&page=1")
    links = answer.headers["link"]
    url = f"http://falconframework.org{LISTS}.json"
    assert links == f'<{url}?page=2&per_page=3&status=4&name=o>; rel="next"'
    pages = [ids(anybody, f"status=4&name=o&per_page=3&page={page}") for page in (1, 2, 3)]
    assert pages == [wanted[:3], wanted[3:], []]
    assert ids(anybody, "status=4&page=1000000&per_page=100") == []


def test_what_may_not_be_seen_is_not_found(anybody, ivan, put_product, factory):
    """By no filter."""
    uri = "https://example.org/secret.git"
    secret = put_product(uri, "hidden", "secrets", visibility=Visibility.PRIVATE)
    number = factory.build(jobset=secret).id
    for query in ("status=2", "name=hidden", f"id={number}"):
        assert ids(anybody, query) == []
        assert ids(ivan, query) == [number]
