"""A webhook is signed, the same at each try, small, and reads the receiver's answer rightly."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ciserver import __version__
from ciserver.model.delivery import Delivery
from ciserver.model.errors import RemoteFailure
from ciserver.model.event import BuildFinished, GroupFinished, GroupMember, StepSummary
from ciserver.model.status import DeliveryStatus
from triggers.outgoing import Outgoing
from triggers.payload import BODY_LIMIT, body_of
from triggers.webhook import Webhook, retry_after_seconds

NOON = "2026-01-31T12:00:00+00:00"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


class RealClock:
    """The receiver's library compares with the time of day."""

    def now(self):
        return datetime.now(UTC)


@pytest.fixture
def key():
    """The key of the server."""
    return Ed25519PrivateKey.generate()


@pytest.fixture
def make_webhook(key):
    def make(**changes):
        given = {"seal": key.sign, **changes}
        secret_of = given.pop("secret_of", {"site": SECRET}.__getitem__)
        return Webhook(Outgoing(allow=["127.0.0.1"]), secret_of, RealClock(), **given)

    return make


@pytest.fixture
def webhook(make_webhook):
    return make_webhook()


@pytest.fixture
def to_receiver(make_delivery, receiver):
    return lambda **changes: make_delivery(options={"url": receiver.url()}, **changes)


def test_receiver_can_verify(webhook, receiver, to_receiver):
    """The reference library of standard-webhooks accepts headers and body."""
    assert webhook.deliver(to_receiver()) == "answered 200"
    request = receiver.requests[0]
    document = standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    assert document["type"] == "build.finished"
    assert request.headers["Webhook-Id"] == "d-7f3a"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"ciserver/{__version__}"


def test_everybody_can_verify(webhook, receiver, to_receiver, key):
    """The second signature is over the body and the nonce, which is another one each time; whoever
    has the public key can check it, and no other body or nonce fits.
    """
    webhook.deliver(to_receiver())
    webhook.deliver(to_receiver())
    first, second = receiver.requests
    nonces = [one.headers["X-Payload-Nonce"] for one in receiver.requests]
    assert [len(one) for one in nonces] == [16, 16]
    assert nonces[0] != nonces[1]
    for one in receiver.requests:
        signature = base64.b64decode(one.headers["X-Payload-Signature"], validate=True)
        key.public_key().verify(signature, one.body + one.headers["X-Payload-Nonce"].encode())
        for forged in (one.body, one.body + b"0" * 16, one.body[1:] + nonces[0].encode()):
            with pytest.raises(InvalidSignature):
                key.public_key().verify(signature, forged)
    assert first.headers["X-Payload-Signature"] != second.headers["X-Payload-Signature"]


def test_words_of_others_stand_beside(make_webhook, receiver, to_receiver):
    """They take the place of nothing of ours, and are signed with it."""
    beside = make_webhook(beside=lambda event: {"id": event.build_id, "type": "x", "data": 1})
    beside.deliver(to_receiver())
    (request,) = receiver.requests
    document = standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    assert (document["id"], document["type"]) == (41, "build.finished")
    assert document["data"]["build"]["id"] == 41


def test_body_of_a_group(make_delivery):
    """Which builds it has and how they ended; of very many the first ones, and how many more."""
    members = (GroupMember(7, "build", "succeeded", "u7"), GroupMember(8, "build", "failed", "u8"))
    group = GroupFinished(4, 8, "ada", "A\nnote", "~ada", "jobs", NOON, "u", ())
    told = replace(make_delivery(), event=replace(group, members=members))
    assert json.loads(body_of(told)) == {
        "type": "group.finished",
        "timestamp": NOON,
        "data": {
            "group": {"id": 4, "owner": "ada", "note": "A note", "status": "failed"},
            "builds": [
                {"id": 7, "job": "build", "status": "succeeded", "url": "u7"},
                {"id": 8, "job": "build", "status": "failed", "url": "u8"},
            ],
            "builds_omitted": 0,
        },
    }
    body = body_of(replace(told, event=replace(group, members=members * 500)))
    assert len(body) <= BODY_LIMIT
    data = json.loads(body)["data"]
    assert data["builds_omitted"] == 1000 - len(data["builds"]) > 0


