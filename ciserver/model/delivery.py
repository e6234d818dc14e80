"""A message that must leave the house, and the tries made to deliver it."""

from datetime import datetime
from typing import Any

from ciserver.model.event import Event
from ciserver.model.frozen import frozen
from ciserver.model.status import DeliveryStatus


@frozen
class Delivery:
    """One event for one trigger. `id` is stable over all tries: the receiver's idempotency key."""

    id: str
    action: str  # the trigger's name: email, webhook
    target: str  # whom it goes to, for people to read
    options: dict[str, Any]
    event: Event
    status: DeliveryStatus
    tries: int
    due_at: datetime
    created_at: datetime
    sent_at: datetime | None
    detail: str  # what the last try said


@frozen
class DeliveryTry:
    delivery_id: str
    number: int
    at: datetime
    ok: bool
    detail: str
    duration_seconds: float


@frozen
class SigningKey:
    """What everybody may know of a key that webhooks are signed with."""

    id: str
    public_key: str  # base64 of the 32 bytes of an Ed25519 public key
    signs: bool  # webhooks that are sent now
