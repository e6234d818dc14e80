"""Who may ask, and who sees what."""

import base64
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from falcon.testing import TestClient
from support.factories import ADMIN, make_job
from support.prepared import add_account

from ciserver.dialects.selfserve.words import FILES_VARIABLE
from ciserver.model.account import Actor, Right, Visibility
from ciserver.model.status import BuildStatus
from ciserver.service.submissions import ManifestSubmission

PASSWORD = "correct horse battery"
BASIC = 'Basic realm="ciserver"'
REVISION = "9" * 40
CHANGES = [
    ("POST", "/main/build", {"build_id": 1}, Right.EVALUATE),
    ("POST", "/main/request", {"request_id": 1}, Right.EVALUATE),
    ("PUT", "/main/request/2", {"priority": 1}, Right.BUMP),
    ("DELETE", "/main/request/1", {}, Right.CANCEL),
    ("DELETE", "/main/build/1", {}, Right.CANCEL),
    ("DELETE", f"/main/rev/{REVISION}", {}, Right.CANCEL),
    ("POST", f"/main/rev/{REVISION}", {}, Right.EVALUATE),
    ("POST", f"/main/rev/{REVISION}/nightly", {}, Right.EVALUATE),
    ("POST", f"/main/rev/{REVISION}/pgo", {}, Right.EVALUATE),
    ("POST", f"/main/builders/linux64/{REVISION}", {}, Right.EVALUATE),
]
change = pytest.mark.parametrize(("method", "path", "form", "right"), CHANGES)


@pytest.fixture
def builds(factory, main):
    """Build 1 has ended, build 2 waits."""
    done = factory.build(BuildStatus.SUCCEEDED, jobset=main, name="linux64")
    return done, factory.build(jobset=main)


@change
def test_a_stranger_changes_nothing(stranger, builds, method, path, form, right):
    """401 with a challenge that a browser and a library understand."""
    answer = stranger.ask(method, path, form=form)
    assert (answer.status_code, answer.json["status"]) == (401, "FAILED")
    assert answer.headers["www-authenticate"] == BASIC
    nowhere = path.replace("/main", "/nowhere", 1)
    assert stranger.refusal(method, nowhere, form=form)[0] == 401
    assert stranger.read("/jobs") == []


@pytest.mark.parametrize("proof", ["Bearer cis_wrong", "Basic !!!", "Basic YWRhOndyb25n"])
def test_a_wrong_proof_is_refused_everywhere(stranger, builds, proof):
    """Whether the name, the password or the token is wrong, and also where none is needed."""
    stranger.headers = {"Authorization": proof}
    for method, path in (("GET", "/branches"), ("GET", ""), ("DELETE", "/main/build/1")):
        answer = stranger.ask(method, path)
        assert (answer.status_code, answer.json["status"]) == (401, "FAILED")
        assert answer.headers["www-authenticate"] == BASIC


@change
def test_each_right_allows_its_own_calls(
    make_caller, services, main, builds, method, path, form, right
):
    """Somebody known without it gets 403; with it, 202. A token needs its scope, too."""
    grace = make_caller("grace", "*")
    reader = make_caller("reader", "builds:read")
    writer = make_caller("writer", "builds:write")
    for name in ("grace", "reader", "writer"):
        others = frozenset(Right) - {right, Right.EDIT}
        services.projects.set_member(ADMIN, main.project, name, others)
    for caller in (grace, reader, writer):
        assert caller.refusal(method, path, form=form)[0] == 403
    for name in ("grace", "reader", "writer"):
        services.projects.set_member(ADMIN, main.project, name, frozenset({right}))
    assert reader.refusal(method, path, form=form)[0] == 403
    grace.change(method, path, **form)
    writer.change(method, path, **form)


def test_an_expired_token_is_none(make_caller, clock, builds):
    """It was good until then."""
    caller = make_caller("ada", "*", admin=True, expires_at=clock.now() + timedelta(hours=1))
    caller.change("DELETE", "/main/build/1")
    clock.forward(hours=2)
    assert caller.refusal("DELETE", "/main/build/1")[0] == 401