def test_changed_body_does_not_verify(webhook, receiver, to_receiver):
    """The signature covers the body."""
    webhook.deliver(to_receiver())
    request = receiver.requests[0]
    forged = request.body.replace(b"failed", b"passed")
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(forged, request.headers)


def test_each_try_sends_the_same(webhook, receiver, to_receiver):
    """The receiver knows a repeated delivery by its id, and its body does not differ."""
    webhook.deliver(to_receiver())
    webhook.deliver(to_receiver())
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["Webhook-Id"] == second.headers["Webhook-Id"]


def test_body_says_everything(make_delivery):
    """The documented shape, in full."""
    document = json.loads(body_of(make_delivery(started_at="")))
    assert document == {
        "type": "build.finished",
        "timestamp": "2026-01-31T11:59:07+00:00",
        "data": {
            "project": "site",
            "jobset": "main",
            "job": "test",
            "build": {
                "id": 41,
                "number": 7,
                "attempt": 1,
                "url": "https://ci.example/builds/41",
                "status": "failed",
                "reason": "exit-code",
                "detail": "step unit ended with exit code 2",
                "previous_status": "succeeded",
                "is_change": True,
                "kind": "push",
                "system": "x86_64-linux",
                "image": "debian/stable",
                "requested_by": "ada",
                "canceled_by": "",
                "queued_at": "2026-01-31T11:58:00+00:00",
                "started_at": None,
                "finished_at": "2026-01-31T11:59:07+00:00",
                "duration_seconds": 65.4,
                "cached": False,
            },
            "evaluation": {"url": "https://ci.example/evaluations/9"},
            "source": {
                "ref": "refs/heads/main",
                "revision": "4f1c2a9be07d4f1c2a9be07d4f1c2a9be07d4f1c",
                "subject": "Teach the parser commas",
                "author": "Ada Lovelace",
            },
            "steps": [
                {
                    "name": "setup",
                    "status": "succeeded",
                    "log_url": "https://ci.example/builds/41/log/0",
                },
                {
                    "name": "unit",
                    "status": "failed",
                    "log_url": "https://ci.example/builds/41/log/1",
                },
                {
                    "name": "pack",
                    "status": "skipped",
                    "log_url": "https://ci.example/builds/41/log/2",
                },
            ],
            "steps_omitted": 0,
        },
    }


def test_body_keeps_the_failed_step_when_cut(make_delivery):
    """A thousand steps are counted, and the one that failed is among those told."""
    steps = tuple(
        StepSummary(f"step-{number}", "succeeded", f"https://ci.example/log/{number}")
        for number in range(999)
    )
    body = body_of(make_delivery(steps=(*steps, StepSummary("last", "failed", "https://x/"))))
    told = json.loads(body)["data"]
    assert len(body) < BODY_LIMIT
    assert told["steps"][0]["name"] == "step-0"
    assert told["steps"][-1]["name"] == "last"
    assert len(told["steps"]) + told["steps_omitted"] == 1000


@pytest.mark.parametrize("secret_place", ["options", "secret"])
def test_body_has_no_secret(make_delivery, webhook, receiver, secret_place):
    """Neither the signing secret nor the trigger's options are told to the receiver."""
    webhook.deliver(make_delivery(options={"url": receiver.url(), "token": "canary-value"}))
    sent = receiver.requests[0].body + str(receiver.requests[0].headers).encode()
    canary = {"options": b"canary-value", "secret": SECRET.removeprefix("whsec_").encode()}
    assert canary[secret_place] not in sent


TEXTS = ("project", "jobset", "job", "system", "image", "detail", "subject", "author", "ref")
WILD = st.text(alphabet=st.characters(), max_size=40).map(lambda text: text * 100)


