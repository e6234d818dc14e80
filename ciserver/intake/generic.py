"""The door of our own post-receive hook and of anything that speaks standard-webhooks.

{"type": "push", "timestamp": "2026-01-31T12:00:00Z", "data": {
    "repository": "/srv/git/hello.git", "pusher": "ada", "options": ["skip-ci"],
    "changes": [{"ref": "refs/heads/main", "old": "<revision>", "new": "<revision>"}]}}
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from ciserver.intake.changes import read_change
from ciserver.intake.headers import delivery_id, why_ignored
from ciserver.intake.knock import Knock
from ciserver.intake.payload import Fields, parse_json
from ciserver.intake.signature import is_webhook_signed, require
from ciserver.model.push import Push

DELIVERY = ("webhook-id",)
MAX_CHANGES = 1000
MAX_OPTIONS = 100


def read(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> Knock:
    """See Door. The timestamp may be five minutes away from `now`, either way."""
    require(is_webhook_signed(headers, body, secrets, now))
    delivery, fields = delivery_id(headers, DELIVERY, body), Fields(parse_json(body))
    event = fields.text("type")
    if event == "ping":
        return Knock(delivery, is_ping=True)
    if event and event != "push":
        return Knock(delivery, ignored=why_ignored(event))
    push = _push(fields.part("data"))
    fields.require_sound()
    return Knock(delivery, push=push)


def _push(fields: Fields) -> Push:
    """The push as told; faults are noted in `fields`. No repository means the hook's own."""
    repository = fields.optional_text("repository")
    changes = fields.parts("changes", at_most=MAX_CHANGES)
    return Push(
        changes=tuple(read_change(one, old="old", new="new") for one in changes),
        repositories=(repository,) if repository else (),
        pusher=fields.shown("pusher"),
        options=fields.texts("options", at_most=MAX_OPTIONS),
    )
