"""The action `webhook`: one JSON POST, signed twice: by the conventions of standard-webhooks with
the secret of the project, and as builds.sr.ht does with a key of the server that all can check.
"""

import base64
import binascii
import hashlib
import hmac
import math
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from ciserver import __version__
from ciserver.model.delivery import Delivery
from ciserver.model.errors import RemoteFailure
from ciserver.model.event import Event
from ciserver.model.ports import Clock
from triggers.outgoing import Answer, Outgoing
from triggers.payload import body_of
from triggers.text import first_line

SECRET_PREFIX = "whsec_"  # noqa: S105 -- the public mark of a secret, not one
LONGEST_WAIT_SECONDS = 24 * 3600.0


class Webhook:
    """Posts to `options["url"]`. `secret_of` gives a project's signing secret `whsec_<base64>`,
    `seal` makes the signature that has a public key. `beside` are further keys of the body.
    """

    action: ClassVar[str] = "webhook"

    def __init__(
        self,
        http: Outgoing,
        secret_of: Callable[[str], str],
        clock: Clock,
        *,
        seal: Callable[[bytes], bytes],
        beside: Callable[[Event], dict[str, Any]] = lambda _: {},
        nonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._http = http
        self._secret_of = secret_of
        self._clock = clock
        self._seal = seal
        self._beside = beside
        self._nonce = nonce

    def deliver(self, delivery: Delivery) -> str:
        """Post the event once and say what was answered.

        Raises RemoteFailure: `disable` when the receiver answers 410; not temporary for a URL
        that must not be called, a redirect, or a project without a secret; temporary otherwise,
        with the wait that the receiver asked for.
        """
        body = body_of(delivery, self._beside(delivery.event))
        answer = self._http.post(_url(delivery), body, self._headers(delivery, body))
        if 200 <= answer.status < 300:
            return f"answered {answer.status}"
        raise _refused(answer, self._clock.now())

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock.now().timestamp()))
        key = _key(delivery.event.project, self._secret_of(delivery.event.project))
        nonce = self._nonce()
        return {
            "Content-Type": "application/json",
            "User-Agent": f"ciserver/{__version__}",
            "Webhook-Id": delivery.id,
            "Webhook-Timestamp": timestamp,
            "Webhook-Signature": sign(key, delivery.id, timestamp, body),
            "X-Payload-Nonce": nonce,
            "X-Payload-Signature": base64.b64encode(self._seal(body + nonce.encode())).decode(),
        }


def sign(key: bytes, delivery_id: str, timestamp: str, body: bytes) -> str:
    """The `v1` signature over id, timestamp and body, joined by dots."""
    signed = b".".join((delivery_id.encode(), timestamp.encode(), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _url(delivery: Delivery) -> str:
    url = delivery.options.get("url")
    if isinstance(url, str) and url:
        return url
    raise RemoteFailure(
        "the webhook trigger has no url",
        temporary=False,
        hint="give the trigger a key url in the recipe",
    )


def _key(project: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if key and secret.startswith(SECRET_PREFIX):
        return key
    raise RemoteFailure(
        f"project {project} has no usable webhook secret, so nothing can be signed",
        temporary=False,
        hint="make a new signing secret for the project",
    )


def _refused(answer: Answer, now: datetime) -> RemoteFailure:
    said = first_line(answer.body_head, 200)
    message = f"the receiver answered {answer.status}" + (f": {said}" if said else "")
    if answer.status == 410:
        return RemoteFailure(
            message, temporary=False, disable=True, hint="remove the trigger, or give a new url"
        )
    if 300 <= answer.status < 400:
        return RemoteFailure(
            message, temporary=False, hint="redirects are not followed: give the final url"
        )
    wait = retry_after_seconds(answer.headers.get("retry-after", ""), now)
    return RemoteFailure(message, temporary=True, retry_after_seconds=wait)


def retry_after_seconds(value: str, now: datetime) -> float | None:
    """How long the receiver asks us to wait, at most a day; None when it does not say."""
    seconds = _number(value)
    if seconds is None:
        seconds = _seconds_until(value, now)
    if seconds is None:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def _number(value: str) -> float | None:
    return float(value) if value.isdecimal() and value.isascii() else None


def _seconds_until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return math.ceil((aware - now).total_seconds())
