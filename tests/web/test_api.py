"""/ci/v1: each route once good and once bad, and the one shape of every refusal."""

import base64
import json
from urllib.parse import urlsplit

import pytest

from ciserver import __version__

HUGE = str(2**63)


def complaints_of(answer):
    assert answer.status_code == 400, answer.text
    return {one["field"]: one["message"] for one in answer.json["error"]["complaints"]}


def error_of(answer):
    """The error of a refusal, whose shape is always the same."""
    error = answer.json["error"]
    assert set(answer.json) == {"error"}
    assert {"code", "message", "hint"} <= set(error) <= {"code", "message", "hint", "complaints"}
    assert answer.headers["content-type"] == "application/json"
    return error


def path_of(url):
    whole = urlsplit(url)
    return f"{whole.path}?{whole.query}" if whole.query else whole.path


# -- projects -------------------------------------------------------------------------------------


def test_projects_are_watched_and_listed(script, stranger, repository):
    """What POST made, GET lists; the secret of the hook is told once, to the one who made it."""
    asked = {"name": "hello", "uri": str(repository.bare), "local": True}
    made = script.post("/ci/v1/projects", json=asked)
    assert made.status_code == 201
    assert made.json["hook_secret"].startswith("whsec_")
    assert made.json["hook_url"].endswith("/hooks/generic/hello")
    (listed,) = stranger.get("/ci/v1/projects").json
    assert (listed["name"], listed["jobsets"][0]["name"]) == ("hello", "main")
    assert made.json["hook_secret"] not in stranger.get("/ci/v1/projects").text


def test_a_bad_project_is_refused_with_every_fault(script):
    """All complaints at once, each with its field."""
    wrong = {"name": 5, "refs": ["refs/heads/*", 7], "local": "yes", "color": "red"}
    answer = script.post("/ci/v1/projects", json=wrong)
    assert set(complaints_of(answer)) == {"name", "uri", "refs", "local", "color"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "../x"}, "invalid"),
        ({"name": "x", "refs": []}, "invalid"),
        ({"name": "x", "refs": ["main"]}, "invalid"),
        ({"name": "x", "uri": "ext::sh -c id"}, "bad-address"),
        ({"name": "x", "uri": "https://git.example.org/\ud800"}, "invalid"),
    ],
)
def test_what_cannot_be_watched_is_a_bad_request(fields, code, script):
    """Names, refs and addresses are checked before anything is written."""
    body = {"uri": "https://git.example.org/a.git", **fields}
    answer = script.post("/ci/v1/projects", body=json.dumps(body))
    assert (answer.status_code, error_of(answer)["code"]) == (400, code)
    assert script.get("/ci/v1/projects").json == []


def test_a_name_stands_for_one_repository(script, watched):
    """409 when a project of that name watches something else."""
    other = {"name": "project", "uri": "https://git.example.org/other.git"}
    answer = script.post("/ci/v1/projects", json=other)
    assert (answer.status_code, error_of(answer)["code"]) == (409, "already-exists")


def test_hook_secrets_are_added(script, watched, services):
    """A given secret is used as it is, and 201 says which one counts from now on."""
    value = "a secret of sixteen or more"
    answer = script.post("/ci/v1/projects/project/hook-secrets", json={"value": value})
    assert (answer.status_code, answer.json) == (201, {"secret": value})
    made = script.post("/ci/v1/projects/project/hook-secrets", json={}).json["secret"]
    assert {value, made, watched.hook_secret} == set(services.queries.hook_secrets("project"))


def test_bad_hook_secrets_are_refused(script, watched):
    """Too short, not text, or for no project."""
    path = "/ci/v1/projects/project/hook-secrets"
    assert set(complaints_of(script.post(path, json={"value": "short"}))) == {"value"}
    assert set(complaints_of(script.post(path, json={"value": ["x"] * 20}))) == {"value"}
    unfit = script.post(path, body='{"value": "sixteen characters \\ud800"}')
    assert set(complaints_of(unfit)) == {"value"}
    assert script.post("/ci/v1/projects/other/hook-secrets", json={}).status_code == 404


