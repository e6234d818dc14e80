"""What a delivery at a door turns out to be, and what every door promises."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ciserver.model.frozen import frozen
from ciserver.model.push import Push


@frozen
class Knock:
    """One authentic delivery: a push, a ping, or neither with the reason in `ignored`."""

    delivery_id: str
    push: Push | None = None
    ignored: str = ""
    is_ping: bool = False


class Door(Protocol):
    """Translates the deliveries of one kind of sender."""

    def read(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> Knock:
        """Check the signature over the raw body, then say what the delivery is.

        `headers` have lower-case names; any one of `secrets` may have signed; none refuses all.
        Raises BadSignature, always with the same words and before the body is parsed, and Invalid
        with every fault of a payload that is signed well and cannot be used.
        """
