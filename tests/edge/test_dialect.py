"""Which dialect a request is in."""

import pytest
from falcon.testing import create_req

from ciserver.edge.dialect import Dialects


class Named:
    def __init__(self, *prefixes, speaks=False):
        self.prefixes = prefixes
        self._speaks = speaks

    def speaks(self, req):
        return self._speaks


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/api", "short"),
        ("/api/", "short"),
        ("/api/things", "short"),
        ("/api/v10", "short"),
        ("/api/v1", "long"),
        ("/api/v1/", "long"),
        ("/api/v1/api", "long"),
        ("/other/x", "short"),
        ("/apis", None),
        ("/x/api", None),
        ("/API", None),
        ("/", None),
    ],
)
def test_the_longest_prefix_of_whole_segments_has_the_path(path, owner):
    """In whatever order the dialects are named."""
    known = {"short": Named("/api", "/other"), "long": Named("/api/v1"), None: None}
    short, long = known["short"], known["long"]
    for dialects in ([short, long], [long, short]):
        assert Dialects(dialects).of(create_req(path=path)) is known[owner]


@pytest.mark.parametrize(
    ("path", "is_shared"),
    [
        ("/", True),
        ("/build/1", True),
        ("/cities", True),
        ("/ci/v1/builds", False),
        ("/hooks/github/x", False),
        ("/healthz", False),
        ("/api/x", False),
    ],
)
def test_a_shared_dialect_has_the_addresses_of_pages_when_it_is_spoken(path, is_shared):
    """Never our own API, the hooks, or what another dialect has."""
    other, spoken = Named("/api"), Named("/own", speaks=True)
    assert (Dialects([other], spoken).of(create_req(path=path)) is spoken) == is_shared
    assert Dialects([other], Named("/own")).of(create_req(path="/build/1")) is None


def test_a_shared_dialect_has_its_own_prefixes_whatever_is_spoken():
    """They have no page."""
    silent = Named("/own")
    assert Dialects([], silent).of(create_req(path="/own/x")) is silent