def test_the_signing_secret_is_told_to_administrators(script, make_script, watched):
    """It is what receivers of webhooks check with."""
    path = "/ci/v1/projects/project/signing-secret"
    assert script.get(path).json["secret"].startswith("whsec_")
    assert script.get("/ci/v1/projects/other/signing-secret").status_code == 404
    assert make_script("*").get(path).status_code == 403


# -- evaluations and builds -----------------------------------------------------------------------


def test_evaluations_and_builds_are_read_without_a_token(works, stranger):
    """A finished build tells its steps, log and product to anybody."""
    lease = works.finished()
    evaluation = stranger.get("/ci/v1/evaluations/1").json
    (build,) = evaluation["builds"]
    assert (evaluation["status"], build["id"]) == ("succeeded", lease.build_id)
    whole = stranger.get(f"/ci/v1/builds/{lease.build_id}").json
    assert (whole["status"], whole["is_final"]) == ("succeeded", True)
    steps = whole["attempts"][0]["steps"]
    assert [one["name"] for one in steps] == ["setup", "build", "test"]
    (product,) = whole["products"]
    assert stranger.get(path_of(product["url"])).content == b"made\n"
    assert stranger.get(path_of(steps[1]["log_url"])).content == b"built\n"


def test_builds_are_listed_in_pages(works, stranger):
    """Newest first; `next` leads to the rest, and a jobset can be asked for alone."""
    ids = [works.build() for _ in range(3)]
    first = stranger.get("/ci/v1/builds", params={"limit": 2}).json
    assert [one["id"] for one in first["builds"]] == ids[:0:-1]
    rest = stranger.get("/ci/v1/builds", params={"before": first["next"]}).json
    assert ([one["id"] for one in rest["builds"]], rest["next"]) == (ids[:1], None)
    mine = stranger.get("/ci/v1/builds", params={"project": "project"}).json
    assert len(mine["builds"]) == 3
    assert stranger.get("/ci/v1/builds", params={"project": "other"}).status_code == 404
    assert stranger.get("/ci/v1/builds", params={"limit": "many"}).status_code == 400


NUMBERED = (
    "/ci/v1/evaluations/{id}",
    "/ci/v1/builds/{id}",
    "/ci/v1/builds/{id}/steps/1/log",
    "/ci/v1/builds/1/steps/{id}/log",
    "/ci/v1/builds/1/steps/1/log?attempt={id}",
    "/eval/{id}",
    "/build/{id}",
    "/build/{id}/step/1",
    "/build/{id}/log/build",
    "/build/1/log/build?attempt={id}",
    "/build/1/step/{id}",
    "/build/1/step/{id}/lines",
    "/build/{id}/product/1/a.txt",
    "/build/1/product/{id}/a.txt",
)
COUNTED = (
    "/ci/v1/builds?before={id}",
    "/ci/v1/builds?limit={id}",
    "/ci/v1/builds/1/steps/1/log?offset={id}",
    "/ci/v1/builds/1/steps/1/log?wait={id}",
    "/build/1/step/1/lines?offset={id}",
    "/build/1/step/1/lines?line={id}",
    "/queue?before={id}",
    "/jobset/project/main?before={id}",
)


def test_ids_that_cannot_be_are_refused(works, stranger):
    """What is no number of 63 bits is 400; a number that stands for nothing is 404."""
    works.finished()
    bad = ("x", "-1", "1.0", HUGE, "9" * 400, "%D9%A3", "1%00", "0x1", "1e3", "%ED%A0%80")
    answers = {
        (path, one): stranger.get(path.format(id=one)).status_code
        for path in NUMBERED + COUNTED
        for one in bad
    }
    assert answers == dict.fromkeys(answers, 400)
    far = {path: stranger.get(path.format(id=2**63 - 1)).status_code for path in NUMBERED}
    assert far == dict.fromkeys(NUMBERED, 404)
    most = {path: stranger.get(path.format(id=2**63 - 1)).status_code for path in COUNTED}
    assert most == dict.fromkeys(COUNTED, 200)


