"""The hook doors over HTTP: what is answered, what is kept, what is refused."""

import base64
import json
import sqlite3
from urllib.parse import urlencode

import falcon.testing
import pytest
from support.sender import NEW, Sender


@pytest.fixture
def make_sender(parts, services, admin, clock, repository):
    watched = services.projects.watch(admin, "project", str(repository.bare), local=True)

    def make(**changes):
        values = {"secret": watched.hook_secret, "uri": str(repository.bare), **changes}
        return Sender(parts.app, clock, **values)

    return make


@pytest.fixture
def sender(make_sender):
    return make_sender()


def requested(services, admin):
    return services.queries.queue(admin).evaluations


def complaints_of(answer):
    return {one["field"]: one["message"] for one in answer.json["error"]["complaints"]}


@pytest.mark.parametrize("door", ["generic", "github", "gitea", "gitlab"])
def test_a_signed_push_is_answered_with_its_evaluation(door, make_sender, services, admin):
    """202 with id and address of each evaluation, which is there and only requested: nothing was
    fetched or read in the request.
    """
    answer = make_sender(door=door).push()
    assert answer.status_code == 202
    (told,) = answer.json["evaluations"]
    assert (told["jobset"], told["ref"]) == ("main", "refs/heads/main")
    assert told["url"].endswith(f"/eval/{told['id']}")
    (evaluation,) = requested(services, admin)
    assert (evaluation.id, evaluation.revision) == (told["id"], NEW)
    assert evaluation.status == "requested"


def test_what_is_answered_is_durable(sender, parts):
    """Whoever reads the database file after the 202 finds the evaluation in it."""
    (told,) = sender.push().json["evaluations"]
    with sqlite3.connect(parts.store.database.place) as other:
        rows = other.execute("SELECT id, status FROM evaluations").fetchall()
    other.close()
    assert rows == [(told["id"], "requested")]


def test_an_ignored_push_says_why(sender, services, admin):
    """200 with the reason when no jobset wants the ref, and nothing is requested."""
    answer = sender.push(ref="refs/notes/commits")
    assert answer.status_code == 200
    assert answer.json["evaluations"] == []
    assert "refs/notes/commits" in answer.json["ignored"]
    assert not requested(services, admin)


def test_other_events_are_ignored(make_sender):
    """An event that is no push is answered 200 with the reason."""
    answer = make_sender(door="github").push(headers={"X-GitHub-Event": "issues"})
    assert (answer.status_code, answer.json["evaluations"]) == (200, [])
    assert "issues" in answer.json["ignored"]


