"""Whatever goes wrong becomes a refusal: one value, for every door to say in its own words."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import falcon

from ciserver.model.errors import CiError, Complaint, Invalid, Kind, RemoteFailure

STATUS: dict[Kind, int] = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "gone": 410,
    "conflict": 409,
    "too_large": 413,
    "busy": 503,
    "internal": 500,
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a client may know of an error. `status` and `headers` are set before a door writes its
    body, which may change them; `kind` is "http" for what the framework refuses, such as a method;
    `incident` names the entry of the log that has the details of a crash.
    """

    status: int
    kind: Kind | Literal["http"]
    code: str
    message: str
    error: Exception
    hint: str = ""
    complaints: tuple[Complaint, ...] = ()
    incident: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal_of(error: Exception) -> Refusal:
    """The refusal for an error of ours or of the framework; anything else is a crash."""
    if isinstance(error, CiError):
        return _of_ours(error)
    if isinstance(error, falcon.HTTPError):
        return _of_framework(error)
    return _of_crash(error)


def _of_ours(error: CiError) -> Refusal:
    status = 502 if isinstance(error, RemoteFailure) else STATUS[error.kind]
    return Refusal(
        status=status,
        kind=error.kind,
        code=error.code,
        message=error.message,
        error=error,
        hint=error.hint or "",
        complaints=error.complaints if isinstance(error, Invalid) else (),
        details=error.details,
        headers={"Retry-After": "2"} if status == 503 else {},
    )


def _of_framework(error: falcon.HTTPError) -> Refusal:
    status = falcon.http_status_to_code(error.status)
    return Refusal(
        status=status,
        kind="http",
        code=f"http-{status}",
        message=error.description or error.title or "refused",
        error=error,
        headers=dict(error.headers or {}),
    )


def _of_crash(error: Exception) -> Refusal:
    incident = secrets.token_hex(4)
    return Refusal(
        status=500,
        kind="internal",
        code="internal",
        message=f"the server failed; its log has the details under incident {incident}",
        error=error,
        incident=incident,
    )