@settings(max_examples=40)
@given(texts=st.fixed_dictionaries(dict.fromkeys(TEXTS, WILD)), step=WILD)
def test_body_stays_small_whatever_the_texts(texts, step):
    """Any text gives JSON under the limit, without control characters."""
    plain = {name: "" for name in BuildFinished.__dataclass_fields__ if name not in texts}
    numbers = {"build_id": 1, "attempt": 1, "number": 1, "duration_seconds": 1.0}
    steps = (StepSummary(step, "failed", "https://ci.example/log"),) * 60
    event = BuildFinished(**{**plain, **numbers, **texts, "status": "failed", "steps": steps})
    now = datetime(2026, 1, 31, tzinfo=UTC)
    pending = DeliveryStatus.PENDING
    body = body_of(Delivery("d", "webhook", "", {}, event, pending, 0, now, now, None, ""))
    assert len(body) <= BODY_LIMIT
    assert "\\u00" not in body.decode()
    assert json.loads(body)["timestamp"] == "2026-01-31T00:00:00+00:00"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_good_answers(webhook, receiver, to_receiver, status):
    """Every 2xx is success."""
    receiver.status, receiver.body = status, b""
    assert webhook.deliver(to_receiver()) == f"answered {status}"


@pytest.mark.parametrize(
    ("status", "temporary"),
    [
        *((status, False) for status in (300, 301, 302, 307, 308, 410)),
        *((status, True) for status in (400, 401, 404, 408, 422, 429, 500, 502, 503, 504, 599)),
    ],
)
def test_bad_answers(webhook, receiver, to_receiver, status, temporary):
    """Redirects and 410 are final; everything else may be mended. Only 410 disables."""
    receiver.status, receiver.body = status, b"\x1b[31mno such\x07 hook\nsecond line"
    with pytest.raises(RemoteFailure, match=f"answered {status}: ") as caught:
        webhook.deliver(to_receiver())
    assert caught.value.temporary is temporary
    assert caught.value.disable is (status == 410)
    assert caught.value.message.endswith("no such hook")


def test_bidi_and_long_answers_are_tamed(webhook, receiver, to_receiver):
    """What is shown of an answer is short and cannot turn the text round."""
    receiver.status, receiver.body = 500, "\n\n\u202eevil\u2066 ".encode() + b"a" * 9000
    with pytest.raises(RemoteFailure) as caught:
        webhook.deliver(to_receiver())
    assert "answered 500: evil aaa" in caught.value.message
    assert len(caught.value.message) < 250


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_wish_to_wait_is_passed_on(webhook, receiver, to_receiver, status):
    """Retry-After reaches whoever plans the next try."""
    receiver.status, receiver.headers = status, {"Retry-After": "120"}
    with pytest.raises(RemoteFailure) as caught:
        webhook.deliver(to_receiver())
    assert caught.value.retry_after_seconds == 120


NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("9" * 400, 86400),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0),
        (format_datetime((NOW + timedelta(seconds=30)).replace(tzinfo=None)), 30),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_retry_after_forms(value, seconds):
    """Seconds and dates are read, long waits are shortened to a day, nonsense is no wish."""
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize("options", [{}, {"url": ""}, {"url": 7}, {"url": "http://10.0.0.1/"}])
def test_url_that_cannot_be_used(webhook, make_delivery, options):
    """A missing or forbidden url is final and says what to do."""
    with pytest.raises(RemoteFailure) as caught:
        webhook.deliver(make_delivery(options=options))
    assert not caught.value.temporary
    assert caught.value.hint


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", SECRET.removeprefix("whsec_")])
def test_unusable_secret_sends_nothing(make_webhook, receiver, to_receiver, secret):
    """An unsigned webhook never leaves, and the broken secret is not repeated."""
    unsigned = make_webhook(secret_of=lambda _: secret)
    with pytest.raises(RemoteFailure, match="project site has no usable webhook secret") as caught:
        unsigned.deliver(to_receiver())
    assert not caught.value.temporary
    assert receiver.requests == []
