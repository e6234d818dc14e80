"""Secrets that people keep for their builds: added, listed without their values, removed.

A user's own are for what the user submits, a project's for what is built of its trusted pushes.
"""

from collections.abc import Iterator
from dataclasses import field
from uuid import uuid4

from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Conflict, Invalid, NotFound, NotSignedIn
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.model.request import Action
from ciserver.model.secret import (
    FILE_MODE,
    MOST_BYTES,
    Holder,
    OpenSecret,
    Secret,
    SecretType,
    is_uuid,
)
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.service.secret_texts import file_mode, home_path, key_faults
from ciserver.store.store import Store

MOST_SECRETS = 200
READ_SCOPE, WRITE_SCOPE = "secrets:read", "secrets:write"
_SHORTEST_NAME, _LONGEST_NAME = 3, 512


@frozen
class GivenSecret:
    """A secret as somebody gives it; path and mode, in octal digits, are those of a file."""

    type: str
    value: bytes = field(repr=False)
    name: str = ""
    path: str = ""
    mode: str = ""


class Secrets:
    def __init__(self, store: Store, clock: Clock, rights: Rights, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._rights = rights
        self._audit = audit

    # -- a user's own -----------------------------------------------------------------------------

    def list_own(self, actor: Actor, user: str = "") -> tuple[Secret, ...]:
        """Those of the actor, or of the user that an administrator names, oldest first.
        Raises NotSignedIn, Forbidden, NotFound.
        """
        return self._store.secrets.list_of(self._own(actor, user, READ_SCOPE))

    def add_own(self, actor: Actor, given: GivenSecret, user: str = "") -> Secret:
        """Raises Invalid with every fault, AlreadyExists, Conflict when there are too many,
        NotSignedIn, Forbidden, NotFound.
        """
        uuid = str(uuid4())
        what = {"user": user or actor.name, "secret": uuid, **_told(given)}
        with self._audit.record(actor, Action.ADD_SECRET, **what):
            return self._add(self._own(actor, user, WRITE_SCOPE), uuid, given)

    def remove_own(self, actor: Actor, uuid: str, user: str = "") -> None:
        """Raises NotFound, NotSignedIn, Forbidden."""
        what = {"user": user or actor.name, "secret": uuid}
        with self._audit.record(actor, Action.REMOVE_SECRET, **what):
            self._remove(self._own(actor, user, WRITE_SCOPE), uuid)

    def _own(self, actor: Actor, user: str, scope: str) -> Holder:
        if not actor.name:
            raise NotSignedIn("this needs a signed-in user or an API token")
        if user in {"", actor.name}:
            self._rights.require_scope(actor, scope)
            return Holder(user=actor.name)
        self._rights.require_admin(actor)
        return Holder(user=self._store.accounts.get(user).name)

    # -- a project's ------------------------------------------------------------------------------

    def list_of_project(self, actor: Actor, project: str) -> tuple[Secret, ...]:
        """Oldest first, told to those who may change the project. Raises NotSignedIn, Forbidden,
        NotFound.
        """
        return self._store.secrets.list_of(self._of_project(actor, project))

    def add_to_project(self, actor: Actor, project: str, given: GivenSecret) -> Secret:
        """As `add_own`."""
        uuid = str(uuid4())
        what = {"project": project, "secret": uuid, **_told(given)}
        with self._audit.record(actor, Action.ADD_SECRET, **what):
            return self._add(self._of_project(actor, project), uuid, given)

    def remove_from_project(self, actor: Actor, project: str, uuid: str) -> None:
        """As `remove_own`."""
        with self._audit.record(actor, Action.REMOVE_SECRET, project=project, secret=uuid):
            self._remove(self._of_project(actor, project), uuid)

    def _of_project(self, actor: Actor, project: str) -> Holder:
        return Holder(project_id=self._rights.project(actor, project, Right.EDIT).id)

    # -- both -------------------------------------------------------------------------------------

    def _add(self, holder: Holder, uuid: str, given: GivenSecret) -> Secret:
        faults = [*_faults(given)]
        path, path_faults = home_path(given.path) if _is_file(given) else ("", [])
        mode, mode_faults = file_mode(given.mode) if _is_file(given) else (FILE_MODE, [])
        faults += [*path_faults, *mode_faults]
        if faults:
            raise Invalid("the secret cannot be kept", complaints=faults)
        if self._store.secrets.count(holder) >= MOST_SECRETS:
            raise Conflict(
                f"there are {MOST_SECRETS} secrets already, which is the most there may be",
                hint="remove some that are not used any more",
            )
        secret = OpenSecret(uuid, SecretType(given.type), given.name, path, mode, given.value)
        now = self._clock.now()
        self._store.secrets.add(holder, secret, now)
        return Secret(uuid, secret.type, secret.name, path, mode, now, None)

    def _remove(self, holder: Holder, uuid: str) -> None:
        if self._store.secrets.find(holder, uuid) is None:
            raise NotFound(f"there is no secret {uuid}", hint="see: ciserver secret list")
        self._store.secrets.remove(holder, uuid)


def _told(given: GivenSecret) -> dict[str, str]:
    """What the audit trail says of it."""
    return {"name": given.name[:_LONGEST_NAME], "type": given.type[:_LONGEST_NAME]}


def _is_file(given: GivenSecret) -> bool:
    return given.type == SecretType.PLAINTEXT_FILE


def _faults(given: GivenSecret) -> Iterator[Complaint]:
    if given.type not in set(SecretType):
        yield Complaint("type", f"must be one of {', '.join(SecretType)}")
    elif not _is_file(given):
        yield from (
            Complaint(field, f"only a {SecretType.PLAINTEXT_FILE} has one")
            for field, text in (("path", given.path), ("mode", given.mode))
            if text
        )
    if given.name:
        yield from _name_faults(given.name)
    if not given.value.strip():
        yield Complaint("value", "must not be empty")
    elif len(given.value) > MOST_BYTES:
        yield Complaint("value", f"must be at most {MOST_BYTES} bytes, not {len(given.value)}")
    else:
        yield from key_faults(given.type, given.value)


def _name_faults(name: str) -> Iterator[Complaint]:
    if not _SHORTEST_NAME <= len(name) <= _LONGEST_NAME:
        yield Complaint("name", f"must have {_SHORTEST_NAME} to {_LONGEST_NAME} characters")
    if not name.isprintable() or name != name.strip():
        yield Complaint("name", "must be one line that neither begins nor ends with a space")
    if is_uuid(name):
        yield Complaint("name", "must not look like a UUID, which would mean another secret")
