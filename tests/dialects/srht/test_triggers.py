"""What a job's triggers tell: real mails and webhooks, in the words of builds.sr.ht."""

import base64
import json

import pytest
from support.factories import make_event
from support.post import open_post
from support.prepared import put_database
from support.receiver import receiving
from support.signatures import is_signed

from ciserver.config import Outgoing, Settings, Smtp
from ciserver.datadir import DataDirectory
from ciserver.dialects.srht.told import webhook_keys
from ciserver.model.build import StepResult
from ciserver.model.event import FaultsChanged, StepSummary
from ciserver.model.status import BuildStatus, StepStatus
from ciserver.wiring import make_parts

B = BuildStatus
KEYS = {"id", "status", "setup_log", "tasks", "note", "runner", "owner"}
FAILED = StepResult(1, StepStatus.FAILED, 1)
HOOK = """
triggers:
  - action: webhook
    condition: always
    url: {}
  - action: email
    condition: failure
    to: Ada <ada@example.org>
    cc: team@example.org
    in_reply_to: <patch@lists.example.org>
"""
MANIFEST = "image: host\ntasks:\n  - build: echo built\n  - test: echo tested\n"


@pytest.fixture
def post():
    with open_post() as opened:
        yield opened


@pytest.fixture
def receiver():
    with receiving() as started:
        yield started


@pytest.fixture
def parts(tmp_path, clock, post):
    """A server that may send to this machine."""
    settings = Settings(
        smtp=Smtp(host="127.0.0.1", port=post.port, from_address="ci@ci.example"),
        outgoing=Outgoing(allow=("127.0.0.1",)),
    )
    made = make_parts(
        settings,
        put_database(DataDirectory(tmp_path / "data")),
        clock=clock,
        base_url="http://falconframework.org",  # as the client of these tests calls it
    )
    yield made
    made.store.database.close()


@pytest.fixture
def deliver(services):
    """Make a try for all that is due; answers how many there were."""

    def run():
        count = 0
        while services.deliveries.deliver_next():
            count += 1
        return count

    return run


def test_a_job_that_failed(ada, worker, deliver, receiver, post):
    """Both triggers of its manifest are told."""
    job_id = ada.submit(
        manifest=MANIFEST + HOOK.format(receiver.url()), note="A note", tags=["a", "b"]
    )
    worker.finish(worker.start(), B.FAILED, FAILED)
    assert deliver() == 2
    (request,) = receiver.requests
    told = json.loads(request.body)
    shown = {key: value for key, value in ada.job(job_id).items() if key in KEYS}
    assert {key: value for key, value in told.items() if key in KEYS} == shown
    assert (told["id"], told["status"], told["note"]) == (job_id, "failed", "A note")
    assert told["owner"] == {"canonical_name": "~ada", "name": "ada"}
    assert [(one["name"], one["status"]) for one in told["tasks"]] == [
        ("build", "failed"),
        ("test", "pending"),
    ]
    assert request.headers["Content-Type"] == "application/json"
    (message,) = post.messages
    assert post.envelopes[0].rcpt_tos == ["ada@example.org", "team@example.org"]
    assert message["Subject"] == "[a/b] build failed"
    assert message["In-Reply-To"] == "<patch@lists.example.org>"
    text = message.get_body(("plain",)).get_content()
    assert f"/build/{job_id}\r\n" in text.replace("\n", "\r\n").replace("\r\r", "\r")
    assert "✗ build" in text
    assert "- test" in text


def test_a_job_that_succeeded(ada, worker, deliver, receiver, post):
    """Who asked to hear of failures does not hear of it."""
    ada.submit(manifest=MANIFEST + HOOK.format(receiver.url()))
    worker.finish(worker.start())
    assert deliver() == 1
    assert json.loads(receiver.requests[0].body)["status"] == "success"
    assert post.messages == []


def test_a_change_is_a_failure(ada, worker, deliver, post):
    """Jobs that somebody submits have nothing to do with each other."""
    manifest = MANIFEST + "triggers:\n  - action: email\n    to: ada@example.org\n"
    for status, mails in ((B.FAILED, 1), (B.SUCCEEDED, 1), (B.FAILED, 2), (B.FAILED, 3)):
        ada.submit(manifest=manifest)
        worker.finish(worker.start(), status)
        deliver()
        assert len(post.messages) == mails


