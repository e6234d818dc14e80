"""Who may do and see what, and how they prove who they are."""

from datetime import timedelta

import pytest
from dialects.abf.playing import (
    FORBIDDEN,
    LISTS,
    NOT_FOUND,
    NOT_SIGNED_IN,
    PASSWORD,
    WRONG_PROOF,
)

from ciserver.model.account import Right, Visibility
from ciserver.model.status import BuildStatus


def builds(services, admin):
    return services.queries.builds(admin).builds


# -- who asks -------------------------------------------------------------------------------------


def changes(build_id, product, commit):
    """Every request that changes something, with a good body."""
    return (
        (
            "POST",
            f"{LISTS}.json",
            {"product_build_list": {"product_id": product.id, "commit_hash": commit}},
        ),
        ("PUT", f"{LISTS}/{build_id}/cancel.json", {}),
        ("PUT", f"{LISTS}/{build_id}.json", {"product_build_list": {"not_delete": False}}),
        ("DELETE", f"{LISTS}/{build_id}.json", {}),
    )


@pytest.fixture
def waiting(factory, product):
    return factory.build(jobset=product).id


def test_nobody_changes_anything(anybody, waiting, product, commit):
    """Not even by nonsense."""
    for method, path, body in changes(waiting, product, commit):
        for given in (body, {}, {"product_build_list": []}):
            answer = anybody.ask(method, path, given)
            assert (answer.status_code, answer.json) == (401, NOT_SIGNED_IN), path
            assert answer.headers["www-authenticate"] == 'Bearer, Basic realm="ciserver"'


def test_somebody_without_rights_changes_nothing(olga, waiting, product, commit, services, admin):
    """The refusal is remembered."""
    for method, path, body in changes(waiting, product, commit):
        answer = olga.ask(method, path, body)
        assert (answer.status_code, answer.json) == (403, FORBIDDEN), path
    remembered = services.requests.list_newest(admin, limit=4)
    assert {(one.who, one.status) for one in remembered} == {("olga", "failed")}
    actions = ["delete-build", "keep-build", "cancel-build", "submit-build"]
    assert [one.action for one in remembered] == actions
    assert [one.id for one in builds(services, admin)] == [waiting]
    assert builds(services, admin)[0].status is BuildStatus.QUEUED


def test_each_right_allows_its_own(olga, waiting, product, commit, services, admin):
    """Members start and cancel lists; only whoever edits the project keeps and destroys them."""
    for right, allowed in (
        (Right.EVALUATE, {"POST"}),
        (Right.CANCEL, {"cancel"}),
        (Right.RESTART, set()),
        (Right.EDIT, {"update", "DELETE"}),
    ):
        services.projects.set_member(admin, product.project, "olga", frozenset({right}))
        for name, (method, path, body) in zip(
            ("POST", "cancel", "update", "DELETE"),
            changes(waiting, product, commit),
            strict=True,
        ):
            status = olga.ask(method, path, body).status_code
            assert (status != 403) is (name in allowed), (right, name)


def test_a_token_needs_its_scope(make_client, make_token, ivan, waiting, product, commit):
    """Whoever holds it."""
    reader = make_client(make_token("ivan", "builds:read"))
    writer = make_client(make_token("ivan", "builds:write"))
    asked = changes(waiting, product, commit)
    for method, path, body in asked:
        answer = reader.ask(method, path, body)
        assert (answer.status_code, answer.json) == (403, FORBIDDEN), path
    assert [writer.ask(*one).status_code for one in asked[:3]] == [200, 200, 403]


def test_every_proof_of_the_document(parts, make_client, make_token, add_user, hidden):
    """Name or mail with the password, a token for a name or in the address; a session is tried by
    the tests of the middleware.
    """
    path = f"/api/v1/products/{hidden.id}.json"
    token = make_token("ivan", "builds:read")
    for pair in (("ivan", PASSWORD), ("ivan@example.org", PASSWORD), (token, ""), ("ivan", token)):
        assert make_client(*pair).get(path).status_code == 200, pair
    query = f"authentication_token={token}"
    assert make_client().get(path, query_string=query).status_code == 200
    assert make_client().get(path).status_code == 404


def test_a_wrong_proof_is_refused_everywhere(make_client, make_token, ivan, services, admin, clock):
    """Also where none is needed, and at no address at all."""
    token, _ = services.access.add_token(admin, "ivan", ("*",), clock.now() + timedelta(days=1))
    clock.forward(days=2)
    for path in (f"{LISTS}.json", "/api/v1/none"):
        for client, query in (
            (make_client("ivan", "wrong"), ""),
            (make_client("nobody", PASSWORD), ""),
            (make_client(token, ""), ""),
            (make_client("cis_unknown", ""), ""),
            (make_client(), "authentication_token=cis_unknown"),
            (make_client(), "authentication_token=%ED%A0%80%00"),
        ):
            answer = client.get(path, query_string=query)
            assert (answer.status_code, answer.json) == (401, WRONG_PROOF), (path, query)


# -- what may be seen -----------------------------------------------------------------------------


def test_what_is_private_is_not_there_for_others(
    anybody, olga, ivan, product, hidden, factory, commit
):
    """Nor in any list; its owner has it all."""
    secret, seen = factory.build(jobset=hidden).id, factory.build(jobset=product).id
    paths = (
        f"{LISTS}/{secret}.json",
        f"/api/v1/products/{hidden.id}.json",
        f"/api/v1/products/{hidden.id}/product_build_lists.json",
        f"/api/v1/projects/{hidden.project_id}.json",
    )
    for client in (anybody, olga):
        for path in paths:
            answer = client.get(path)
            assert (answer.status_code, answer.json) == (404, NOT_FOUND), path
        listed = client.get(f"{LISTS}.json").json["product_build_lists"]
        assert [one["id"] for one in listed] == [seen]
    for method, path, body in changes(secret, hidden, commit):
        expected = (403, FORBIDDEN) if method == "POST" else (404, NOT_FOUND)
        answer = olga.ask(method, path, body)
        assert (answer.status_code, answer.json) == expected, path
    assert [ivan.get(path).status_code for path in paths] == [200] * 4
    assert len(ivan.get(f"{LISTS}.json").json["product_build_lists"]) == 2
    assert ivan.show(secret)["project"]["visibility"] == "hidden"


def test_what_is_unlisted_is_found_by_its_address(anybody, put_product, factory):
    """And listed only where its product is named."""
    uri = "https://example.org/unlisted.git"
    unlisted = put_product(uri, "unlisted", "unlisted", visibility=Visibility.UNLISTED)
    build_id = factory.build(jobset=unlisted).id
    assert anybody.show(build_id)["project"]["visibility"] == "open"
    own = f"/api/v1/products/{unlisted.id}/product_build_lists.json"
    assert len(anybody.get(own).json["product_build_lists"]) == 1
    assert anybody.get(f"{LISTS}.json").json["product_build_lists"] == []
