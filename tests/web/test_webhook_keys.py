"""The keys of webhooks, by our own API: known to all, changed by administrators."""

import base64


def test_everybody_may_know_them(stranger):
    """The public part alone; the same one each time."""
    answer = stranger.get("/ci/v1/webhook-keys")
    (key,) = answer.json["keys"]
    assert set(key) == {"id", "public_key", "signs"}
    assert len(base64.b64decode(key["public_key"], validate=True)) == 32
    assert stranger.get("/ci/v1/webhook-keys").json == answer.json


def test_another_key(script, stranger, services, admin):
    """It is known at once and used when an administrator says so; who did it is remembered."""
    (old,) = stranger.get("/ci/v1/webhook-keys").json["keys"]
    made = script.post("/ci/v1/webhook-keys", json={})
    assert (made.status_code, made.json["signs"]) == (201, False)
    assert stranger.get("/ci/v1/webhook-keys").json["keys"] == [old, made.json]
    path = f"/ci/v1/webhook-keys/{made.json['id']}"
    assert script.request("DELETE", f"/ci/v1/webhook-keys/{old['id']}").status_code == 409
    assert script.post(f"{path}/use", json={}).json == {**made.json, "signs": True}
    assert script.request("DELETE", f"/ci/v1/webhook-keys/{old['id']}").status_code == 200
    assert [one["id"] for one in stranger.get("/ci/v1/webhook-keys").json["keys"]] == [
        made.json["id"]
    ]
    asked = [one.action.value for one in services.requests.list_newest(admin, limit=4)]
    assert asked[::-1] == [
        "add-webhook-key",
        "remove-webhook-key",
        "use-webhook-key",
        "remove-webhook-key",
    ]


def test_keys_that_are_not_there(script):
    """Are named."""
    for answer in (
        script.post("/ci/v1/webhook-keys/nothing/use", json={}),
        script.request("DELETE", "/ci/v1/webhook-keys/nothing"),
    ):
        assert answer.status_code == 404
        assert "nothing" in answer.json["error"]["message"]


def test_who_may_change_them(make_script, stranger):
    """Administrators, with a token for it."""
    assert stranger.post("/ci/v1/webhook-keys", json={}).status_code == 401
    assert make_script("*").post("/ci/v1/webhook-keys", json={}).status_code == 403
