"""What changed between two revisions of a repository that an input names."""

from dataclasses import replace

import pytest
from support.factories import ADMIN

from ciserver.model.account import Visibility
from ciserver.model.project import Credential
from ciserver.service.diffs import Diffs


@pytest.fixture
def revisions(watched, repository, services):
    """Two of the watched repository, which was evaluated at the newer."""
    old = repository.commit({"a": "1\n"}, "First")
    new = repository.commit({"a": "2\n"}, "Second")
    repository.push()
    services.evaluations.request(ADMIN, watched.jobset)
    assert services.evaluations.evaluate_next()
    return old, new


@pytest.fixture
def diff(repository, revisions):
    def diff(caller, **changes):
        given = {"uri": str(repository.bare), "type": "git"}
        given |= {"rev1": revisions[0], "rev2": revisions[1], **changes}
        params = {name: one for name, one in given.items() if one is not None}
        return caller.ask("GET", "/api/scmdiff", params=params, query_string=None)

    return diff


def test_the_log_and_the_changes(anybody, diff, revisions):
    """As text that a browser runs nothing of."""
    answer = diff(anybody)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.text.startswith(f"commit {revisions[1]}\nAuthor: ")
    assert answer.text.endswith("-1\n+2\n")
    assert diff(anybody, rev2=revisions[0]).text == " "


def test_another_way_to_write_the_address(anybody, diff, repository):
    assert diff(anybody, uri=f"file://{repository.bare}/").status_code == 200


@pytest.mark.parametrize(
    "uri", ["/etc", "https://example.org/none.git", "ext::sh -c id", "-x", "../..", "a\0b", "\n"]
)
def test_an_address_that_no_jobset_has(anybody, diff, uri):
    """Nothing is looked at, whatever it is."""
    answer = diff(anybody, uri=uri)
    assert answer.status_code in {400, 404}
    assert "/etc/" not in answer.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"uri": None}, "uri"),
        ({"type": None}, "type"),
        ({"type": "hg"}, "type"),
        ({"rev1": None}, "rev1"),
        ({"rev1": "HEAD"}, "rev1"),
        ({"rev2": "--output=/tmp/x"}, "rev2"),
        ({"rev2": "1" * 39}, "rev2"),
    ],
)
def test_what_is_wrong(anybody, diff, changes, field):
    answer = diff(anybody, **changes)
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json["errors"]] == [field]


def test_revisions_that_are_not_there(anybody, diff):
    assert diff(anybody, rev1="0" * 40).status_code == 404


@pytest.mark.parametrize("visibility", [Visibility.PRIVATE, Visibility.UNLISTED])
def test_who_does_not_see_the_project(anybody, root, add_user, diff, set_visibility, visibility):
    """It is as if there was no such repository."""
    unknown = diff(anybody, uri="/nowhere").json["error"]
    set_visibility("project", visibility)
    for caller in (anybody, add_user("rob")):
        answer = diff(caller)
        assert answer.status_code == 404
        assert answer.json["error"].partition(" /")[0] == unknown.partition(" /")[0]
    assert diff(root).status_code == 200


def test_a_repository_that_is_read_with_a_credential(
    anybody, add_user, diff, services, store, watched, repository, parts
):
    """Its content is for those who have rights in the project."""
    (one,) = watched.jobset.inputs
    credential = Credential(username="ci", password="secret")
    with store.transaction():
        store.jobsets.remove_inputs(watched.jobset.id)
        store.jobsets.add_input(
            watched.jobset.id,
            replace(one, local=True),
            repository_key=str(repository.bare),
            credential=credential,
        )
    parts.mirrors.open(one.uri, credential, local=True).pin("HEAD")
    rob = add_user("rob")
    for caller in (anybody, rob):
        assert diff(caller).status_code == 404
    services.projects.set_member(ADMIN, "project", "rob", frozenset({"cancel"}))
    assert diff(rob).status_code == 200


def test_only_some_at_a_time(anybody, diff, services, store, parts):
    """Others are told to come again."""
    turns = services.diffs._turns
    while turns.acquire(blocking=False):
        pass
    answer = diff(anybody)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    turns.release()
    assert diff(anybody).status_code == 200
    assert isinstance(services.diffs, Diffs)
