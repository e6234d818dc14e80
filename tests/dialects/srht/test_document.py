"""Every request of the document, with its example beside the answer."""

from urllib.parse import urlencode

import pytest

from ciserver.dialects.srht import Srht
from ciserver.dialects.srht.words import STATE, TASK_STATE
from ciserver.model.account import Visibility
from ciserver.model.request import Action
from ciserver.model.status import BuildStatus, StepStatus
from ciserver.shipped import shipped
from ciserver.web.app import create_app

SUBMITTED = {
    "manifest": "image: host\ntasks:\n  - setup: echo ready\n  - test: echo tested\n",
    "note": "The **nightly** build\n\nof the library",
    "tags": ["library", "v1.0_rc:x-86"],
    "access:read": ["*"],
    "access:write": ["grace"],
    "triggers": [{"action": "webhook", "condition": "always", "url": "https://example.org/ci"}],
    "execute": True,
}
JOB = {
    "id": int,
    "status": str,
    "setup_log": str,
    "tasks": [{"name": str, "status": str, "log": str}],
}
# What the server of old added to that.
WHOLE_JOB = JOB | {
    "note": str,
    "runner": str,
    "tags": str,
    "owner": {"canonical_name": str, "name": str},
}
JOB_STATUSES = {"pending", "queued", "running", "success", "failed"}
TASK_STATUSES = {"pending", "running", "success", "failed"}


