"""What cannot be done: each refusal in ABF's own shape, with every fault."""

from dataclasses import replace

import pytest
from dialects.abf.playing import (
    FORBIDDEN,
    LISTS,
    NOT_FOUND,
    message,
)
from support.repositories import git

from ciserver.model.account import Right
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus

NOT_CREATED = "Product build list has not been created. "
UNKNOWN = "0" * 40


def builds(services, admin):
    return services.queries.builds(admin).builds


# -- what is asked for ----------------------------------------------------------------------------


FAULTS = [
    ({"commit_hash": UNKNOWN}, f"Commit hash Unable find commit '{UNKNOWN}' in project"),
    ({"commit_hash": "main"}, "Commit hash Unable find commit 'main' in project"),
    ({"commit_hash": "nonsense '"}, "Commit hash Unable find commit 'nonsense '' in project"),
    (
        {"commit_hash": None, "project_version": "none"},
        "Commit hash Unable find commit 'none' in project",
    ),
    (
        {"commit_hash": "", "project_version": "-x ..~"},
        "Commit hash Unable find commit '-x ..~' in project",
    ),
    (
        {"commit_hash": None},
        "Project version can't be blank. Commit hash Unable find commit '' in project",
    ),
    ({"commit_hash": ["x"]}, "Commit hash is not text"),
    ({"commit_hash": "\ud800"}, "Commit hash is not text"),
    ({"time_living": 1}, "Time living must be 2 to 720 minutes"),
    ({"time_living": "721"}, "Time living must be 2 to 720 minutes"),
    ({"time_living": 0}, "Time living must be 2 to 720 minutes"),
    ({"time_living": -60}, "Time living must be 2 to 720 minutes"),
    ({"time_living": "an hour"}, "Time living is not a number"),
    ({"time_living": 60.5}, "Time living is not a number"),
    ({"time_living": True}, "Time living is not a number"),
    ({"time_living": 10**30}, "Time living is not a number"),
    ({"arch_id": 99}, "Arch can't be blank"),
    ({"arch_id": {}}, "Arch is not a number"),
    ({"project_id": 99}, "Project can't be blank"),
    ({"project_id": "evil_tools"}, "Project is not a number"),
    ({"main_script": 5}, "Main script is not text"),
    ({"main_script": "a\0b"}, "Main script is not text"),
    (
        {"main_script": ""},
        "Main script must be a path inside the repository, of at most 255 characters",
    ),
    (
        {"main_script": "x" * 256},
        "Main script must be a path inside the repository, of at most 255 characters",
    ),
    (
        {"main_script": "../../etc/passwd"},
        "Main script must be a path inside the repository, of at most 255 characters",
    ),
    ({"params": "--rm -rf"}, "Params '--rm' is not NAME=VALUE. Params '-rf' is not NAME=VALUE"),
    (
        {"params": "PATH=/x a=b LD_PRELOAD=x"},
        "Params 'PATH' is reserved. Params 'LD_PRELOAD' is reserved",
    ),
    ({"params": "BUILD_ID=1"}, "Params 'BUILD_ID' is reserved"),
    ({"params": "1a=b"}, "Params '1a=b' is not NAME=VALUE"),
    ({"params": "a='b"}, "Params cannot be read: No closing quotation"),
    ({"params": ["a=b"]}, "Params is not text"),
    (
        {"project_id": [], "arch_id": "x", "time_living": {}, "main_script": 1, "params": 2},
        (
            "Project is not a number. Arch is not a number. Main script is not text."
            " Params is not text. Time living is not a number"
        ),
    ),
    (
        {"project_id": 99, "arch_id": 99},
        "Project can't be blank. Arch can't be blank",
    ),
    (
        {"time_living": 1, "main_script": "/", "params": "x", "commit_hash": "y"},
        (
            "Main script must be a path inside the repository, of at most 255 characters."
            " Time living must be 2 to 720 minutes. Params 'x' is not NAME=VALUE."
            " Commit hash Unable find commit 'y' in project"
        ),
    ),
]


def test_a_list_that_cannot_be_made(ivan, product, commit, services, admin):
    """Every fault is a sentence; nothing is made."""
    for fields, faults in FAULTS:
        given = {"product_id": product.id, "commit_hash": commit} | fields
        assert message(ivan.create(**given)) == NOT_CREATED + faults, fields
    assert not builds(services, admin)


