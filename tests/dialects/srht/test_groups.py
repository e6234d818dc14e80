"""Job groups: made of pending jobs, started and cancelled as a whole."""

import json

import pytest

from ciserver.model.request import Action
from ciserver.model.status import BuildStatus
from ciserver.service.job_groups import MOST_BUILDS

TRIGGERS = [{"action": "email", "condition": "failure", "to": "ada@example.org"}]
OWNER = {"canonical_name": "~ada", "name": "ada"}


def faults(answer):
    assert answer.status_code == 400, answer.text
    assert list(answer.json) == ["errors"]
    return [(one.get("field"), one["reason"]) for one in answer.json["errors"]]


@pytest.fixture
def pending(ada):
    """Makes pending jobs of ada's."""
    return lambda: ada.submit(execute=False)


@pytest.fixture
def none_made(store):
    """No group was made."""
    yield
    assert store.job_groups.grouped(range(1, 200)) == frozenset()


# -- life -----------------------------------------------------------------------------------------


def test_a_group_is_made_of_pending_jobs(ada, pending, store, services, admin):
    """They stay pending; the triggers are kept, and a row says who joined them."""
    first, second = pending(), pending()
    group = ada.join(second, first, note="Both", triggers=TRIGGERS)
    assert group == {
        "id": group["id"],
        "note": "Both",
        "owner": OWNER,
        "jobs": [{"id": first, "status": "pending"}, {"id": second, "status": "pending"}],
    }
    assert ada.get(f"/api/job-group/{group['id']}").json == group
    (trigger,) = store.job_groups.get(group["id"]).triggers
    assert (trigger.action, trigger.condition) == ("email", "failure")
    asked = services.requests.list_newest(admin, limit=1)[0]
    assert (asked.action, asked.who) == (Action.JOIN_BUILDS, "ada")
    assert asked.what == {"builds": [second, first]}


def test_a_group_may_be_executed_at_once(ada, pending):
    """Where it is asked for; a note is not needed."""
    first, second = pending(), pending()
    group = ada.join(first, second, execute=True)
    assert [one["status"] for one in group["jobs"]] == ["queued", "queued"]
    assert group["note"] is None
    assert ada.job(first)["status"] == "queued"


def test_start_starts_what_is_pending(ada, pending, worker):
    """What began already goes on, and a second start changes nothing."""
    first, second = pending(), pending()
    path = f"/api/job-group/{ada.join(first, second)['id']}"
    ada.post(f"/api/jobs/{first}/start")
    worker.start()
    for _ in range(2):
        answer = ada.post(f"{path}/start")
        assert answer.status_code == 200
        assert [one["status"] for one in answer.json["jobs"]] == ["running", "queued"]


def test_cancel_cancels_what_has_not_ended(ada, pending, worker):
    """Pending, queued and running; what ended stays as it is."""
    ids = [pending() for _ in range(4)]
    path = f"/api/job-group/{ada.join(*ids)['id']}"
    for one in ids[:3]:
        ada.post(f"/api/jobs/{one}/start")
    worker.finish(worker.start())
    running = worker.start()
    for _ in range(2):
        answer = ada.post(f"{path}/cancel")
        assert answer.status_code == 200
        words = [one["status"] for one in answer.json["jobs"]]
        assert words == ["success", "running", "cancelled", "cancelled"]
    worker.finish(running, BuildStatus.CANCELED)
    assert ada.get(path).json["jobs"][1]["status"] == "cancelled"


def test_bodies_of_start_and_cancel_are_ignored(ada, pending):
    """Whatever they are."""
    path = f"/api/job-group/{ada.join(pending())['id']}"
    for action in ("start", "cancel"):
        for body in ('""', "{", "\x00" * 1000, ""):
            headers = {"Content-Type": "application/json"}
            assert ada.post(f"{path}/{action}", body=body, headers=headers).status_code == 200


def test_a_form_makes_a_group(ada, pending):
    """Jobs are a field that comes several times."""
    first, second = pending(), pending()
    body = f"jobs={first}&jobs={second}&execute=true&note=a+b"
    answer = ada.post("/api/job-group", body=body)
    assert answer.status_code == 200, answer.text
    assert [one["status"] for one in answer.json["jobs"]] == ["queued", "queued"]


def test_a_slash_at_the_end_makes_no_difference(ada, pending):
    """As with jobs."""
    answer = ada.post("/api/job-group/", json={"jobs": [pending()]})
    group = answer.json["id"]
    for path in ("", "/start", "/cancel"):
        answer = ada.request("POST" if path else "GET", f"/api/job-group/{group}{path}/")
        assert answer.status_code == 200, path


# -- whose it is ----------------------------------------------------------------------------------