@pytest.mark.parametrize("door", ["generic", "github"])
def test_a_ping_is_answered_without_words(door, make_sender):
    """204 tells the sender that address and secret are right."""
    headers = {"X-GitHub-Event": "ping"}
    answer = make_sender(door=door).send(b'{"type": "ping", "zen": "x"}', headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


# -- signatures -----------------------------------------------------------------------------------


SPOILT = {
    "missing": lambda _: "",
    "truncated": lambda proof: proof[:-1],
    "upper-case": str.upper,
    "wrong": lambda proof: proof[:-2] + ("ab" if proof[-2:] != "ab" else "cd"),
    "not ascii": lambda proof: proof + "\u00e9",
}
PROOFS = {
    "generic": "webhook-signature",
    "github": "X-Hub-Signature-256",
    "gitea": "X-Gitea-Signature",
    "gitlab": "X-Gitlab-Token",
}


@pytest.mark.parametrize("door", PROOFS)
def test_a_bad_proof_is_refused_and_leaves_nothing(door, make_sender, services, admin):
    """403, no row, and always the same words."""
    sender, proof = make_sender(door=door), PROOFS[door]
    body = sender.payload()
    headers = sender.sign(body)
    answers = {
        name: sender.post(body, headers | {proof: spoil(headers[proof])})
        for name, spoil in SPOILT.items()
    }
    assert {name: one.status_code for name, one in answers.items()} == dict.fromkeys(SPOILT, 403)
    assert len({one.content for one in answers.values()}) == 1
    assert not requested(services, admin)
    assert sender.push().status_code == 202, "the refused delivery must not count as seen"


def test_a_stranger_cannot_tell_whether_a_project_exists(make_sender):
    """An unknown project and a wrong signature are answered alike, to the last byte."""
    secret = "whsec_" + base64.b64encode(b"not the secret").decode()
    wrong = make_sender(secret=secret).push()
    unknown = make_sender(secret=secret, project="nothing-here").push()
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert wrong.headers == unknown.headers
    assert wrong.status_code == 403


def test_a_project_without_a_secret_takes_no_push(make_sender, store):
    """Not even one that is signed with nothing."""
    store.database.sql("DELETE FROM hook_secrets")
    for door in ("generic", "github", "gitea", "gitlab"):
        assert make_sender(door=door).push().status_code == 403
        sender = make_sender(door=door, secret="" if door != "generic" else "whsec_")
        assert sender.push().status_code == 403


def test_api_tokens_and_sessions_do_not_open_a_hook(sender, make_token, person):
    """A hook proves itself by its signature and by nothing else."""
    body = sender.payload()
    for headers in (
        {"Authorization": f"Bearer {make_token('*', admin_user=True)}"},
        {"Cookie": f"ciserver_session={person.cookies['ciserver_session']}"},
    ):
        assert sender.post(body, headers).status_code == 403


def test_the_signature_covers_the_bytes_not_the_meaning(make_sender):
    """The same JSON written differently is refused under the old signature."""
    sender = make_sender(door="github")
    body = sender.payload()
    rewritten = json.dumps(json.loads(body), indent=1).encode()
    assert sender.post(rewritten, sender.sign(body)).status_code == 403
    assert sender.post(body, sender.sign(body)).status_code == 202


def test_github_may_send_a_form(make_sender):
    """A form-encoded delivery is signed over the form as it was sent."""
    sender = make_sender(door="github")
    form = urlencode({"payload": sender.payload().decode()}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert sender.send(form, headers=headers).status_code == 202
    assert sender.post(form, headers | sender.sign(sender.payload())).status_code == 403


def test_an_old_delivery_is_refused(sender, clock):
    """A recorded request cannot be sent again later."""
    body = sender.payload()
    headers = sender.sign(body)
    clock.forward(minutes=6)
    assert sender.post(body, headers).status_code == 403


# -- once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["generic", "github"])
def test_a_repeated_delivery_gets_the_same_answer_and_no_second_build(
    door, make_sender, services, admin
):
    """By its id, and by its body within five minutes when the id (which is not signed) differs."""
    sender = make_sender(door=door)
    first = sender.push(delivery="msg_1")
    again, renamed = sender.push(delivery="msg_1"), sender.push(delivery="msg_2")
    assert first.json == again.json == renamed.json
    assert {first.status_code, again.status_code, renamed.status_code} == {202}
    assert len(requested(services, admin)) == 1


def test_the_same_push_much_later_is_another_one(make_sender, clock):
    """Pushing back to a revision of last week is not a repetition."""
    sender = make_sender(door="github")
    first = sender.push(delivery="one")
    clock.forward(minutes=6)
    assert sender.push(delivery="two").json["id"] != first.json["id"]


# -- payloads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["generic", "github", "gitea", "gitlab"])
def test_a_push_of_another_repository_is_refused(door, make_sender, services, admin):
    """A valid secret is good for the repository that it is bound to, and for no other."""
    answer = make_sender(door=door).push(uri="https://git.example.org/foreign.git")
    assert answer.status_code == 403
    assert not requested(services, admin)


HOSTILE = {
    "nested lists": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"type":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
    "not a number": b'{"type": "push", "data": NaN}',
    "the same key twice": b'{"type": "push", "type": "push", "data": {}}',
    "latin-1": b'{"type": "push", "pusher": "\xff"}',
    "utf-16": '{"type": "push"}'.encode("utf-16"),
    "a list": b"[]",
    "nothing": b"",
    "cut off": b"{",
    "a long number": b"9" * 10_000,
}


def test_hostile_json_is_a_bad_request(sender):
    """400 with a complaint about the body, never a crash."""
    answers = {name: sender.send(body) for name, body in HOSTILE.items()}
    assert {name: one.status_code for name, one in answers.items()} == dict.fromkeys(HOSTILE, 400)
    assert all(complaints_of(one)["body"] for one in answers.values())


def test_every_fault_of_a_payload_is_named(sender):
    """Whoever writes a hook learns of all mistakes at once."""
    change = {"ref": "main", "old": "short", "new": NEW.upper()}
    answer = sender.send(json.dumps({"type": "push", "data": {"changes": [change]}}).encode())
    assert answer.status_code == 400
    assert {one.rsplit(".", 1)[-1] for one in complaints_of(answer)} == {"ref", "old"}


def test_too_large_a_body_is_refused_unread(sender):
    """Over 25 MiB is 413 even when it is signed well."""
    body = b'{"type": "push", "padding": "' + b"x" * (25 * 1024 * 1024) + b'"}'
    assert sender.send(body).status_code == 413


def test_there_are_no_other_doors(make_sender, parts):
    """An unknown door is 404 whatever the project, and doors are only for POST."""
    known, unknown = make_sender(door="svn"), make_sender(door="svn", project="nothing-here")
    assert known.post(b"{}", {}).status_code == 404
    assert known.post(b"{}", {}).content == unknown.post(b"{}", {}).content
    client = falcon.testing.TestClient(parts.app)
    assert client.simulate_get("/hooks/generic/project").status_code == 405


# -- the database ---------------------------------------------------------------------------------


def test_a_held_database_is_busy_not_broken(sender, store, services, admin):
    """503 with Retry-After while another process holds the database; the sender tries again."""
    store.database.sql("PRAGMA busy_timeout = 50")
    holder = sqlite3.connect(store.database.place)
    holder.execute("BEGIN IMMEDIATE")
    busy = sender.push()
    holder.rollback()
    holder.close()
    assert (busy.status_code, busy.json["error"]["code"]) == (503, "busy")
    assert int(busy.headers["retry-after"]) > 0
    assert sender.push().status_code == 202
    assert len(requested(services, admin)) == 1