def test_a_product_that_nobody_knows_is_not_ones_own(ivan, hidden, commit):
    """It is refused before anything else is looked at, and so is one that may not be seen."""
    stranger = {None, "", "rosa", True, 0, -1, 99, 2**63, 10**40, 1.5}
    for product_id in (*stranger, [], {}):
        answer = ivan.create(product_id=product_id, commit_hash=commit)
        assert (answer.status_code, answer.json) == (403, FORBIDDEN), product_id
    assert ivan.create(commit_hash=commit).status_code == 403
    assert ivan.ask("POST", f"{LISTS}.json", {}).status_code == 403
    assert ivan.ask("POST", f"{LISTS}.json").status_code == 403


def test_what_has_no_repository_runs_no_script(ivan, services, admin, product, commit):
    """Neither of its own nor of another project."""
    own, _ = services.jobsets.put(admin, product.project, "own", replace(product.settings), ())
    services.projects.put_project(admin, "empty", ProjectSettings())
    empty = services.queries.project(admin, "empty").project
    said = message(ivan.create(product_id=own.id, commit_hash=commit))
    assert said == f"{NOT_CREATED}the jobset evil_tools:own has no repository to evaluate"
    given = {"product_id": product.id, "project_id": empty.id, "commit_hash": commit}
    said = message(ivan.create(**given))
    assert said == f"{NOT_CREATED}Project the project empty has no repository"


@pytest.mark.parametrize("path", ["/api/v1/product_build_list.json", f"{LISTS}.json"])
def test_a_body_that_cannot_be_read(ivan, product, path):
    """It is told what is wrong, never a page."""
    for body in (b"{", b"[]", b"null", b'"x"', b"\xff", b"a=b", b'{"a":1,"a":2}', b"[" * 10**5):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", ""):
            headers = {"Content-Type": kind} if kind else {}
            answer = ivan.ask("POST", path, body, headers=headers)
            assert (answer.status_code, answer.json.keys()) == (400, {"status", "message"}), body
            assert answer.headers["content-type"] == "application/json"
    huge = ivan.ask("POST", path, body=b" " * (2**20 + 1))
    assert (huge.status_code, huge.json["status"]) == (413, 413)
    for given in (None, 1, "x", []):
        said = message(ivan.ask("POST", path, {"product_build_list": given}))
        assert said == f"{NOT_CREATED}product_build_list is not an object"


def test_what_is_kept_is_said_in_a_boolean(ivan, factory, product):
    """However a client writes one."""
    path = f"{LISTS}/{factory.build(BuildStatus.SUCCEEDED, jobset=product).id}.json"
    fault = "Product build list has not been updated. Not delete must be true or false"
    for value in (None, 2, "yes", [], {}, 1.0, "\ud800"):
        answer = ivan.ask("PUT", path, {"product_build_list": {"not_delete": value}})
        assert message(answer) == fault, value
    for body in ({}, {"product_build_list": {}}, {"not_delete": True}):
        assert message(ivan.ask("PUT", path, body)) == fault
    for value in (True, "true", 1, "1"):
        answer = ivan.ask("PUT", path, {"product_build_list": {"not_delete": value, "id": 7}})
        assert answer.status_code == 200, value


def test_bodies_that_nobody_needs_are_not_read(ivan, factory, product):
    """Whatever they are."""
    path = f"{LISTS}/{factory.build(jobset=product).id}"
    for method, address in (("PUT", f"{path}/cancel.json"), ("DELETE", f"{path}.json")):
        assert ivan.ask(method, address, body=b"{nonsense").status_code == 200


# -- addresses ------------------------------------------------------------------------------------


NO_NUMBERS = ("abc", "-1", "1.5", "1.xml", "%00", "1%2F2", "\u0663", str(2**63), "9" * 40)


def test_what_is_not_there(ivan, product):
    """A number that nothing has, and what is no number."""
    for number in ("0", "99", *NO_NUMBERS):
        for method, path in (
            ("GET", f"{LISTS}/{number}.json"),
            ("PUT", f"{LISTS}/{number}.json"),
            ("DELETE", f"{LISTS}/{number}.json"),
            ("PUT", f"{LISTS}/{number}/cancel.json"),
            ("GET", f"/api/v1/products/{number}.json"),
            ("PUT", f"/api/v1/products/{number}.json"),
            ("DELETE", f"/api/v1/products/{number}.json"),
            ("GET", f"/api/v1/products/{number}/product_build_lists.json"),
            ("GET", f"/api/v1/projects/{number}.json"),
        ):
            answer = ivan.ask(method, path)
            assert (answer.status_code, answer.json) == (404, NOT_FOUND), path