def test_a_group_is_its_owners(ada, pending, program):
    """For others it is not there, though they may do everything, and its jobs are public."""
    group = ada.join(pending())["id"]
    for other in (program("grace"), program("root", "*")):
        for method, path in (("GET", ""), ("POST", "/start"), ("POST", "/cancel")):
            answer = other.request(method, f"/api/job-group/{group}{path}")
            assert answer.status_code == 404
            assert answer.json == {"errors": [{"reason": "404 not found"}]}
    assert ada.get(f"/api/job-group/{group}").json["jobs"][0]["status"] == "pending"


def test_groups_that_are_none(ada):
    """404, whatever the number."""
    for number in ("1", "0", "-1", "abc", str(2**63), "9" * 99):
        for method, path in (("GET", ""), ("POST", "/start"), ("POST", "/cancel")):
            answer = ada.request(method, f"/api/job-group/{number}{path}")
            assert (answer.status_code, list(answer.json)) == (404, ["errors"]), number


# -- what cannot be joined ------------------------------------------------------------------------


def test_every_job_that_cannot_be_joined_is_named(ada, pending, program, worker):
    """One error a job, without a field."""
    free, grouped = pending(), pending()
    ada.join(grouped)
    foreign = program("grace").submit(execute=False, **{"access:write": ["ada"]})
    hidden = program("grace").submit(execute=False, visibility="private")
    queued, ended = ada.submit(), ada.submit()
    ada.post(f"/api/jobs/{ended}/cancel")
    asked = [free, 999, -1, 2**70, foreign, hidden, queued, ended, grouped]
    answer = ada.post("/api/job-group", json={"jobs": asked})
    assert faults(answer) == [
        *((None, f"job {one} is none of yours") for one in (999, -1, 2**70, foreign, hidden)),
        *((None, f"job {one} is not pending") for one in (queued, ended)),
        (None, f"job {grouped} is in a group already"),
    ]
    ada.join(free)


def test_a_job_is_named_once(ada, pending, none_made):
    """Twice is a mistake."""
    first, second = pending(), pending()
    answer = ada.post("/api/job-group", json={"jobs": [first, second, first]})
    assert faults(answer) == [(None, f"job {first} is named more than once")]


BAD = [
    ({}, [("jobs", "jobs is required")]),
    ({"jobs": None}, [("jobs", "jobs may not be null")]),
    ({"jobs": 1}, [("jobs", "jobs should be a list")]),
    ({"jobs": "1"}, [("jobs", "jobs should be a list")]),
    ({"jobs": []}, [("jobs", "jobs must name at least one job")]),
    (
        {"jobs": ["1", True, None, 1.5, [1]]},
        [(f"jobs[{place}]", f"jobs[{place}] should be an int") for place in range(5)],
    ),
    ({"jobs": list(range(MOST_BUILDS + 1))}, ("jobs", f"jobs must be at most {MOST_BUILDS}")),
    ({"note": 1}, ("note", "note should be a str")),
    ({"note": "x" * 4097}, ("note", "note must be at most 4096 characters")),
    ({"execute": "true"}, ("execute", "execute should be a bool")),
    ({"triggers": {}}, ("triggers", "triggers should be a list")),
    ({"triggers": [{"action": "email"}]}, ("triggers[0].to", None)),
    ({"triggers": [{"action": "pigeon"}]}, ("triggers[0].action", None)),
]


@pytest.mark.parametrize(("fields", "expected"), BAD, ids=lambda one: str(one)[:40])
def test_bad_fields(fields, expected, ada, pending, none_made):
    """The field, and the type or the value it should have."""
    body = fields if "jobs" in fields or not fields else {"jobs": [pending()], **fields}
    found = faults(ada.post("/api/job-group", json=body))
    if isinstance(expected, list):
        assert found == expected
    else:
        field, reason = expected
        assert (field, reason) in found or (reason is None and field in dict(found)), found


def test_every_fault_is_named_at_once(ada, none_made):
    """Types, triggers and jobs in one answer."""
    body = {"jobs": [7, "x"], "note": [], "execute": None, "triggers": [{"action": "pigeon"}]}
    found = faults(ada.post("/api/job-group", json=body))
    assert {field for field, _ in found} == {
        "jobs[1]",
        "note",
        "execute",
        "triggers[0].action",
        None,
    }
    assert (None, "job 7 is none of yours") in found


def test_what_is_no_json_object(ada, none_made):
    """And then the jobs are missing, too."""
    for body, reason in (("{", "Invalid JSON provided"), ("[1]", "Expected JSON dictionary")):
        headers = {"Content-Type": "application/json"}
        answer = ada.post("/api/job-group", body=body, headers=headers)
        assert faults(answer) == [(None, reason), ("jobs", "jobs is required")]


def test_json_in_another_type_is_a_form(ada, pending, none_made):
    """In which it names no jobs."""
    answer = ada.post(
        "/api/job-group",
        body=json.dumps({"jobs": [pending()]}),
        headers={"Content-Type": "text/plain"},
    )
    assert faults(answer) == [("jobs", "jobs is required")]
