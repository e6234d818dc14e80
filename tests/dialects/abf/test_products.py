"""Products: made, changed and destroyed."""

import pytest
from dialects.abf.playing import FORBIDDEN, LISTS, NOT_FOUND, NOT_SIGNED_IN

from ciserver.model.account import Right
from ciserver.model.project import ProjectSettings, ScriptDefaults

PRODUCTS = "/api/v1/products.json"
GIVEN = {
    "name": "rosa2014",
    "description": "Fresh",
    "main_script": "other.sh",
    "params": "lst=main",
    "time_living": "90",
    "project_version": "main",
}


def ask(client, method, path, **fields):
    return client.ask(method, path, {"product": fields})


def refused(answer):
    """What a refusal says about a product."""
    assert answer.status_code == 422, answer.text
    assert answer.json["product"]["id"] is None
    return answer.json["product"]["message"]


@pytest.fixture
def make(admin, services, product):
    """Makes a product in the project of ivan; only administrators register what is local."""

    def make(client, **fields):
        return ask(
            client, "POST", PRODUCTS, **({"project_id": product.project_id} | GIVEN | fields)
        )

    return make


@pytest.fixture
def path_of():
    return lambda product: f"/api/v1/products/{product.id}.json"


@pytest.fixture
def root(make_client, make_token, add_user):
    return make_client(make_token(add_user("root", admin=True), "*"))


def test_a_product_is_made_and_built(root, make, commit, services, admin):
    """Of the repository of its project, with what it is given; it tells who asked."""
    answer = make(root)
    assert (answer.status_code, answer.json) == (
        200,
        {"product": {"id": 2, "message": "Product has been created successfully"}},
    )
    shown = root.get("/api/v1/products/2.json").json["product"]
    expected = GIVEN | {"id": 2, "time_living": 90, "autostart_status": None}
    del expected["project_version"]
    assert {key: shown[key] for key in expected} == expected
    made = root.create(product_id=2, project_version="main").json["product_build_list"]["id"]
    assert root.show(made)["main_script"] == "other.sh"
    (_, request) = services.requests.list_newest(admin, limit=2)
    assert (request.action, request.who) == ("add-jobset", "root")


def test_no_push_is_evaluated_for_it(root, make, services, admin):
    """It is there for its script."""
    make(root)
    jobset = services.lists.jobset(admin, 2)
    assert (jobset.source.watch, jobset.source.ref) == ((), "main")


def test_only_what_is_given_is_changed(root, ivan, product):
    """Also its name; what it built stays with it."""
    path = f"/api/v1/products/{product.id}.json"
    before = ivan.get(path).json["product"]
    answer = ask(ivan, "PUT", path, name="renamed", time_living=30)
    assert answer.json == {"product": {"id": 1, "message": "Product has been updated successfully"}}
    assert ivan.get(path).json["product"] == before | {"name": "renamed", "time_living": 30}
    ask(ivan, "PUT", path, params="", description="", id=7)
    assert ivan.get(path).json["product"]["params"] == ""


def test_a_product_is_destroyed_with_its_lists(ivan, product, create):
    """They are nowhere any more."""
    build_id = create()
    answer = ivan.ask("DELETE", f"/api/v1/products/{product.id}.json", b"{nonsense")
    assert answer.json == {
        "product": {"id": 1, "message": "Product has been destroyed successfully"}
    }
    for path in (f"/api/v1/products/{product.id}.json", f"{LISTS}/{build_id}.json"):
        assert (ivan.get(path).status_code, ivan.get(path).json) == (404, NOT_FOUND)
    assert ivan.get(f"{LISTS}.json").json["product_build_lists"] == []


FAULTS = [
    ({"time_living": 1}, "Time living must be 2 to 720 minutes"),
    ({"time_living": 721}, "Time living must be 2 to 720 minutes"),
    ({"time_living": "long"}, "Time living is not a number"),
    (
        {"main_script": ""},
        "Main script must be a path inside the repository, of at most 255 characters",
    ),
    ({"main_script": []}, "Main script is not text"),
    ({"params": "PATH=/x"}, "Params 'PATH' is reserved"),
    ({"params": "x"}, "Params 'x' is not NAME=VALUE"),
    ({"autostart_status": 3}, "Autostart status is not included in the list"),
    ({"autostart_status": "daily"}, "Autostart status is not included in the list"),
    ({"autostart_status": [0]}, "Autostart status is not included in the list"),
    ({"autostart_only_if_changed": 7}, "Autostart only if changed must be true or false"),
    (
        {"name": "a b"},
        (
            "Name must be 1 to 100 letters, digits, '.', '_' or '-', beginning with a letter or"
            " digit"
        ),
    ),
    (
        {"project_version": "a b"},
        (
            "Project version must be HEAD, a full ref, the name of a branch or tag, or a whole"
            " revision"
        ),
    ),
    (
        {"time_living": 0, "params": "x"},
        "Params 'x' is not NAME=VALUE. Time living must be 2 to 720 minutes",
    ),
]


