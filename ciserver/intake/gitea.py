"""The webhooks of Gitea, Forgejo and Gogs.

Each sends copies of its headers under the names of its ancestors and of GitHub; the most specific
one counts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from ciserver.intake.changes import PushWords, read_push
from ciserver.intake.headers import delivery_id, event_name, first_of, why_ignored
from ciserver.intake.knock import Knock
from ciserver.intake.payload import parse_json
from ciserver.intake.signature import is_hex_signed, require

EVENT = ("x-forgejo-event", "x-gitea-event", "x-gogs-event")
DELIVERY = ("x-forgejo-delivery", "x-gitea-delivery", "x-gogs-delivery")
SIGNATURE = ("x-forgejo-signature", "x-gitea-signature", "x-gogs-signature")
WORDS = PushWords(
    repository="repository",
    # original_url is left out: it is where the repository was migrated from.
    addresses=("clone_url", "ssh_url", "html_url"),
    pushers=("sender.login", "pusher.login", "pusher.username", "pusher.name"),
)


def read(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,  # noqa: ARG001 - Door hands it to all; this signature has no time in it
) -> Knock:
    """See Door."""
    require(is_hex_signed(first_of(headers, SIGNATURE), body, secrets))
    delivery, event = delivery_id(headers, DELIVERY, body), event_name(headers, EVENT)
    if event != "push":
        return Knock(delivery, ignored=why_ignored(event))
    return Knock(delivery, push=read_push(parse_json(body), WORDS))