@pytest.mark.parametrize("verb", ["cancel", "rerun"])
def test_changes_of_unknown_builds_are_refused(verb, script):
    """400 for what is no id, 404 for what is no build."""
    assert script.post(f"/ci/v1/builds/x/{verb}").status_code == 400
    assert script.post(f"/ci/v1/builds/{HUGE}/{verb}").status_code == 400
    assert script.post(f"/ci/v1/builds/99/{verb}").status_code == 404


def test_a_build_is_canceled_and_run_again(works, script):
    """202 with the build as it is now; each is refused in the wrong state."""
    path = f"/ci/v1/builds/{works.build()}"
    early = script.post(f"{path}/rerun")
    assert (early.status_code, error_of(early)["code"]) == (409, "build-not-finished")
    canceled = script.post(f"{path}/cancel")
    assert (canceled.status_code, canceled.json["status"]) == (202, "canceled")
    late = script.post(f"{path}/cancel")
    assert (late.status_code, error_of(late)["code"]) == (409, "build-already-finished")
    again = script.post(f"{path}/rerun")
    assert (again.status_code, again.json["status"]) == (202, "queued")


def test_a_log_is_read_from_an_offset(works, stranger):
    """The headers say where to go on and whether anything will follow."""
    lease = works.running()
    works.log(lease, b"one\ntwo\n")
    path = f"/ci/v1/builds/{lease.build_id}/steps/1/log"
    part = stranger.get(path, params={"offset": 4})
    assert (part.content, part.headers["x-log-next"]) == (b"two\n", "8")
    assert part.headers["x-log-complete"] == "false"
    works.finish(lease)
    end = stranger.get(path, params={"offset": 8})
    assert (end.content, end.headers["x-log-complete"]) == (b"", "true")
    far = stranger.get(path, params={"offset": 2**63 - 1})
    assert (far.status_code, far.content) == (200, b"")
    assert stranger.get(path, params={"offset": "x"}).status_code == 400


def test_the_queue_says_why_builds_wait(works, stranger):
    """Running and waiting builds, and the reason of each that waits."""
    lease, waiting = works.running(), works.build()
    queue = stranger.get("/ci/v1/queue").json
    assert [one["id"] for one in queue["running"]] == [lease.build_id]
    (told,) = queue["waiting"]
    assert (told["id"], queue["waiting_total"]) == (waiting, 1)
    assert told["waiting_for"] == "no engine runs builds right now"


# -- deliveries -----------------------------------------------------------------------------------


def test_deliveries_are_listed_and_sent_again(works, script):
    """A webhook that a recipe asked for can be looked at and repeated."""
    works.finished(
        recipe="image: host\ntasks:\n  - build: echo built\ntriggers:\n"
        "  - action: webhook\n    condition: always\n    url: https://hooks.example.org/ci\n"
    )
    (listed,) = script.get("/ci/v1/deliveries").json
    path = f"/ci/v1/deliveries/{listed['id']}"
    one = script.get(path).json
    assert (one["target"], one["status"]) == ("https://hooks.example.org/ci", "pending")
    assert script.post(f"{path}/resend").status_code == 202
    assert script.get("/ci/v1/deliveries/msg_none").status_code == 404
    assert script.post("/ci/v1/deliveries/msg_none/resend").status_code == 404
    assert script.get("/ci/v1/deliveries?limit=-1").status_code == 400


# -- users ----------------------------------------------------------------------------------------


def test_users_are_made_and_listed_without_their_secrets(script):
    """Names and addresses, never a password or its hash."""
    asked = {"name": "grace", "password": "correct horse", "email": "grace@example.org"}
    assert script.post("/ci/v1/users", json=asked).status_code == 201
    listed = script.get("/ci/v1/users")
    assert {
        "name": "grace",
        "email": "grace@example.org",
        "full_name": "",
        "is_admin": False,
        "roles": [],
    } in listed.json
    assert "argon2" not in listed.text
    again = script.post("/ci/v1/users", json=asked)
    assert (again.status_code, error_of(again)["code"]) == (409, "already-exists")


