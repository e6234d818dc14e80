"""Pages of other sites that the configuration names may use self-serve as their reader."""

from urllib.parse import urlencode

import pytest
from falcon.testing import TestClient
from support.factories import ADMIN
from support.prepared import add_account

from ciserver.model.status import BuildStatus

THEIRS, FOREIGN = "https://treeherder.example.org", "https://evil.example.org"
PASSWORD = "correct horse battery"
JSON = {"Accept": "application/json"}


@pytest.fixture
def site(make_app):
    return TestClient(make_app(allowed_origins=(THEIRS, "http://localhost:8000")))


@pytest.fixture
def done(factory, main):
    """Build 1."""
    return factory.build(BuildStatus.SUCCEEDED, jobset=main)


@pytest.fixture
def cookie(parts, services):
    add_account(parts, "ada", PASSWORD, admin=True)
    return {"ciserver_session": services.access.sign_in("ada", PASSWORD)}


def allowed(answer):
    return (
        answer.headers.get("access-control-allow-origin"),
        answer.headers.get("access-control-allow-credentials"),
    )


@pytest.mark.parametrize("origin", [THEIRS, "http://localhost:8000"])
def test_who_is_named_may_read(site, done, origin):
    """What is there, and also what is refused."""
    for path, status in (("/self-serve/main", 200), ("/self-serve/none", 404), ("/pending", 200)):
        answer = site.simulate_get(path, headers={**JSON, "Origin": origin})
        assert answer.status_code == status
        assert allowed(answer) == (origin, "true")
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", [FOREIGN, "null", THEIRS + ".evil.example.org", THEIRS + ":8443"]
)
def test_who_is_not_named_may_not(site, done, origin):
    """Exactly the origin counts."""
    answer = site.simulate_get("/self-serve/main", headers={**JSON, "Origin": origin})
    assert (answer.status_code, allowed(answer)) == (200, (None, None))
    assert "Origin" in answer.headers["vary"]


def test_nobody_is_named_by_default(stranger, done):
    """Every origin is foreign then."""
    assert allowed(stranger.ask("GET", "/main", headers={**JSON, "Origin": THEIRS})) == (None, None)


def test_the_rest_of_the_server_knows_no_other_sites(site, done):
    """Neither pages nor our own API."""
    for path in ("/", "/build/1", "/ci/v1/builds"):
        assert allowed(site.simulate_get(path, headers={"Origin": THEIRS})) == (None, None)


def test_a_browser_asks_first(site, done):
    """Whether it may send a method or a header for them; nobody's proof is needed for that."""
    asked = {"Access-Control-Request-Method": "DELETE", "Origin": THEIRS}
    answer = site.simulate_options("/self-serve/main/build/1", headers=asked)
    assert (answer.status_code, answer.content, allowed(answer)) == (204, b"", (THEIRS, "true"))
    assert "DELETE" in answer.headers["access-control-allow-methods"].split(", ")
    assert "Authorization" in answer.headers["access-control-allow-headers"].split(", ")
    foreign = site.simulate_options(
        "/self-serve/main/build/1", headers={**asked, "Origin": FOREIGN}
    )
    assert allowed(foreign) == (None, None)
    assert "access-control-allow-methods" not in foreign.headers


def ask(site, cookie, origin, **headers):
    return site.simulate_post(
        "/self-serve/main/build",
        headers={
            **JSON,
            "Origin": origin,
            "Content-Type": "application/x-www-form-urlencoded",
            **headers,
        },
        cookies=cookie,
        body=urlencode({"build_id": 1}),
    )


def test_their_reader_changes_things(site, services, done, cookie):
    """With the session that the browser sends along; it says whose page asks, which is enough."""
    answer = ask(site, cookie, THEIRS, **{"Sec-Fetch-Site": "same-site"})
    assert (answer.status_code, allowed(answer)) == (202, (THEIRS, "true"))
    assert services.requests.get(ADMIN, answer.json["request_id"]).who == "ada"


def test_a_foreign_page_is_refused_with_the_session_of_its_reader(site, services, done, cookie):
    """Whatever it asks for; without a session it reads what everybody does."""
    before = services.requests.list_newest(ADMIN, limit=1)
    answer = ask(site, cookie, FOREIGN)
    assert (answer.status_code, answer.json["status"]) == (403, "FAILED")
    headers = {**JSON, "Origin": FOREIGN}
    read = site.simulate_get("/self-serve/main", headers=headers, cookies=cookie)
    assert (read.status_code, allowed(read)) == (403, (None, None))
    assert site.simulate_get("/self-serve/main", headers=headers).status_code == 200
    assert services.requests.list_newest(ADMIN, limit=1) == before


def test_our_own_pages_are_no_other_site(site, done, cookie):
    """Their origin is the server's own."""
    headers = {**JSON, "Origin": "http://falconframework.org"}
    assert site.simulate_get("/self-serve/main", headers=headers, cookies=cookie).status_code == 200
