"""Page or JSON, as a client of a shared address wants it."""

import pytest
from falcon.testing import create_req

from ciserver.edge.formats import wants_json

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/*", False),
        (BROWSER, False),
        ("application/json", True),
        ("Application/JSON", True),
        ("text/x-json", True),
        ("application/json; charset=utf-8", True),
        ("application/json, text/plain, */*", True),
        ("text/html;q=0.5, application/json", True),
        ("text/html, application/json;q=0.9", False),
        ("text/html, application/json", False),
        ("application/json, text/html", True),
        ("application/json;q=0", False),
        ("application/json;q=nan, text/html;q=0.1", False),
        ("application/jsonp", False),
        (",;,;q=", False),
    ],
)
def test_accept_chooses_by_quality(accept, json):
    """Of equal qualities the first type named; wildcards are nobody's wish for JSON."""
    headers = {} if accept is None else {"Accept": accept}
    assert wants_json(create_req(headers=headers)) == json


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_the_type_of_the_request_itself_comes_first(method):
    """Also of a GET, which has no body; a type that is neither leaves the choice to the rest."""
    for own, accept, json in (
        ("application/json", BROWSER, True),
        ("application/json; charset=utf-8", None, True),
        ("text/x-json", "text/html", True),
        ("text/html", "application/json", False),
        ("application/x-www-form-urlencoded", "application/json", True),
        ("application/x-www-form-urlencoded", BROWSER, False),
    ):
        headers = {"Content-Type": own} | ({"Accept": accept} if accept else {})
        assert wants_json(create_req(method=method, headers=headers)) == json, own


def test_the_address_of_a_get_can_choose():
    """Before Accept, after the type of the request, and not for what changes something."""

    def chosen(query, method="GET", **headers):
        return wants_json(create_req(method=method, query_string=query, headers=headers))

    asked = "content-type=application/json"
    assert chosen(asked, Accept=BROWSER)
    assert not chosen("content-type=text/html", Accept="application/json")
    assert chosen("content-type=nonsense", Accept="application/json")
    assert not chosen(asked, **{"Content-Type": "text/html"})
    assert not chosen(asked, method="POST")