def test_bad_users_are_refused(script):
    """Every fault with its field; text that cannot be stored is one."""
    bad = {"name": "a b", "password": "short", "email": "no address"}
    answer = script.post("/ci/v1/users", json=bad)
    assert set(complaints_of(answer)) == {"name", "password", "email"}
    unfit = script.post("/ci/v1/users", body='{"name": "x", "password": "long enough \\udfff"}')
    assert set(complaints_of(unfit)) == {"password"}
    typed = script.post("/ci/v1/users", json={"name": "x", "password": "long enough", "admin": 1})
    assert set(complaints_of(typed)) == {"admin"}


def test_only_what_is_given_of_a_user_changes(script, make_script):
    """The rest stays; it counts from the next request on."""
    other = make_script("*")
    path = "/ci/v1/users/user1"
    before = next(one for one in script.get("/ci/v1/users").json if one["name"] == "user1")
    for given, told in (
        ({"roles": ["cancel", "create-projects"]}, {"roles": ["cancel", "create-projects"]}),
        ({"email": "grace@example.org"}, {"email": "grace@example.org"}),
        ({"full_name": "Grace"}, {"full_name": "Grace"}),
        ({"roles": []}, {"roles": []}),
        ({}, {}),
        ({"admin": True}, {"is_admin": True}),
    ):
        before |= told
        answer = script.request("PATCH", path, json=given)
        assert (answer.status_code, answer.json) == (200, before), given
    assert other.get("/ci/v1/users").status_code == 200


def test_bad_changes_of_a_user_are_refused(script):
    """Every fault with its field; an unknown user is not found."""
    typed = {"roles": "cancel", "email": 5, "admin": "yes", "password": "x"}
    answer = script.request("PATCH", "/ci/v1/users/user0", json=typed)
    assert set(complaints_of(answer)) == set(typed)
    wrong = {"roles": ["fly"], "email": "nobody"}
    answer = script.request("PATCH", "/ci/v1/users/user0", json=wrong)
    assert set(complaints_of(answer)) == set(wrong)
    assert script.request("PATCH", "/ci/v1/users/nobody", json={}).status_code == 404


def test_tokens_are_made_with_scopes_and_an_end(script, stranger, clock, works):
    """A token works until it expires, for its scopes."""
    build = works.build()
    asked = {"scopes": ["builds:read"], "expires_in_days": 2}
    made = script.post("/ci/v1/users/user0/tokens", json=asked)
    assert made.status_code == 201
    header = {"Authorization": f"Bearer {made.json['token']}"}
    assert stranger.get("/ci/v1/deliveries", headers=header).status_code == 200
    assert stranger.post(f"/ci/v1/builds/{build}/cancel", headers=header).status_code == 403
    clock.forward(days=2, seconds=1)
    expired = stranger.get("/ci/v1/deliveries", headers=header)
    assert (expired.status_code, error_of(expired)["code"]) == (401, "not-signed-in")


def test_bad_tokens_are_refused(script):
    """The complaint names the field that is wrong."""
    for fault, wrong in (
        ("scopes", [None, [], ["everything"], "builds:read", [["builds:read"]]]),
        ("expires_in_days", [-1, True, 10**12, 10**400, 1.5, "2", None]),
    ):
        for value in wrong:
            asked = {"scopes": ["*"], fault: value}
            answer = script.post("/ci/v1/users/user0/tokens", json=asked)
            assert set(complaints_of(answer)) == {fault}, value


def test_links_and_tokens_are_for_known_users(script):
    """404 for a user that is not there."""
    assert script.post("/ci/v1/users/nobody/links").status_code == 404
    asked = {"scopes": ["*"]}
    assert script.post("/ci/v1/users/nobody/tokens", json=asked).status_code == 404
    made = script.post("/ci/v1/users/user0/links")
    assert made.status_code == 201
    assert "/welcome/" in made.json["url"]