@pytest.mark.parametrize("half", ["password", "token"])
def test_basic_takes_a_password_or_a_token(parts, services, stranger, builds, half):
    """Of the user whose name stands before it."""
    services.access.add_user(ADMIN, "ada", email="", password=PASSWORD, admin=True)
    token, _ = services.access.add_token(ADMIN, "ada", ("builds:write",), None)
    proof = f"ada:{PASSWORD if half == 'password' else token}"
    stranger.headers = {"Authorization": f"Basic {base64.b64encode(proof.encode()).decode()}"}
    made = stranger.change("DELETE", "/main/build/1")
    assert stranger.read(f"/jobs/{made}")["who"] == "ada"


HOST = "http://falconframework.org"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def session(parts, services):
    """The cookie of ada, who signed in, and what her forms carry."""
    add_account(parts, "ada", PASSWORD, admin=True)
    made = services.access.sign_in("ada", PASSWORD)
    return {"ciserver_session": made}, services.access.signed_in(made).csrf


def post(caller, session, origin, **fields):
    headers = {"Origin": origin, "Accept": "application/json", "Content-Type": FORM}
    return caller.client.simulate_request(
        *("POST", "/self-serve/main/build"),
        headers=headers,
        cookies=session[0],
        body=urlencode({"build_id": 1, **fields}),
    )


def test_a_session_counts(stranger, session, builds):
    """From our own pages, whose forms carry its token; another site's form changes nothing."""
    _, csrf = session
    assert post(stranger, session, HOST, csrf=csrf).status_code == 202
    for origin, fields in (
        (HOST, {}),
        (HOST, {"csrf": "wrong"}),
        ("http://evil.example.org", {"csrf": csrf}),
        ("null", {"csrf": csrf}),
    ):
        answer = post(stranger, session, origin, **fields)
        assert (answer.status_code, answer.json["status"]) == (403, "FAILED")
    assert [one["who"] for one in stranger.read("/jobs")] == ["ada"]


def test_a_session_deletes_from_our_own_pages_alone(stranger, session, builds):
    """What is no form has no token, so it names the page that asks."""
    for headers, status in (({}, 403), ({"Origin": "http://x.test"}, 403), ({"Origin": HOST}, 202)):
        answer = stranger.client.simulate_request(
            *("DELETE", "/self-serve/main/build/1"),
            headers={"Accept": "application/json", **headers},
            cookies=session[0],
        )
        assert answer.status_code == status


# -- a front end that says who asks ---------------------------------------------------------------


def ask_as(app, name, *, peer, **headers):
    answer = TestClient(app).simulate_request(
        *("DELETE", "/self-serve/main/build/1"),
        headers={"Accept": "application/json", "X-Remote-User": name, **headers},
        remote_addr=peer,
    )
    return answer.status_code


@pytest.fixture
def known(parts):
    add_account(parts, "ada", PASSWORD, admin=True)


def test_a_front_end_says_who_asks(make_app, parts, stranger, known, builds):
    """From where it is configured to stand; its word goes before other proofs."""
    app = make_app(remote_user_from=("10.1.0.0/16", "::1"))
    assert ask_as(app, "ada", peer="10.1.2.3") == 202
    assert ask_as(app, "ada", peer="::1", Authorization="Basic YWRhOndyb25n") == 202
    assert [one["who"] for one in stranger.read("/jobs")] == ["ada", "ada"]


def test_nobody_else_says_who_asks(make_app, parts, known, builds):
    """Neither by default, nor from another address, nor through a header that tells another."""
    assert ask_as(parts.app, "ada", peer="127.0.0.1") == 401
    app = make_app(remote_user_from=("10.1.0.0/16",))
    assert ask_as(app, "ada", peer="10.2.0.1") == 401
    assert ask_as(app, "ada", peer="10.2.0.1", **{"X-Forwarded-For": "10.1.0.1"}) == 401


