"""What a door reads from the headers: who numbered the delivery, and which event it tells."""

import hashlib
from collections.abc import Mapping, Sequence

from ciserver.model.errors import Complaint, Invalid

MAX_DELIVERY_ID = 200
MAX_EVENT = 60
TOLD_BY_PUSH = frozenset({"create", "delete"})


def first_of(headers: Mapping[str, str], names: Sequence[str]) -> str:
    """The first of these headers that says anything; empty when none does."""
    return next((headers[name] for name in names if headers.get(name)), "")


def delivery_id(headers: Mapping[str, str], names: Sequence[str], body: bytes) -> str:
    """The sender's own id for the delivery, else one made from the body: never empty."""
    sent = visible(first_of(headers, names), MAX_DELIVERY_ID)
    return sent or f"body-{hashlib.sha256(body).hexdigest()}"


def event_name(headers: Mapping[str, str], names: Sequence[str]) -> str:
    """The event the sender announces. Raises Invalid when it announces none."""
    event = visible(first_of(headers, names), MAX_EVENT)
    if not event:
        raise Invalid(
            "the delivery does not say which event it tells",
            complaints=[Complaint(names[0], "is missing")],
            hint="let every proxy on the way pass this header on",
        )
    return event


def why_ignored(event: str) -> str:
    """Why an event that is no push asks for nothing."""
    shown = visible(event, MAX_EVENT)
    if shown in TOLD_BY_PUSH:
        return f"{shown} events are ignored: the push event tells the same"
    return f"{shown} events are not built in this version"


def visible(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, without what a page or a log could not show."""
    return "".join(filter(str.isprintable, text[:limit])).strip()