def compare(value, shape, where="answer"):
    """The same keys, and values of the same types."""
    if isinstance(shape, dict):
        assert value.keys() == shape.keys(), where
        for key, inner in shape.items():
            compare(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert value, where
        for one in value:
            compare(one, shape[0], f"{where}[]")
    else:
        assert type(value) is shape, where


@pytest.fixture
def grace(program):
    return program("grace")


def test_submit(ada, grace, services, admin, actor):
    """POST /api/jobs with every field: the whole job comes back, and all of it is meant."""
    answer = ada.post("/api/jobs", json=SUBMITTED)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    job = answer.json
    assert job == {
        "id": job["id"],
        "status": "queued",
        "setup_log": None,
        "tasks": [
            {"name": "setup", "status": "pending", "log": None},
            {"name": "test", "status": "pending", "log": None},
        ],
        "note": SUBMITTED["note"],
        "runner": None,
        "tags": "library/v1.0_rc:x-86",
        "owner": {"canonical_name": "~ada", "name": "ada"},
    }
    view = services.queries.build(actor("ada"), job["id"])
    assert (view.build.status, view.build.requested_by) == (BuildStatus.QUEUED, "ada")
    assert [(one.action, one.condition) for one in view.job.triggers] == [("webhook", "always")]
    assert view.tags == ("library", "v1.0_rc:x-86")
    asked = services.requests.list_newest(admin, limit=1)[0]
    assert (asked.action, asked.who, asked.created) == (Action.SUBMIT_BUILD, "ada", (job["id"],))
    assert grace.post(f"/api/jobs/{job['id']}/cancel").json == {}


def test_only_the_manifest_is_needed(ada):
    """What is optional may be left out, and what is unknown is not looked at."""
    for extra in ({}, {"colour": "green", "arch": None}, {"secrets": False}):
        answer = ada.post("/api/jobs", json={"manifest": SUBMITTED["manifest"], **extra})
        assert (answer.status_code, answer.json["status"]) == (200, "queued")
        assert (answer.json["note"], answer.json["tags"]) == (None, None)


def test_show(ada, worker):
    """GET /api/jobs/:id answers with the example's keys and types, and the fuller ones."""
    job_id = ada.post("/api/jobs", json=SUBMITTED | {"access:write": []}).json["id"]
    worker.start()
    job = ada.job(job_id)
    compare(job, WHOLE_JOB)
    compare({key: job[key] for key in JOB}, JOB)
    assert job["status"] == "running"
    assert [one["status"] for one in job["tasks"]] == ["running", "pending"]
    assert job["setup_log"] == f"http://falconframework.org/logs/{job_id}/log"
    assert job["tasks"][0]["log"] == f"http://falconframework.org/logs/{job_id}/setup/log"
    assert job["runner"] == "local-0"


def test_the_addresses_are_of_the_configured_server(services, ada, make_program, add_token, worker):
    """Behind a proxy the request does not tell how people reach it."""
    base_url = "https://ci.example.org"
    app = create_app(
        services, shipped("templates"), server_name="ci", base_url=base_url, dialects=(Srht,)
    )
    program = make_program(app, add_token("ada", "jobs:read"))
    job_id = ada.submit()
    lease = worker.start()
    worker.product(lease)
    job = program.get(f"/api/jobs/{job_id}").json
    (artifact,) = program.get(f"/api/jobs/{job_id}/artifacts").json["results"]
    for address in (job["setup_log"], job["tasks"][0]["log"], artifact["url"]):
        assert address.startswith(f"{base_url}/"), address


def test_every_status_has_a_word_of_the_document():
    """And beside those only the three that came later."""
    assert set(STATE) == set(BuildStatus)
    assert set(STATE.values()) == JOB_STATUSES | {"timeout", "cancelled"}
    assert set(TASK_STATE) == set(StepStatus)
    assert set(TASK_STATE.values()) == TASK_STATUSES | {"skipped"}


def test_a_job_that_is_not_executed_waits_for_a_person(ada, services, admin, actor):
    """`execute` false, then start: pending, then queued, with a row that says who did it."""
    job_id = ada.submit(execute=False)
    assert ada.job(job_id)["status"] == "pending"
    answer = ada.post(f"/api/jobs/{job_id}/start")
    assert (answer.status_code, answer.json) == (200, {})
    assert ada.job(job_id)["status"] == "queued"
    assert services.queries.build(actor("ada"), job_id).build.status is BuildStatus.QUEUED
    asked = services.requests.list_newest(admin, limit=1)[0]
    assert (asked.action, asked.who, asked.what) == (Action.START_BUILD, "ada", {"build": job_id})


def test_triggers_of_the_body_run(ada, worker, services, admin):
    """The end of the job leaves a delivery for each whose condition is met."""
    url = "https://example.org/ci"
    ada.submit(
        triggers=[
            {"action": "webhook", "condition": "success", "url": f"{url}/good"},
            {"action": "webhook", "condition": "failure", "url": f"{url}/bad"},
            {"action": "email", "condition": "always", "to": "ada@example.org"},
        ]
    )
    worker.finish(worker.start())
    told = {one.target for one in services.queries.deliveries(admin)}
    assert told == {f"{url}/good", "ada@example.org"}


def test_the_manifest_is_answered_as_it_was_written(ada, stranger):
    """GET /api/jobs/:id/manifest needs no token, and changes no byte."""
    manifest = "# Ünïcode\r\nimage: host\ntasks:\n  - a: |\n      echo 'a'\t\n\n"
    job_id = ada.submit(manifest=manifest)
    answer = stranger.get(f"/api/jobs/{job_id}/manifest")
    assert (answer.status_code, answer.content) == (200, manifest.encode())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_form_is_as_good_as_json(ada, services, actor):
    """Lists are fields that come several times, switches are words."""
    fields = {
        "manifest": "image: host\ntasks:\n  - a: echo 'x&y' %26\n",
        "note": "a & b",
        "tags": ["x", "y"],
        "execute": "False",
        "secrets": "on",
        "visibility": "Private",
        "colour": "green",
    }
    answer = ada.post("/api/jobs", body=urlencode(fields, doseq=True))
    assert answer.status_code == 200, answer.text
    assert (answer.json["status"], answer.json["tags"]) == ("pending", "x/y")
    assert answer.json["note"] == "a & b"
    view = services.queries.build(actor("ada"), answer.json["id"])
    assert view.build.visibility is Visibility.PRIVATE
    assert services.queries.recipe(actor("ada"), view.build.id) == fields["manifest"]


def test_a_form_of_parts_is_as_good(ada, services, actor):
    """As `curl -F` sends it, the manifest as a file."""
    manifest = "image: host\ntasks:\n  - a: echo\n"
    parts = (("tags", "x"), ("tags", "y"), ("execute", "false"), ("colour", "green"))
    lines = [
        "--b",
        'Content-Disposition: form-data; name="manifest"; filename="build.yml"',
        "Content-Type: application/x-yaml",
        "",
        manifest,
    ]
    for name, text in parts:
        lines += ["--b", f'Content-Disposition: form-data; name="{name}"', "", text]
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = ada.post("/api/jobs", body="\r\n".join([*lines, "--b--", ""]), headers=headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json["status"], answer.json["tags"]) == ("pending", "x/y")
    assert services.queries.recipe(actor("ada"), answer.json["id"]) == manifest


SECRET = "46f739e5-4538-45dd-a79f-bf173b7a2ed9"


def test_secrets_of_a_manifest(ada, program, services, actor):
    """They are looked for when the job runs, unless it is to have none; who names any must be
    allowed to read them.
    """
    manifest = f"{SUBMITTED['manifest']}secrets:\n  - {SECRET}\n"
    for fields, are_off in (({}, False), ({"secrets": True}, False), ({"secrets": False}, True)):
        job_id = program("ada", "*").submit(manifest=manifest, **fields)
        job = services.queries.build(actor("ada"), job_id).job
        assert (job.secrets, job.secrets_off) == ((SECRET,), are_off)
    answer = ada.post("/api/jobs", json={"manifest": manifest})
    assert answer.status_code == 403
    assert "secrets:read" in answer.json["errors"][0]["reason"]
    assert ada.submit(manifest=manifest, secrets=False)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json"]
)
def test_json_is_known_by_its_type_whatever_follows(ada, content_type):
    """Parameters and letters make no difference."""
    body = '{"manifest": "image: host\\ntasks:\\n  - a: echo\\n"}'
    answer = ada.post("/api/jobs", body=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200