@pytest.mark.parametrize(("fields", "fault"), FAULTS)
def test_a_product_that_cannot_be(root, make, product, fields, fault):
    """Every fault is a sentence; nothing is made or changed."""
    path = f"/api/v1/products/{product.id}.json"
    before = root.get(path).json
    assert refused(make(root, **fields)) == f"Product has not been created. {fault}"
    assert refused(ask(root, "PUT", path, **fields)) == f"Product has not been updated. {fault}"
    assert root.get("/api/v1/products/2.json").status_code == 404
    assert root.get(path).json == before


def test_a_product_needs_a_project_with_a_repository(root, make, services, admin):
    """One that the caller may see."""
    services.projects.put_project(admin, "empty", ProjectSettings())
    empty = services.queries.project(admin, "empty").project.id
    begin = "Product has not been created. "
    assert refused(make(root, project_id=99)) == f"{begin}Project can't be blank"
    assert refused(make(root, project_id=None)) == f"{begin}Project can't be blank"
    said = refused(make(root, project_id=empty))
    assert said == f"{begin}Project the project empty has no repository"


def test_two_products_of_a_project_have_two_names(root, make, product):
    """Whichever comes second is refused."""
    said = refused(make(root, name=product.name))
    assert said == "Product has not been created. Name has already been taken"
    other = make(root).json["product"]["id"]
    path = f"/api/v1/products/{other}.json"
    said = refused(ask(root, "PUT", path, name=product.name))
    assert said == "Product has not been updated. Name has already been taken"


def test_who_may(anybody, olga, ivan, make, product, services, admin):
    """Whoever may edit the project; others are refused before anything is looked at."""
    path = f"/api/v1/products/{product.id}.json"
    for fields in ({}, {"time_living": 1}):
        for method, address in (("POST", PRODUCTS), ("PUT", path), ("DELETE", path)):
            given = {"project_id": product.project_id} | fields
            answer = ask(anybody, method, address, **given)
            assert (answer.status_code, answer.json) == (401, NOT_SIGNED_IN)
            answer = ask(olga, method, address, **given)
            assert (answer.status_code, answer.json) == (403, FORBIDDEN)
    services.projects.set_member(admin, product.project, "olga", frozenset({Right.EDIT}))
    assert ask(olga, "PUT", path, description="hers").status_code == 200
    assert services.lists.jobset(admin, product.id).settings.description == "hers"


def test_secrets_in_params_are_stars(ivan, path_of, put_product, repository, commit):
    """For everybody, with the product and its lists; what was read may be sent back as it is."""
    given = "lst=libs REPO_TOKEN=t0ken SIGN_KEY='k e y'"
    product = put_product(repository.bare, script=ScriptDefaults("MATRIX", given, 60))
    shown = ivan.get(path_of(product)).json["product"]["params"]
    assert shown == "lst=libs REPO_TOKEN=*** SIGN_KEY=***"
    ask(ivan, "PUT", path_of(product), params=shown.replace("libs", "all"))
    made = ivan.create(product_id=product.id, commit_hash=commit, params=f"{shown} A=b")
    number = made.json["product_build_list"]["id"]
    assert ivan.show(number)["params"] == f"{shown} A=b"
    answer = ivan.get(f"{LISTS}/{number}.json").text + ivan.get(path_of(product)).text
    assert "t0ken" not in answer
    assert "k e y" not in answer


def test_what_is_under_the_stars_is_what_is_run(
    ivan, path_of, put_product, repository, commit, services, admin
):
    """Also after a round."""
    given = "lst=libs REPO_TOKEN=t0ken"
    product = put_product(repository.bare, script=ScriptDefaults("MATRIX", given, 60))
    ask(ivan, "PUT", path_of(product), params="REPO_TOKEN=*** lst=all")
    assert services.lists.jobset(admin, product.id).settings.script.parameters == (
        "REPO_TOKEN=t0ken lst=all"
    )
    made = ivan.create(product_id=product.id, commit_hash=commit, params="REPO_TOKEN=***")
    number = made.json["product_build_list"]["id"]
    assert services.queries.build(admin, number).job.environment["REPO_TOKEN"] == "t0ken"
