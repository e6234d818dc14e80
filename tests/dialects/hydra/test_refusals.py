"""What is refused, whom, and in which shape."""

from datetime import timedelta

import pytest
from dialects.hydra.playing import JSON, Caller
from support.factories import ADMIN, make_job

from ciserver.model.account import Visibility
from ciserver.model.status import BuildStatus

ACCEPT = {"Accept": "application/json"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
# What can be done there, beside OPTIONS.
ADDRESSES = {
    "/": {"GET"},
    "/project/{project}": {"GET", "PUT", "DELETE"},
    "/jobset/{project}/main": {"GET", "PUT", "DELETE"},
    "/jobset/{project}/main/evals": {"GET", "POST"},
    "/eval/{eval}": {"GET"},
    "/build/{build}": {"GET"},
    "/login": {"GET", "POST"},
    "/logout": {"POST"},
    "/current-user": {"GET"},
    "/api/push": {"POST", "PUT"},
    "/api/latestbuilds": {"GET"},
}
SHARED = [one for one in ADDRESSES if not one.startswith(("/api", "/current", "/log"))]


@pytest.fixture
def names(make):
    """What is there: a project with a jobset, an evaluation and a build of it."""
    build = make.build(BuildStatus.SUCCEEDED)
    return {"project": build.project, "eval": build.evaluation_id, "build": build.id}


def allowed(answer):
    return set(answer.headers["allow"].split(", ")) - {"OPTIONS"}


# -- pages or JSON --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", SHARED)
def test_an_address_is_a_page_or_json(anybody, names, address):
    """By the content type of the request, by the query, by Accept; a page to whoever says nothing.
    What lies between may keep one of them for the same who ask for the same.
    """
    path = address.format(**names)
    for headers, query in (
        (JSON, ""),
        ({"Content-Type": "text/x-json"}, ""),
        (HTML, "?content-type=application/json"),
        ({"Accept": "text/html;q=0.8, application/json"}, ""),
        ({**HTML, **JSON}, ""),
    ):
        answer = anybody.ask("GET", path + query, headers=headers)
        assert answer.headers["content-type"] == "application/json", headers
        assert answer.headers["vary"] == "Accept"
    for headers in ({}, HTML, {"Accept": "*/*"}, {"Content-Type": "text/html", **ACCEPT}):
        answer = anybody.ask("GET", path, headers=headers)
        is_page = answer.status_code == 200 and answer.headers["content-type"][:9] == "text/html"
        assert is_page or answer.headers["location"].startswith("/jobset/")
        assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("address", ADDRESSES)
def test_head_and_options(anybody, names, address):
    """HEAD is GET without a body; OPTIONS tells what can be done."""
    path = address.format(**names)
    told = anybody.ask("OPTIONS", path)
    assert (told.status_code, allowed(told)) == (200, ADDRESSES[address])
    if "GET" in allowed(told):
        got, head = (anybody.ask(method, path) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_another_method_is_405(anybody, names, address):
    """With those that would do; what no page has is refused in JSON even to a browser."""
    path, known = address.format(**names), ADDRESSES[address]
    for method in {"POST", "PUT", "DELETE", "PATCH"} - known:
        answer = anybody.ask(method, path)
        assert (answer.status_code, allowed(answer)) == (405, known), method
        assert answer.headers["content-type"] == "application/json"
        assert answer.json.keys() == {"error"}
        if method != "POST":
            assert anybody.refusal(method, path, headers=HTML)[0] == 405


def test_there_is_no_form_for_programs(anybody):
    """GET of the page to sign in, as JSON."""
    answer = anybody.ask("GET", "/login")
    assert (answer.status_code, allowed(answer)) == (405, {"POST"})
    assert anybody.ask("GET", "/login", headers=HTML).status_code == 200


# -- nothing there --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/none", "/api/push/x", "/current-user/x", "/none", "/eval"]
)
def test_an_unknown_address(anybody, path):
    """In JSON where it is asked for, and beneath the dialect's own addresses always."""
    assert anybody.refusal("GET", path) == (404, "Page not found.")
    own = path.startswith(("/api", "/current"))
    page = anybody.ask("GET", path, headers=HTML)
    assert (page.status_code, page.headers["content-type"] == "application/json") == (404, own)


@pytest.mark.parametrize("wrong", ["999", "0", "x", "-1", "1.5", "%00", "1%2F2", "9" * 30, "٣"])
def test_ids_that_are_no_numbers_or_too_large(anybody, names, wrong):
    """Nothing is there."""
    for kind in ("build", "eval"):
        assert anybody.refusal("GET", f"/{kind}/{wrong}")[0] == 404
    assert anybody.refusal("GET", "/eval/999")[1] == "Evaluation 999 doesn't exist."


@pytest.mark.parametrize("name", ["none", "%00", "%ff", "a%2Fb", "%F0%9F%92%A9"])
def test_names_of_nothing(anybody, names, name):
    for path in (f"/project/{name}", f"/jobset/{name}/main", f"/jobset/{names['project']}/{name}"):
        assert anybody.refusal("GET", path)[0] == 404
        assert anybody.refusal("DELETE", path)[0] in {403, 404}
    assert anybody.refusal("GET", f"/jobset/{name}/main/evals")[0] == 404


# -- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"5", b"null", b'"x"', b"\xff", b'{"a": 1, "a": 2}', b"[" * 50_000, b"{} {}"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/project/nix"),
        ("PUT", "/jobset/{project}/main"),
        ("POST", "/login"),
        ("POST", "/api/push"),
    ],
)
def test_a_body_that_is_no_object(root, names, method, path, body):
    """400, and nothing else is said of it."""
    status, message = root.refusal(method, path.format(**names), body)
    assert (status, "JSON" in message) == (400, True)


