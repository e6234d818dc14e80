"""Who asks: people, their tokens, and the actor of one request."""

from dataclasses import dataclass
from datetime import datetime

SCOPES = (
    "projects:read",
    "projects:write",
    "builds:read",
    "builds:write",
    "jobs:read",
    "jobs:write",
    "deliveries:write",
    "users:write",
)


@dataclass(frozen=True)
class User:
    id: int
    name: str
    email: str
    is_admin: bool
    created_at: datetime


@dataclass(frozen=True)
class Token:
    id: int
    user: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class Actor:
    """Who makes a request and what they may do. `scopes` is `*` for people with a session."""

    name: str
    is_admin: bool = False
    scopes: tuple[str, ...] = ()

    def has_scope(self, scope: str) -> bool:
        if "*" in self.scopes or scope in self.scopes:
            return True
        subject, _, verb = scope.partition(":")
        return verb == "read" and f"{subject}:write" in self.scopes


ANONYMOUS = Actor(name="")
SYSTEM = Actor(name="ciserver", is_admin=True, scopes=("*",))
