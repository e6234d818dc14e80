"""Proofs that a delivery comes from somebody who knows a secret.

All of them look at the raw body, compare in constant time, and fail in the same words, so that a
stranger learns neither what was wrong nor what exists here.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ciserver.model.errors import BadSignature

SIGNING_PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
_SECONDS = re.compile(r"[0-9]{1,12}")


def require(proven: bool) -> None:
    """Raise BadSignature unless one of the checks below has said yes."""
    if not proven:
        raise BadSignature(
            "the delivery is not signed with a secret of this hook",
            hint="give the sender the hook's secret, have it send JSON with its newest kind of"
            " signature, and set its clock",
        )


def is_hex_signed(sent: str, body: bytes, secrets: Sequence[str], *, prefix: str = "") -> bool:
    """Whether `sent` is the prefix and the lower-case hex HMAC-SHA256 of the body."""
    return any(
        _same(f"{prefix}{hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}", sent)
        for secret in filter(None, secrets)
    )


def is_token(sent: str, secrets: Sequence[str]) -> bool:
    """Whether `sent` is one of the secrets itself: all that GitLab's older hooks offer."""
    return any(_same(secret, sent) for secret in filter(None, secrets))


def is_webhook_signed(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> bool:
    """Whether the standard-webhooks headers sign the body, with a timestamp close to `now`.

    Only secrets written as `whsec_` and base64 count.
    """
    delivery_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not delivery_id or not _is_close(timestamp, now):
        return False
    content = _wire(f"{delivery_id}.{timestamp}.") + body
    candidates = headers.get("webhook-signature", "").split(" ")
    return any(
        _same(expected, candidate)
        for expected in (_version_1(key, content) for key in _signing_keys(secrets))
        for candidate in candidates
    )


def _is_close(timestamp: str, now: datetime) -> bool:
    if not _SECONDS.fullmatch(timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= TOLERANCE_SECONDS


def _signing_keys(secrets: Sequence[str]) -> Iterator[bytes]:
    for secret in secrets:
        if secret.startswith(SIGNING_PREFIX):
            key = _decoded(secret.removeprefix(SIGNING_PREFIX))
            if key:  # anybody can sign with an empty key
                yield key


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _version_1(key: bytes, content: bytes) -> str:
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _same(expected: str, sent: str) -> bool:
    return hmac.compare_digest(expected.encode(), _wire(sent))


def _wire(header: str) -> bytes:
    """The bytes as they were sent: WSGI hands header bytes over as latin-1 text."""
    return header.encode("latin-1", "backslashreplace")