# -- who asks -------------------------------------------------------------------------------------


def test_a_token_comes_by_header_in_any_usual_way(make_token, stranger):
    """Bearer, token, or Basic as password or as user name."""
    token = make_token("builds:read")
    password, name = (
        base64.b64encode(pair.encode()).decode() for pair in (f"anything:{token}", f"{token}:")
    )
    for header in (
        f"Bearer {token}",
        f"token {token}",
        f"bearer   {token}",
        f"Basic {password}",
        f"Basic {name}",
    ):
        answer = stranger.get("/ci/v1/deliveries", headers={"Authorization": header})
        assert answer.status_code == 200, header


def test_a_wrong_token_is_an_error_even_where_none_is_needed(stranger):
    """Somebody who means to be known must hear that they are not."""
    for value in ("Bearer cis_wrong", "Bearer \u00e9", "token x"):
        answer = stranger.get("/ci/v1/projects", headers={"Authorization": value})
        assert (answer.status_code, error_of(answer)["code"]) == (401, "not-signed-in")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_tokens_do_not_count_in_the_address_or_body(make_token, stranger):
    """An address ends up in logs and histories."""
    token = make_token("*", admin_user=True)
    for name in ("token", "access_token", "private_token"):
        assert stranger.get("/ci/v1/users", params={name: token}).status_code == 401
    assert stranger.get("/ci/v1/users", headers={"Cookie": f"token={token}"}).status_code == 401


def test_a_session_is_no_token(person):
    """The API takes no cookie, so no page of another site can use it through a browser."""
    assert person.get("/ci/v1/users").status_code == 401
    asked = json.dumps({"name": "grace", "password": "correct horse"})
    answer = person.client.simulate_post("/ci/v1/users", body=asked, cookies=person.cookies)
    assert answer.status_code == 401


# -- bodies and refusals --------------------------------------------------------------------------


def test_a_body_that_is_no_object_is_refused(script):
    """400 that says so."""
    for body in (
        b"[1]",
        b'"text"',
        b"{",
        b"\xff\xfe{",
        b'{"name": "a", "name": "b"}',
        b"[" * 200_000,
        b"NaN",
    ):
        answer = script.post("/ci/v1/users", body=body)
        assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid"), body[:20]


def test_a_huge_body_is_refused(script):
    """The API takes at most 1 MiB."""
    answer = script.post("/ci/v1/users", body=json.dumps({"name": "x" * 2_000_000}))
    assert (answer.status_code, error_of(answer)["code"]) == (413, "too-large")


def test_unknown_addresses_and_methods_are_refused_in_json(script):
    """Even to a browser: these paths are for programs."""
    unknown = script.get("/ci/v1/nothing", headers={"Accept": "text/html"})
    assert (unknown.status_code, error_of(unknown)["code"]) == (404, "not-found")
    answer = script.request("DELETE", "/ci/v1/projects")
    assert (answer.status_code, error_of(answer)["code"]) == (405, "http-405")
    assert "GET" in answer.headers["allow"]


def test_a_crash_tells_an_incident_and_no_internals(script, store, capsys):
    """500 with a number to look up; the reason is in the log only."""
    store.database.sql("ALTER TABLE users RENAME TO hidden_away")
    answer = script.client.simulate_get("/ci/v1/projects", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 500
    error = error_of(answer)
    incident = error["message"].rsplit(" ", 1)[-1]
    assert len(incident) == 8
    assert "users" not in answer.text
    logged = capsys.readouterr().out
    assert incident in logged
    assert "no such table" in logged


def test_the_server_says_how_it_is(stranger, store):
    """Alive, ready while the database answers, and which version."""
    assert stranger.get("/healthz").json == {"alive": True}
    assert stranger.get("/readyz").json == {"ready": True}
    assert stranger.get("/version").json == {"name": "ciserver", "version": __version__}
    store.database.sql("ALTER TABLE builds RENAME TO hidden_away")
    assert stranger.get("/readyz").status_code == 500
    assert stranger.get("/healthz").status_code == 200
