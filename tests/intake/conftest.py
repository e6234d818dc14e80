"""Deliveries as each sender makes them: recorded in shape, signed on the spot."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ciserver.intake.doors import DOORS
from ciserver.intake.knock import Knock

PAYLOADS = Path(__file__).parent / "payloads"
NOW = datetime(2026, 1, 30, 9, 13, tzinfo=UTC)
PLAIN_SECRET = "correct-horse-battery-staple"
SIGNING_SECRET = "whsec_YSBrZXkgZm9yIHRoZSB0ZXN0cyBvbmx5"


def hex_hmac(body, secret):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def by_github(body, secret, event="push"):
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-hub-signature-256": f"sha256={hex_hmac(body, secret)}",
    }


def by_gogs(body, secret, event="push"):
    return {
        **by_github(body, secret, event),
        "x-gogs-event": event,
        "x-gogs-delivery": "f6266f16-1bf3-46a5-9ea4-602e06ead473",
        "x-gogs-signature": hex_hmac(body, secret),
    }


def by_gitea(body, secret, event="push"):
    return {
        **by_gogs(body, secret, event),
        "x-gitea-event": event,
        "x-gitea-event-type": event,
        "x-gitea-delivery": "5c0cd1ae-6b2a-4ea2-8a55-2a2f3b9e1f10",
        "x-gitea-signature": hex_hmac(body, secret),
    }


def by_forgejo(body, secret, event="push"):
    return {
        **by_gitea(body, secret, event),
        "x-forgejo-event": event,
        "x-forgejo-event-type": event,
        "x-forgejo-delivery": "0f4d9a5c-97d5-4a7e-8e0c-3c1f0f3a6a77",
        "x-forgejo-signature": hex_hmac(body, secret),
    }


def by_gitlab(body, secret, event="Push Hook"):
    return {
        "content-type": "application/json",
        "user-agent": "GitLab/18.1.0",
        "x-gitlab-event": event,
        "x-gitlab-event-uuid": "13792a34-cac6-4fda-95a8-c58e00a3954e",
        "x-gitlab-token": secret,
        "idempotency-key": "b7c5f9f0-0f0e-4f7b-9d3c-8a3b6e2d1c00",
    }


def by_standard_webhooks(body, secret, sent_at=NOW, delivery="msg_2b7c41d09e"):
    content = f"{delivery}.{int(sent_at.timestamp())}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return {
        "content-type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": f"v1,{digest}",
    }


@dataclass(frozen=True)
class Sender:
    """One kind of sender: how it signs, and a push that it would send."""

    door: str
    secret: str
    sign: Callable[[bytes, str], dict[str, str]]
    proof: str  # the header that holds the signature
    payload: str

    @property
    def body(self) -> bytes:
        return (PAYLOADS / f"{self.payload}.json").read_bytes()

    def knock(self, body: bytes | None = None, **changed: object) -> Knock:
        """Send a body, by default the recorded push; `changed` may hold headers, secrets, now."""
        body = self.body if body is None else body
        headers = changed.get("headers") or self.sign(body, self.secret)
        secrets = changed.get("secrets", (self.secret,))
        return DOORS[self.door].read(headers, body, secrets, changed.get("now", NOW))

    def knock_with(self, **fields: object) -> Knock:
        """Send the recorded push with some of its fields changed, signed well."""
        values = json.loads(self.body)
        return self.knock(json.dumps({**values, **fields}).encode())


SENDERS = {
    "generic": Sender(
        "generic", SIGNING_SECRET, by_standard_webhooks, "webhook-signature", "generic_push"
    ),
    "github": Sender("github", PLAIN_SECRET, by_github, "x-hub-signature-256", "github_push"),
    "gitea": Sender("gitea", PLAIN_SECRET, by_gitea, "x-gitea-signature", "gitea_push"),
    "forgejo": Sender("forgejo", PLAIN_SECRET, by_forgejo, "x-forgejo-signature", "gitea_push"),
    "gogs": Sender("gogs", PLAIN_SECRET, by_gogs, "x-gogs-signature", "gogs_push"),
    "gitlab": Sender("gitlab", PLAIN_SECRET, by_gitlab, "x-gitlab-token", "gitlab_push"),
}


@pytest.fixture(params=SENDERS, scope="session")
def sender(request):
    """Every kind of sender, one after the other."""
    return SENDERS[request.param]


@pytest.fixture(scope="session")
def senders():
    return SENDERS


@pytest.fixture(scope="session")
def recorded():
    """The bytes of a recorded payload by its name."""
    return lambda name: (PAYLOADS / f"{name}.json").read_bytes()


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture(scope="session")
def sign_standard():
    return by_standard_webhooks


@pytest.fixture(scope="session")
def signing_secret():
    return SIGNING_SECRET
