"""GitLab's project webhooks and system hooks.

Authentic is what carries the secret token or, from newer versions, a standard-webhooks signature
made with a `whsec_` signing token.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from ciserver.intake.changes import PushWords, read_push
from ciserver.intake.headers import delivery_id, event_name, why_ignored
from ciserver.intake.knock import Knock
from ciserver.intake.payload import Fields, parse_json
from ciserver.intake.signature import is_token, is_webhook_signed, require

EVENT = ("x-gitlab-event",)
DELIVERY = ("idempotency-key", "webhook-id", "x-gitlab-event-uuid")
TOKEN = "x-gitlab-token"  # noqa: S105 - the header's name
PUSH_EVENTS = frozenset({"Push Hook", "Tag Push Hook"})
SYSTEM_EVENT = "System Hook"
SYSTEM_PUSHES = frozenset({"push", "tag_push"})
WORDS = PushWords(
    repository="project",
    addresses=("git_http_url", "git_ssh_url", "web_url"),
    pushers=("user_username", "user_name"),
)


def read(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> Knock:
    """See Door."""
    require(
        is_token(headers.get(TOKEN, ""), secrets) or is_webhook_signed(headers, body, secrets, now)
    )
    delivery, event = delivery_id(headers, DELIVERY, body), event_name(headers, EVENT)
    if event == SYSTEM_EVENT:
        return _read_system_hook(delivery, body)
    if event not in PUSH_EVENTS:
        return Knock(delivery, ignored=why_ignored(event))
    return Knock(delivery, push=read_push(parse_json(body), WORDS))


def _read_system_hook(delivery: str, body: bytes) -> Knock:
    """A system hook has one header for all events and names the event in its body; some of the
    events have only the newer name, `object_kind`.
    """
    values = parse_json(body)
    fields = Fields(values)
    event = fields.text("event_name" if "event_name" in fields else "object_kind")
    fields.require_sound()
    if event not in SYSTEM_PUSHES:
        return Knock(delivery, ignored=why_ignored(event))
    return Knock(delivery, push=read_push(values, WORDS))
