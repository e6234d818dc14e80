"""Whoever sends deliveries to the hook doors, over HTTP and signed as each door wants it."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field

import falcon.testing

OLD, NEW = "1" * 40, "2" * 40
STANDARD_WEBHOOKS = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass
class Sender:
    """Sends deliveries to one door of one project, signed as that door wants it."""

    app: object
    clock: object
    secret: str
    uri: str
    door: str = "generic"
    project: str = "project"
    headers: dict[str, str] = field(default_factory=dict)

    def push(self, ref="refs/heads/main", new=NEW, uri=None, **rest):
        return self.send(self.payload(ref, new, uri), **rest)

    def payload(self, ref="refs/heads/main", new=NEW, uri=None):
        uri = self.uri if uri is None else uri
        if self.door == "generic":
            changes = [{"ref": ref, "old": OLD, "new": new}]
            told = {"repository": uri, "pusher": "ada", "changes": changes}
            return json.dumps({"type": "push", "data": told}).encode()
        repository = "project" if self.door == "gitlab" else "repository"
        address = "git_http_url" if self.door == "gitlab" else "clone_url"
        return json.dumps(
            {"ref": ref, "before": OLD, "after": new, repository: {address: uri}}
        ).encode()

    def send(self, body, delivery="msg_1", headers=None):
        signed = {**self.sign(body, delivery), **self.headers, **(headers or {})}
        return self.post(body, signed)

    def post(self, body, headers):
        client = falcon.testing.TestClient(self.app)
        return client.simulate_post(
            f"/hooks/{self.door}/{self.project}", body=body, headers=headers
        )

    def sign(self, body, delivery="msg_1"):
        hexadecimal = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        if self.door == "github":
            return {
                "X-GitHub-Event": "push",
                "X-GitHub-Delivery": delivery,
                "X-Hub-Signature-256": f"sha256={hexadecimal}",
            }
        if self.door == "gitlab":
            return {
                "X-Gitlab-Event": "Push Hook",
                "Idempotency-Key": delivery,
                "X-Gitlab-Token": self.secret,
            }
        if self.door == "gitea":
            return {
                "X-Gitea-Event": "push",
                "X-Gitea-Delivery": delivery,
                "X-Gitea-Signature": hexadecimal,
            }
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        sent_at = str(int(self.clock.now().timestamp()))
        content = f"{delivery}.{sent_at}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        return dict(zip(STANDARD_WEBHOOKS, (delivery, sent_at, signature), strict=True))
