"""Addresses are put right before they are looked up."""

import falcon
import pytest
from falcon.testing import TestClient

from ciserver.web.front import Front


class Echo:
    def on_get(self, req, resp, **parts):
        resp.media = parts

    on_post = on_put = on_get


@pytest.fixture
def client():
    app = falcon.App(middleware=[Front()])
    for path in (
        "/api/v1/lists",
        "/api/v1/lists/{number}",
        "/api/v1/lists/{number}/cancel",
        "/self-serve",
        "/self-serve/{branch}",
        "/self-serve/{branch}/{builder}",
        "/{page}",
    ):
        app.add_route(path, Echo())
    return TestClient(app)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/api/v1/lists", {}),
        ("/api/v1/lists.json", {}),
        ("/api/v1/lists/5", {"number": "5"}),
        ("/api/v1/lists/5.json", {"number": "5"}),
        ("/api/v1/lists/5/cancel", {"number": "5"}),
        ("/api/v1/lists/5/cancel.json", {"number": "5"}),
        ("/api/v1/lists/5.json.json", {"number": "5.json"}),
        ("/api/v1/lists/5.xml", {"number": "5.xml"}),
        ("/api/v1/lists/.json", {"number": ".json"}),
        ("/build.json", {"page": "build.json"}),
    ],
)
def test_one_suffix_is_optional_beneath_one_prefix(client, path, parts):
    """It is dropped from the last segment, for every method; any other stays."""
    for method in ("GET", "PUT"):
        answer = client.simulate_request(method, path, params={"page": 2})
        assert (answer.status_code, answer.json) == (200, parts)


@pytest.mark.parametrize("path", ["/api/v1/lists.xml", "/api/v10/lists.json"])
def test_what_is_not_that_suffix_leads_nowhere(client, path):
    """No route, no guess."""
    assert client.simulate_get(path).status_code == 404


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("/self-serve/", "/self-serve"),
        ("/self-serve/try/", "/self-serve/try"),
        ("/self-serve/try//", "/self-serve/try"),
        ("/self-serve//evil.example.org/", "/self-serve//evil.example.org"),
        ("/self-serve/try/?format=json&a=%2F", "/self-serve/try?format=json&a=%2F"),
        ("/self-serve/a%20b/%0D%0AX:1/", "/self-serve/a%20b/%0D%0AX%3A1"),
        ("/self-serve/%C3%A9/a%2Fb/", "/self-serve/%C3%A9/a%2Fb"),
    ],
)
def test_a_slash_at_the_end_is_sent_away_beneath_another(client, asked, told):
    """To the same address without it, with its query, and never to another server."""
    path, _, query = asked.partition("?")
    for method in ("GET", "POST"):
        answer = client.simulate_request(method, path, query_string=query)
        assert (answer.status_code, answer.headers["location"]) == (301, told)
    assert client.simulate_get("/self-serve/try").json == {"branch": "try"}


def test_an_encoded_slash_parts_no_segments(client):
    """It stays as it was sent; everything else is decoded."""
    answer = client.simulate_get("/self-serve/try/Linux%2fx86%20%C3%A9")
    assert answer.json == {"branch": "try", "builder": "Linux%2Fx86 \u00e9"}
    assert client.simulate_get("/self-serve%2Ftry").json == {"page": "self-serve%2Ftry"}
    assert client.simulate_get("/self-serve/a/b%2F").json == {"branch": "a", "builder": "b%2F"}


def test_what_was_sent_counts_only_when_it_tells_the_same_path(client):
    """A server behind a prefix passes on another address than the one it asks for."""
    for name in ("REQUEST_URI", "RAW_URI"):
        for sent, parts in (
            ("/self-serve/a%2Fb?x=%2F", {"branch": "a%2Fb"}),
            ("http://ci.example.org/self-serve/a%2Fb", {"branch": "a%2Fb"}),
            ("/mounted/self-serve/a%2Fb", {"branch": "a", "builder": "b"}),
            ("/other%2Fpath", {"branch": "a", "builder": "b"}),
        ):
            extras = {"RAW_URI": "", name: sent}
            answer = client.simulate_get("/self-serve/a/b", extras=extras)
            assert answer.json == parts, sent
