"""Who asks, and what they may do: people, their tokens, and the actor of one request."""

import re
from datetime import datetime
from enum import StrEnum

from ciserver.model.frozen import frozen

CREATE_PROJECTS = "create-projects"
SCOPES = (
    "projects:read",
    "projects:write",
    "builds:read",
    "builds:write",
    "jobs:read",
    "jobs:write",
    "deliveries:write",
    "secrets:read",
    "secrets:write",
    "users:write",
)
# builds.sr.ht calls its builds jobs; a scope of either name is both.
_SAME_SUBJECT = {"jobs": "builds"}
# Its scopes may begin with the client that they were made for. Here that makes no difference.
_CLIENT = re.compile(r"[A-Za-z0-9._-]{1,64}/")


class Visibility(StrEnum):
    """Who sees a project, or what was built: everybody; whoever knows the address; members."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


class Right(StrEnum):
    """What somebody may do in a project. Its owner and administrators have them all."""

    READ = "read"  # also what is private
    EVALUATE = "evaluate"  # ask for evaluations and new builds
    RESTART = "restart"
    CANCEL = "cancel"
    BUMP = "bump"  # change priorities
    EDIT = "edit"  # the project, its jobsets, schedules and members; delete and keep builds

    @property
    def scope(self) -> str:
        """The scope that a token needs beside the right."""
        return _SCOPE_OF.get(self, "builds:write")


_SCOPE_OF = {Right.READ: "builds:read", Right.EDIT: "projects:write"}
# What an account may have on the whole server: to make projects, and rights in every project.
ROLES = (CREATE_PROJECTS, Right.EVALUATE, Right.RESTART, Right.CANCEL, Right.BUMP)


@frozen
class User:
    id: int
    name: str
    email: str
    is_admin: bool
    created_at: datetime
    full_name: str = ""
    roles: tuple[str, ...] = ()


@frozen
class Member:
    """Somebody with rights in a project that is not theirs."""

    user: str
    rights: frozenset[Right]


@frozen
class Token:
    id: int
    user: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@frozen
class Actor:
    """Who makes a request and what they may do. `scopes` is `*` for people with a session;
    `roles` are those of the account; `request_id` is the job request that they act for, where
    what they do is recorded already.
    """

    name: str
    is_admin: bool = False
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    request_id: int | None = None

    def has_scope(self, scope: str) -> bool:
        """Whether the proof allows it; to write something is to read it too."""
        held = {_plain(one) for one in self.scopes}
        plain = _plain(scope)
        subject, _, verb = plain.partition(":")
        return bool(held & {"*", plain}) or (verb == "read" and f"{subject}:write" in held)


@frozen
class Sight:
    """What lists may show to one actor: what is public, what is of these projects, and what was
    shared with the user by name; or everything.
    """

    everything: bool = False
    projects: tuple[int, ...] = ()
    user: str = ""
    unlisted: tuple[int, ...] = ()  # projects whose address was given


def is_scope(text: str) -> bool:
    """Whether a token may have it."""
    return text == "*" or _without_client(text) in SCOPES


def _without_client(scope: str) -> str:
    client = _CLIENT.match(scope)
    return scope[client.end() :] if client else scope


def _plain(scope: str) -> str:
    subject, colon, verb = _without_client(scope).partition(":")
    return _SAME_SUBJECT.get(subject, subject) + colon + verb


ANONYMOUS = Actor(name="")
SYSTEM = Actor(name="ciserver", is_admin=True, scopes=("*",))
