"""Which resource answers an address."""

import pytest
from falcon.routing import CompiledRouter

from ciserver.edge.addresses import Addresses
from ciserver.edge.dialect import Route

PATHS = (
    *("/", "/build/{number}", "/build/{number}/log", "/build/{number}/{rest:path}"),
    *("/~{user}.svg", "/~{user}", "/~{user}/job/{number}", "/{word}/of/all", "/log/{number}"),
)


class Nothing:
    """A resource without methods."""


def filled(router):
    for path in PATHS:
        router.add_route(path, Nothing())
    return router


def found(router, path):
    """The address that the path is of, with its fields."""
    answer = router.find(path)
    return answer and (answer[3], answer[2])


@pytest.mark.parametrize(
    "path",
    [
        *("/", "//", "", "/build", "/build/", "/build/7", "//build/7", "/build/7/log"),
        *("/build/7/a/b", "/~", "/~alice", "/~alice.svg", "/~alice/job/7", "/~alice/jobs"),
        *(
            "/builds",
            "/builds/of/all",
            "/build/of/all",
            "/~alice/of/all",
            "/{word}/of/all",
            "/log/of/all",
        ),
    ],
)
def test_an_address_is_found_as_falcon_finds_it(path):
    assert found(filled(Addresses()), path) == found(filled(CompiledRouter()), path)


def test_addresses_that_begin_alike_are_one_part():
    """What is compiled for a request is the part that it is about."""
    assert len(filled(Addresses()).parts) == len(["", "build", "log", "a field"])


def test_addresses_are_made_when_their_word_is_first_asked_for():
    """Others do not wait for them, and they are found beside those that were there before."""
    made = []

    def routes():
        made.append("worker")
        yield Route("/worker/{name}", Nothing(), None)

    router = filled(Addresses())
    router.add_route("/worker", Nothing())
    router.add_later("worker", routes)
    assert found(router, "/build/7") == ("/build/{number}", {"number": "7"})
    assert made == []
    assert found(router, "/worker/here") == ("/worker/{name}", {"name": "here"})
    assert found(router, "/worker") == ("/worker", {})
    assert made == ["worker"]
