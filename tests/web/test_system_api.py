"""/ci/v1/systems and the page of workers: which systems there are, and which are active."""

import pytest
from support.factories import ADMIN

from ciserver.engines import make_engine
from ciserver.executor.sandbox import SandboxBroken
from ciserver.machine import native_system
from ciserver.model.build import Offer
from ciserver.model.ports import EngineState, WorkerState
from ciserver.model.request import RequestStatus

SYSTEMS, FEDORA = "/ci/v1/systems", "fedora-40-x86_64"
HERE = native_system()


def faults_of(answer):
    assert answer.status_code == 400, answer.text
    return {one["field"] for one in answer.json["error"]["complaints"]}


class StillEngine:
    """An engine that only says what its workers are."""

    def __init__(self, *workers):
        self._workers = workers

    def ring(self):
        """It runs nothing."""

    def state(self):
        return EngineState(self._workers)


def is_claimed(works, *systems):
    return works.parts.reporter.claim(Offer("local", systems or (HERE,))) is not None


def test_what_workers_run_is_there_by_itself(parts, stranger):
    """For everybody, with the workers that run it."""
    assert stranger.get(SYSTEMS).json == [
        {"id": 1, "name": HERE, "active": True, "labels": {}, "images": [], "workers": []}
    ]
    parts.services.run_on(make_engine(parts, SandboxBroken("no sandbox", "install one")))
    assert stranger.get(f"{SYSTEMS}/{HERE}").json["workers"] == ["local"]


def test_a_worker_of_no_active_system_takes_no_builds(services, stranger):
    """Which is told where workers are told of."""
    services.systems.add(ADMIN, "other-linux")
    services.run_on(StillEngine(WorkerState("near", (HERE, "other-linux"), slots=1, busy=0)))
    for system, reason in ((HERE, ""), ("other-linux", "none of its systems is active")):
        services.systems.change(ADMIN, system, active=False)
        (machine,) = services.status.machines(ADMIN)
        assert machine.idle_because == reason
    assert "none of its systems is active" in stranger.get("/machines").text


def test_a_system_is_added_changed_and_removed(script, stranger, services):
    """By an administrator; only what is given changes, and each change leaves a row."""
    told = {"labels": {"os_release": "fedora", "näme": "x"}, "images": ["fedora:40"]}
    assert faults_of(script.post(SYSTEMS, json={"name": FEDORA, **told})) == {"labels.näme"}
    told["labels"].pop("näme")
    made = script.post(SYSTEMS, json={"name": FEDORA, **told})
    expected = {"id": 2, "name": FEDORA, "active": True, **told, "workers": []}
    assert (made.status_code, made.json) == (201, expected)
    assert script.post(SYSTEMS, json={"name": FEDORA}).status_code == 409
    path = f"{SYSTEMS}/{FEDORA}"
    assert script.request("PATCH", path, json={"active": False}).json == {
        **expected,
        "active": False,
    }
    changed = script.request("PATCH", path, json={"labels": {}, "images": []}).json
    assert changed == {**expected, "active": False, "labels": {}, "images": []}
    assert stranger.get(path).json == changed
    assert script.request("DELETE", path).json == {"removed": FEDORA}
    assert stranger.get(path).status_code == 404
    assert script.request("DELETE", path).status_code == 404
    rows = [one for one in services.requests.list_newest(ADMIN, limit=10) if "system" in one.action]
    done = [(one.action, one.what["system"]) for one in rows if one.status is RequestStatus.DONE]
    changes = [("change-system", FEDORA)] * 2
    assert done == [("remove-system", FEDORA), *changes, ("add-system", FEDORA)]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name"}),
        ({"name": 1}, {"name"}),
        ({"name": "linux"}, {"name"}),
        ({"name": "-linux"}, {"name"}),
        ({"name": "a--b"}, {"name"}),
        ({"name": "x86_64-linux\n"}, {"name"}),
        ({"name": "../x-y"}, {"name"}),
        ({"name": "x-" + "y" * 99}, {"name"}),
        ({"name": "linux", "labels": {"a b": "x", "c": ""}}, {"name", "labels.a b", "labels.c"}),
        ({"name": FEDORA, "labels": {"a": 1}}, {"labels"}),
        ({"name": FEDORA, "labels": []}, {"labels"}),
        ({"name": FEDORA, "labels": {str(one): "x" for one in range(101)}}, {"labels"}),
        ({"name": FEDORA, "images": ["a\nb", "good", "x" * 201]}, {"images[0]", "images[2]"}),
        ({"name": FEDORA, "images": "fedora"}, {"images"}),
        ({"name": FEDORA, "active": 1, "more": 1}, {"active", "more"}),
    ],
)
def test_what_cannot_be_kept(script, stranger, body, fields):
    """Every fault at once, and nothing is added."""
    assert faults_of(script.post(SYSTEMS, json=body)) == fields
    assert [one["name"] for one in stranger.get(SYSTEMS).json] == [HERE]