def test_whom_a_front_end_names_must_have_an_account(make_app, parts, known, builds):
    """Names that the server itself acts under are none; no name is none."""
    app = make_app(remote_user_from=("10.1.0.0/16",))
    for name in ("nobody", "administrator", "", "  "):
        assert ask_as(app, name, peer="10.1.0.1") == 401


def test_a_front_end_counts_in_self_serve_alone(make_app, parts, known):
    """Elsewhere the header is not looked at."""
    app = make_app(remote_user_from=("10.1.0.0/16",))
    answer = TestClient(app).simulate_get(
        "/ci/v1/users", headers={"X-Remote-User": "ada"}, remote_addr="10.1.0.1"
    )
    assert answer.status_code == 401


# -- what is not for everybody --------------------------------------------------------------------


@pytest.fixture
def hidden(set_visibility, main, builds):
    """The project of the branch is private."""
    set_visibility(main.project)


READS = [
    *("/main", "/main/build/1", "/main/request/1", "/main/builders", "/main/user/ada"),
    *("/main/rev/0000", "/main/rev/0000/is_done"),
]


def test_a_private_branch_is_not_there(hidden, stranger, make_caller):
    """Neither for a stranger nor for somebody without rights in it, in any list."""
    for caller in (stranger, make_caller("mallory", "*")):
        for path in READS:
            full = path.replace("/main", "/project-1:main", 1)
            assert caller.refusal("GET", path) == (404, "Branch main not found")
            assert caller.refusal("GET", full) == (404, "Branch project-1:main not found")
        assert caller.read("/branches") == {}


@change
def test_a_private_branch_cannot_be_changed(hidden, make_caller, method, path, form, right):
    """Nor told from one that is not there."""
    refused = make_caller("mallory", "*").refusal(method, path, form=form)
    assert refused == (404, "Branch main not found")


def test_a_member_sees_a_private_branch(hidden, make_caller, services, main):
    """And so does an administrator."""
    grace, root = make_caller("grace", "builds:read"), make_caller("ada", "*", admin=True)
    services.projects.set_member(ADMIN, main.project, "grace", frozenset({Right.CANCEL}))
    for caller in (grace, root):
        assert [caller.ask("GET", path).status_code for path in READS] == [200] * len(READS)
        assert set(caller.read("/branches")) == {"main"}


def test_job_requests_about_a_private_branch(hidden, ada, stranger, make_caller):
    """Are seen by whoever asked and by whoever sees the branch."""
    made = ada.change("DELETE", "/main/build/1")
    assert len(ada.read("/jobs")) == 1
    for caller in (stranger, make_caller("mallory", "*")):
        assert caller.read("/jobs") == []
        assert caller.refusal("GET", f"/jobs/{made}") == (404, f"Job {made} not found")


def test_an_unlisted_branch_is_for_whoever_knows_its_name(set_visibility, main, builds, stranger):
    """It is in no list of branches."""
    set_visibility(main.project, Visibility.UNLISTED)
    assert stranger.read("/branches") == {}
    assert len(stranger.read("/main")) == 2
    assert stranger.read("/main/build/1")["build_id"] == 1


def test_what_somebody_submitted_for_few_is_in_no_list(services, stranger, make_caller):
    """Also not by the name of its builder."""
    make_caller("grace", "*")
    grace = Actor("grace", scopes=("*",))
    manifest = "image: host\ntasks:\n  - secret: echo\n"
    made = services.submissions.submit(
        grace, ManifestSubmission(manifest, visibility=Visibility.PRIVATE)
    )
    assert stranger.read("/~grace:jobs") == []
    assert stranger.read("/~grace:jobs/builders") == []
    assert stranger.refusal("GET", f"/~grace:jobs/request/{made.id}")[0] == 404


def test_properties_are_shown_without_the_files(ada, factory, main):
    """Whoever sees a request sees what it was asked with."""
    factory.evaluated(main, make_job(name="linux64"))
    ada.change("POST", f"/main/builders/linux64/{REVISION}", files='["a"]', properties='{"b": 1}')
    (row,) = ada.read("/jobs")
    assert row["what"]["files"] == ["a"]
    assert FILES_VARIABLE not in row["what"]["properties"]
