"""GitHub's webhooks, also as its Enterprise Server sends them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qs

from ciserver.intake.changes import PushWords, read_push
from ciserver.intake.headers import delivery_id, event_name, why_ignored
from ciserver.intake.knock import Knock
from ciserver.intake.payload import malformed, parse_json
from ciserver.intake.signature import is_hex_signed, require
from ciserver.model.errors import Complaint

EVENT = ("x-github-event",)
DELIVERY = ("x-github-delivery",)
SIGNATURE = "x-hub-signature-256"
FORM = "application/x-www-form-urlencoded"
WORDS = PushWords(
    repository="repository",
    # mirror_url is left out: it names another repository.
    addresses=("clone_url", "ssh_url", "git_url", "html_url", "svn_url"),
    pushers=("sender.login", "pusher.name"),
)


def read(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,  # noqa: ARG001 - Door hands it to all; this signature has no time in it
) -> Knock:
    """See Door."""
    require(is_hex_signed(headers.get(SIGNATURE, ""), body, secrets, prefix="sha256="))
    delivery, event = delivery_id(headers, DELIVERY, body), event_name(headers, EVENT)
    if event == "ping":
        return Knock(delivery, is_ping=True)
    if event != "push":
        return Knock(delivery, ignored=why_ignored(event))
    return Knock(delivery, push=read_push(parse_json(_json_of(headers, body)), WORDS))


def _json_of(headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON text: the body itself, or the one `payload` of a form."""
    if not headers.get("content-type", "").lower().startswith(FORM):
        return body
    try:
        form = parse_qs(
            body.decode("ascii"), strict_parsing=True, errors="strict", max_num_fields=10
        )
    except ValueError as error:
        raise malformed([Complaint("body", "is not a form")]) from error
    if len(form.get("payload", ())) != 1:
        raise malformed([Complaint("payload", "must be in the form once")])
    return form["payload"][0].encode()