def test_who_may_not(stranger, make_script):
    """Nobody, no plain user, and no token without the scope."""
    for caller, status in (
        (stranger, 401),
        (make_script("*"), 403),
        (make_script("builds:write", admin_user=True), 403),
    ):
        assert caller.post(SYSTEMS, json={"name": FEDORA}).status_code == status
        path = f"{SYSTEMS}/{HERE}"
        assert caller.request("PATCH", path, json={"active": False}).status_code == status
        assert caller.request("DELETE", path).status_code == status
    assert stranger.get(path).json["active"] is True


def test_nothing_is_begun_for_a_system_that_is_not_active(works, script, stranger):
    """What runs goes on, what waits says why; active again it is begun."""
    running = works.running()
    waiting = works.build()
    script.request("PATCH", f"{SYSTEMS}/{HERE}", json={"active": False})
    told = stranger.get(f"/ci/v1/builds/{waiting}").json["waiting_for"]
    assert told == f"nothing is begun for the system {HERE}: it is not active"
    assert not is_claimed(works)
    assert not is_claimed(works, HERE, "other-linux")
    works.finish(running)
    assert stranger.get(f"/ci/v1/builds/{running.build_id}").json["status"] == "succeeded"
    script.request("PATCH", f"{SYSTEMS}/{HERE}", json={"active": True})
    assert works.claim().build_id == waiting


def test_another_system_goes_on(works, script):
    """A worker of both takes what is left to it."""
    works.build()
    script.post(SYSTEMS, json={"name": "other-linux", "active": False})
    assert is_claimed(works, "other-linux", HERE)


def test_what_was_built_for_stays(works, script):
    """So that its number is never another's."""
    works.build()
    refused = script.request("DELETE", f"{SYSTEMS}/{HERE}")
    assert (refused.status_code, "--inactive" in refused.text) == (409, True)


def test_the_page_of_workers_has_the_systems(person, browser, script):
    """With a button for administrators."""
    script.post(SYSTEMS, json={"name": FEDORA, "labels": {"os": "<b>"}, "images": ["f:40"]})
    page = browser.page("/machines")
    assert FEDORA in page.text
    assert "os=<b>" in page.text
    assert not [one for one in page.all("input") if one.get("name") == "system"]
    page = person.page("/machines")
    (one,) = [one for one in page.all("input") if one.get("value") == FEDORA]
    assert one["name"] == "system"
    assert person.post("/machines", system=FEDORA, active="0").status_code == 403
    answer = person.post("/machines", system=FEDORA, active="0", csrf=page.csrf)
    assert (answer.status_code, answer.headers["location"]) == (303, "/machines")
    assert script.get(f"{SYSTEMS}/{FEDORA}").json["active"] is False
    assert "Not active" in person.page("/machines").text
    assert person.post("/machines", system="none-1", csrf=page.csrf).status_code == 404
