"""/ci/v1: builds that are submitted, and what can be done with builds; the trail of it all."""

import pytest

from ciserver.model.status import BuildStatus

RECIPE = "image: host\ntasks:\n  - work: echo worked\n"
BUILDS = "/ci/v1/builds"


def complaints_of(answer):
    assert answer.status_code == 400, answer.text
    return {one["field"]: one["message"] for one in answer.json["error"]["complaints"]}


def code_of(answer):
    return answer.status_code, answer.json["error"]["code"]


# -- submitted ------------------------------------------------------------------------------------


def test_a_recipe_is_submitted(script, stranger):
    """201 with the build, in a project of the submitter's own, with what it was sent with."""
    asked = {"manifest": RECIPE, "note": "Does it work?", "tags": ["try", "it"]}
    made = script.post(BUILDS, json=asked)
    assert made.status_code == 201
    assert (made.json["status"], made.json["project"]) == ("queued", "~user0")
    found = stranger.get(f"{BUILDS}/{made.json['id']}").json
    assert (found["note"], found["tags"], found["requested_by"]) == (
        "Does it work?",
        ["try", "it"],
        "user0",
    )
    assert (found["visibility"], found["trust"], found["kept"]) == ("public", "trusted", False)


def test_a_held_build_waits_until_it_is_started(script):
    """It says why it waits; once started it cannot be started again."""
    held = script.post(BUILDS, json={"manifest": RECIPE, "hold": True}).json
    path = f"{BUILDS}/{held['id']}"
    assert held["status"] == "held"
    assert script.get(path).json["waiting_for"] == "it is held until somebody starts it"
    started = script.post(f"{path}/start")
    assert (started.status_code, started.json["status"]) == (202, "queued")
    assert code_of(script.post(f"{path}/start")) == (409, "build-already-started")


def test_a_private_build_is_shared_by_name(script, stranger, make_script, acting, services, admin):
    """Whom it names sees it, and with `writers` may cancel it; nobody else finds it."""
    for name in ("reader", "writer"):
        services.access.add_user(admin, name, email="", password="correct horse", admin=False)
    asked = {"manifest": RECIPE, "visibility": "private"}
    made = script.post(BUILDS, json=asked | {"readers": ["reader"], "writers": ["writer"]}).json
    path = f"{BUILDS}/{made['id']}"
    assert stranger.get(path).status_code == make_script("*").get(path).status_code == 404
    assert acting("reader").get(path).status_code == 200
    assert acting("reader").post(f"{path}/cancel").status_code == 403
    assert acting("writer").post(f"{path}/cancel").status_code == 202


def test_bad_submissions_are_refused(script):
    """Every fault with its field, those of the recipe too; nothing is made."""
    typed = {"manifest": 5, "tags": "x", "visibility": "secret", "hold": 1, "color": "red"}
    assert set(complaints_of(script.post(BUILDS, json=typed))) == set(typed)
    assert set(complaints_of(script.post(BUILDS, json={}))) == {"manifest"}
    wrong = {"manifest": "image: host\ntask: 1\n", "tags": ["a b"], "readers": ["nobody"]}
    assert set(complaints_of(script.post(BUILDS, json=wrong))) == {"manifest", "tags[0]", "readers"}
    assert script.get(BUILDS).json["builds"] == []


# -- changed --------------------------------------------------------------------------------------


def test_a_build_is_built_again(works, script):
    """New builds of the same, as many as were asked for; the old one stays as it is."""
    lease = works.finished()
    answer = script.post(f"{BUILDS}/{lease.build_id}/rebuild", json={"count": 2, "priority": 3})
    assert answer.status_code == 202
    one, two = answer.json["builds"]
    assert [each["status"] for each in (one, two)] == ["queued", "queued"]
    assert (one["priority"], one["revision"], one["requested_by"]) == (3, two["revision"], "user0")
    assert script.get(f"{BUILDS}/{lease.build_id}").json["status"] == "succeeded"
    for fault in ({"count": 0}, {"count": 101}, {"priority": 10**9}, {"count": "2"}):
        again = script.post(f"{BUILDS}/{lease.build_id}/rebuild", json=fault)
        assert set(complaints_of(again)) == set(fault), fault


def test_the_priority_of_a_waiting_build_changes(works, script):
    """Not of one that runs or has ended."""
    build = works.build()
    path = f"{BUILDS}/{build}/priority"
    assert script.post(path, json={"priority": 7}).json["priority"] == 7
    assert set(complaints_of(script.post(path, json={}))) == {"priority"}
    lease = works.claim()
    assert code_of(script.post(path, json={"priority": 1})) == (409, "build-already-started")
    works.finish(lease)
    assert code_of(script.post(path, json={"priority": 1})) == (409, "build-already-finished")


def test_a_good_build_is_kept(works, script):
    """And no more; one that failed is not worth keeping."""
    path = f"{BUILDS}/{works.finished().build_id}"
    assert script.post(f"{path}/keep").json["kept"] is True
    assert script.post(f"{path}/unkeep").json["kept"] is False
    failed = works.running()
    works.finish(failed, BuildStatus.FAILED)
    refused = script.post(f"{BUILDS}/{failed.build_id}/keep")
    assert code_of(refused) == (409, "build-not-finished")