def test_a_body_of_another_type(root, names):
    """With the types that would do."""
    for kind in ("multipart/form-data; boundary=x", "text/plain", "application/xml", "nonsense"):
        answer = root.ask("PUT", "/project/nix", "{}", headers={"Content-Type": kind})
        assert answer.status_code == 415
        assert "application/json" in answer.json["error"]


def test_a_body_that_is_too_large(root):
    """Before it is read."""
    body = b'{"displayname": "' + b"x" * 1024 * 1024 + b'"}'
    assert root.refusal("PUT", "/project/nix", body) == (413, "the body is over 1 MiB")


# -- who may --------------------------------------------------------------------------------------

CHANGES = [
    ("PUT", "/project/{project}", {"displayname": "x"}),
    ("DELETE", "/project/{project}", None),
    ("PUT", "/jobset/{project}/main", {"nixexprinput": "x"}),
    ("DELETE", "/jobset/{project}/main", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_who_may_change_something(
    anybody, names, add_user, services, parts, clock, method, path, body
):
    """403 in every case, also for a wrong proof; and nothing is changed."""
    path = path.format(**names)
    before = anybody.get(f"/jobset/{names['project']}/main")
    expired = add_user("late", admin=True, expires_at=clock.now() + timedelta(days=1))
    assert anybody.refusal(method, path, body) == (403, "This page requires you to sign in.")
    assert add_user("rob").refusal(method, path, body)[0] == 403
    under = add_user("root", "builds:write", admin=True)
    status, message = under.refusal(method, path, body)
    assert (status, "projects:write" in message) == (403, True)
    clock.forward(days=2)
    for caller in (Caller(parts.app, "cis_wrong"), expired):
        answer = caller.ask(method, path, body)
        assert answer.status_code == 403
        assert answer.json == {
            "error": "the token is unknown or expired; make one: ciserver token add"
        }
        assert "www-authenticate" not in answer.headers
    assert anybody.get(f"/jobset/{names['project']}/main") == before


def test_who_may_make_a_project(anybody, add_user):
    """Whose account may; a member of others' projects may not."""
    body = {"displayname": "Nix"}
    assert anybody.refusal("PUT", "/project/nix", body)[0] == 403
    assert add_user("rob", roles=("evaluate",)).refusal("PUT", "/project/nix", body)[0] == 403
    add_user("ann", roles=("create-projects",)).put("/project/nix", body, 201)


def test_a_wrong_proof_reads_nothing(parts, names):
    """Not even what is public."""
    for path in SHARED:
        assert Caller(parts.app, "cis_wrong").refusal("GET", path.format(**names))[0] == 403


def test_faults_are_not_told_to_who_may_not_try(anybody, names):
    """First who asks, then what."""
    body = {"enabled": "x", "inputs": 5}
    status, message = anybody.refusal("PUT", f"/jobset/{names['project']}/main", body)
    assert (status, message) == (403, "This page requires you to sign in.")


# -- what may not be seen -------------------------------------------------------------------------


@pytest.mark.parametrize("visibility", [Visibility.PRIVATE, Visibility.UNLISTED])
def test_what_is_not_public(make, names, anybody, add_user, services, set_visibility, visibility):
    """Private: there for members alone. Unlisted: in no list, there for whoever knows where."""
    project = names["project"]
    make.evaluated(make.jobset(project), make_job())
    ann, rob = add_user("ann"), add_user("rob")
    services.projects.set_member(ADMIN, project, "ann", frozenset({"evaluate"}))
    set_visibility(project, visibility)
    latest = f"/api/latestbuilds?nr=9&project={project}"
    for caller, is_member in ((anybody, False), (rob, False), (ann, True)):
        seen = is_member or visibility is Visibility.UNLISTED
        for address in SHARED[1:]:
            status = caller.ask("GET", address.format(**names)).status_code
            assert status == (200 if seen else 404), address
        listed = [one["name"] for one in caller.get("/")]
        assert listed == [project] * is_member
        assert len(caller.get(latest)) == is_member
    for method, path, body in CHANGES:
        status = rob.ask(method, path.format(**names), body).status_code
        # To save a project that is not there is to make one.
        is_hidden = visibility is Visibility.PRIVATE and (method, path) != CHANGES[0][:2]
        assert status == (404 if is_hidden else 403)