def test_signed_with_the_published_key(ada, stranger, worker, deliver, receiver, tmp_path):
    """Anybody can check it; the key needs no token."""
    ada.submit(manifest=MANIFEST + HOOK.format(receiver.url()))
    worker.finish(worker.start())
    deliver()
    (key,) = stranger.get("/ci/v1/webhook-keys").json["keys"]
    (request,) = receiver.requests
    signature = base64.b64decode(request.headers["X-Payload-Signature"])
    nonce = request.headers["X-Payload-Nonce"].encode()
    assert key["signs"]
    assert is_signed(tmp_path, key["public_key"], request.body + nonce, signature)
    assert not is_signed(tmp_path, key["public_key"], request.body, signature)


def test_triggers_of_the_request(ada, worker, deliver, receiver):
    """They are run beside those of the manifest."""
    hook = {"action": "webhook", "condition": "success", "url": receiver.url("/other")}
    ada.submit(manifest=MANIFEST, triggers=[hook])
    worker.finish(worker.start())
    assert deliver() == 1
    assert receiver.requests[0].path == "/other"


def test_faults_of_triggers(ada):
    """All of them at once, with the field of each."""
    triggers = [
        {"action": "fax"},
        {"action": "email", "condition": "sometimes", "to": "x"},
        {"action": "email"},
        {"action": "webhook", "url": "ftp://x"},
        {},
        7,
    ]
    answer = ada.post("/api/jobs", json={"manifest": MANIFEST, "triggers": triggers})
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json["errors"]] == [
        "triggers[0].action",
        "triggers[1].condition",
        "triggers[1].to",
        "triggers[3].url",
        "triggers[4].action",
        "triggers[5]",
        "triggers[2].to",
    ]


def test_triggers_that_nobody_runs(ada, worker, deliver, services, actor):
    """They are taken, and the page of the build says that they were not told."""
    job_id = ada.submit(manifest=MANIFEST, triggers=[{"action": "irc", "condition": "always"}])
    worker.finish(worker.start())
    assert deliver() == 1
    (one,) = services.queries.build(actor("ada"), job_id).deliveries
    assert (one.action, one.status) == ("irc", "buried")
    assert "no trigger irc" in one.detail


def test_a_job_that_was_never_started(ada, deliver, receiver):
    """It has tasks without logs, and was on no machine."""
    job_id = ada.submit(manifest=MANIFEST + HOOK.format(receiver.url()), execute=False)
    assert ada.post(f"/api/jobs/{job_id}/cancel").status_code == 200
    deliver()
    told = json.loads(receiver.requests[0].body)
    assert (told["status"], told["setup_log"], told["runner"]) == ("cancelled", None, None)
    assert told["tasks"] == [
        {"name": "build", "status": "pending", "log": None},
        {"name": "test", "status": "pending", "log": None},
    ]


def test_a_group(ada, worker, deliver, receiver, post):
    """Its end is told when the last job of it ended."""
    jobs = [ada.submit(manifest=MANIFEST, execute=False) for _ in range(2)]
    triggers = [
        {"action": "webhook", "condition": "always", "url": receiver.url()},
        {"action": "email", "condition": "success", "to": "ada@example.org"},
    ]
    made = ada.post("/api/job-group", json={"jobs": jobs, "triggers": triggers, "execute": True})
    assert made.status_code == 200, made.text
    worker.finish(worker.start())
    assert deliver() == 0
    worker.finish(worker.start())
    assert deliver() == 2
    told = json.loads(receiver.requests[0].body)
    assert (told["id"], told["status"]) == (made.json["id"], "success")
    assert told["owner"] == {"canonical_name": "~ada", "name": "ada"}
    assert told["jobs"] == [{"id": one, "status": "success"} for one in jobs]
    assert post.messages[0]["Subject"] == f"[~ada] group #{made.json['id']} succeeded"


def test_what_is_told_is_bounded():
    """Whatever pushes hold; the same of a build with very many tasks."""
    steps = tuple(StepSummary(f"task-{one}", "succeeded", "") for one in range(1000))
    told = webhook_keys(make_event(subject="\ud800" + "x" * 10**6, steps=steps), base="http://ci")
    assert (told["note"][:3], len(told["note"])) == ("?xx", 4096)
    assert len(told["tasks"]) == 100
    assert len(json.dumps(told).encode()) < 50_000


def test_other_events_have_no_words_here():
    """Faults of recipes are no jobs."""
    faults = FaultsChanged(9, 3, "site", "main", "r", "f", "s", "a", "", "u", (), 0)
    assert webhook_keys(faults, base="http://ci") == {}