def test_unknown_addresses_are_refused_alike(anybody):
    """Also for a browser."""
    for path in ("/api/v1", "/api/v1/", "/api/v1/users/1.json", f"{LISTS}/", f"{LISTS}.xml"):
        answer = anybody.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.json) == (404, NOT_FOUND), path
        assert answer.headers["content-type"] == "application/json"


def test_a_wrong_method_tells_the_right_ones(anybody):
    """In the header Allow."""
    for method, path, allowed in (
        ("PUT", f"{LISTS}.json", {"GET", "POST"}),
        ("GET", "/api/v1/product_build_list.json", {"POST"}),
        ("POST", f"{LISTS}/1.json", {"GET", "PUT", "DELETE"}),
        ("PATCH", f"{LISTS}/1.json", {"GET", "PUT", "DELETE"}),
        ("GET", f"{LISTS}/1/cancel.json", {"PUT"}),
        ("POST", f"{LISTS}/1/cancel.json", {"PUT"}),
        ("POST", "/api/v1/products/1.json", {"GET", "PUT", "DELETE"}),
        ("GET", "/api/v1/products.json", {"POST"}),
        ("POST", "/api/v1/products/1/product_build_lists.json", {"GET"}),
        ("POST", "/api/v1/projects/1.json", {"GET"}),
        ("POST", "/api/v1/arches.json", {"GET"}),
    ):
        answer = anybody.ask(method, path)
        assert (answer.status_code, answer.json["status"]) == (405, 405), path
        assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == allowed, path


# -- other repositories and revisions -------------------------------------------------------------


def test_another_project_needs_only_to_be_seen(olga, ivan, anybody, product, hidden, repository):
    """Its script is run at its commit; whoever may not see it is not told of it."""
    given = {
        "product_id": product.id,
        "project_id": hidden.project_id,
        "project_version": "main",
    }
    answer = ivan.create(**given)
    assert answer.status_code == 200, answer.text
    build_id = answer.json["product_build_list"]["id"]
    project = ivan.show(build_id)["project"]
    assert (project["id"], project["name"]) == (hidden.project_id, "secrets")
    assert project["git_url"].endswith("/secret.git")
    shown = anybody.show(build_id)
    assert (shown["project"], shown["product"]["id"]) == (None, product.id)


def test_a_hidden_project_is_no_project_to_others(olga, product, hidden, services, admin):
    """As one that is not there."""
    rights = frozenset({Right.EVALUATE})
    services.projects.set_member(admin, product.project, "olga", rights)
    given = {"product_id": product.id, "project_version": "main"}
    said = [message(olga.create(project_id=one, **given)) for one in (hidden.project_id, 99)]
    assert said == [f"{NOT_CREATED}Project can't be blank"] * 2


def test_branches_and_tags_become_commits(ivan, create, repository, commit, services, admin):
    """The newest of them, when the list is made; a commit goes before a version."""
    git(repository.tree, "tag", "v1")
    newer = repository.commit({"MATRIX": "true\n"})
    repository.push("main", "v1")
    for version, made, ref in (
        ("main", newer, "refs/heads/main"),
        ("refs/heads/main", newer, "refs/heads/main"),
        ("v1", commit, "refs/tags/v1"),
    ):
        build_id = create(commit_hash=None, project_version=version)
        assert ivan.show(build_id)["commit_hash"] == made
        assert services.queries.build(admin, build_id).build.ref == ref
    both = create(commit_hash=commit, project_version="main")
    assert ivan.show(both)["commit_hash"] == commit


def test_keys_that_nobody_needs_are_ignored(ivan, create):
    """Older clients send them."""
    build_id = create(status=0, not_delete=True, base_url="x", branch=[], product_name=None)
    shown = ivan.show(build_id)
    assert (shown["status"], shown["not_delete"]) == (2, False)


def test_a_repository_that_is_gone_is_said(ivan, product, repository):
    """In a shape that clients read."""
    repository.bare.rename(repository.bare.with_name("gone"))
    answer = ivan.create(product_id=product.id, commit_hash=UNKNOWN)
    assert message(answer) == f"{NOT_CREATED}Commit hash Unable find commit '{UNKNOWN}' in project"