def test_a_finished_build_is_deleted(works, script, stranger):
    """Nobody finds it any more; one that is under way stays."""
    lease = works.running()
    path = f"{BUILDS}/{lease.build_id}"
    assert code_of(script.post(f"{path}/delete")) == (409, "build-not-finished")
    works.finish(lease)
    assert script.post(f"{path}/delete").json == {"deleted": lease.build_id}
    for place in (path, f"/build/{lease.build_id}", f"{path}/steps/1/log"):
        assert stranger.get(place).status_code == 404
    assert stranger.get(BUILDS).json["builds"] == []


@pytest.mark.parametrize("verb", ["rebuild", "start", "priority", "keep", "unkeep", "delete"])
def test_changes_of_unknown_builds_are_refused(verb, script):
    """400 for what is no id, 404 for what is no build."""
    body = {"priority": 1} if verb == "priority" else {}
    assert script.post(f"{BUILDS}/x/{verb}", json=body).status_code == 400
    assert script.post(f"{BUILDS}/99/{verb}", json=body).status_code == 404


# -- the trail ------------------------------------------------------------------------------------


def test_every_change_is_in_the_trail(works, script, stranger, make_script):
    """Who asked for what and what came of it, also when it was refused."""
    build = works.build()
    make_script("*").post(f"{BUILDS}/{build}/cancel")
    script.post(f"{BUILDS}/{build}/cancel")
    made = script.post(f"{BUILDS}/{build}/rebuild").json["builds"][0]["id"]
    rebuilt, canceled, refused = stranger.get("/ci/v1/requests", params={"limit": 3}).json[
        "requests"
    ]
    assert (rebuilt["action"], rebuilt["created"], rebuilt["status"]) == ("rebuild", [made], "done")
    assert (canceled["action"], canceled["who"], canceled["what"]) == (
        "cancel-build",
        "user0",
        {"build": build},
    )
    assert (refused["who"], refused["status"]) == ("user1", "failed")
    assert refused["message"] == "you lack the right to cancel in project project"
    assert stranger.get(f"/ci/v1/requests/{canceled['id']}").json == canceled


def test_the_trail_is_read_in_pages(script, stranger, watched):
    """`next` leads on, and is null at the end."""
    for _ in range(4):
        script.request("PATCH", "/ci/v1/projects/project", json={})
    first = stranger.get("/ci/v1/requests", params={"limit": 3}).json
    rest = stranger.get("/ci/v1/requests", params={"limit": 3, "offset": first["next"]}).json
    ids = [one["id"] for one in (*first["requests"], *rest["requests"])]
    assert (ids, rest["next"]) == (sorted(ids, reverse=True), None)
    assert len(set(ids)) == 5  # the one that watched is the first
    far = stranger.get("/ci/v1/requests", params={"offset": 2**63 - 1})
    assert (far.status_code, far.json) == (200, {"requests": [], "next": None})
    for bad in ("offset=x", "limit=-1", f"offset={2**63}"):
        assert stranger.get(f"/ci/v1/requests?{bad}").status_code == 400


def test_what_is_nobody_elses_business_is_not_in_the_trail(script, stranger, make_script):
    """Accounts and tokens: for administrators, and for who asked."""
    script.request("PATCH", "/ci/v1/users/user0", json={"full_name": "U"})
    own = script.get("/ci/v1/requests").json["requests"][0]
    assert (own["action"], own["what"]) == ("change-user", {"user": "user0"})
    for other in (stranger, make_script("*")):
        assert "change-user" not in other.get("/ci/v1/requests").text
        assert other.get(f"/ci/v1/requests/{own['id']}").status_code == 404
    assert stranger.get("/ci/v1/requests/x").status_code == 400


def test_no_secret_is_in_the_trail(script, watched):
    """Not a password, a token, a link, or the secret of a hook."""
    secret = "correct horse battery staple"
    script.post("/ci/v1/users", json={"name": "grace", "password": secret})
    script.post("/ci/v1/projects/project/hook-secrets", json={"value": secret})
    link = script.post("/ci/v1/users/grace/links").json["url"].rpartition("/")[2]
    token = script.post("/ci/v1/users/grace/tokens", json={"scopes": ["*"]}).json["token"]
    watch = {"name": "other", "uri": "https://git.example.org/a.git", "password": secret}
    script.post("/ci/v1/projects", json=watch)
    told = script.get("/ci/v1/requests")
    actions = [one["action"] for one in told.json["requests"]]
    assert actions[:5] == ["add-project", "add-token", "add-link", "add-hook-secret", "add-user"]
    for each in (secret, link, token):
        assert each not in told.text


def test_a_password_in_an_address_is_not_in_the_trail(script, make_script, watched):
    """Not even of somebody who may watch nothing."""
    asked = {"name": "project", "uri": "https://ada:hunter2hunter2@git.example.org/a.git"}
    assert make_script("*").post("/ci/v1/projects", json=asked).status_code == 403
    assert script.post("/ci/v1/projects", json=asked).status_code == 400
    told = script.get("/ci/v1/requests")
    assert told.json["requests"][0]["action"] == "add-project"
    assert "hunter2" not in told.text
