"""Secrets that people keep here for their builds: a user's own, or a project's."""

import uuid as uuids
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from ciserver.model.frozen import frozen

MOST_BYTES = 16 * 1024
FILE_MODE = 0o600


class SecretType(StrEnum):
    SSH_KEY = "ssh_key"
    PGP_KEY = "pgp_key"
    PLAINTEXT_FILE = "plaintext_file"


@frozen
class Holder:
    """Whose a secret is: a user's, or a project's. Exactly one of the two is given."""

    user: str = ""
    project_id: int | None = None


@frozen
class Secret:
    """What is told of a secret: everything but its value. Only a file has a path, relative to the
    home of a build, and a mode.
    """

    uuid: str
    type: SecretType
    name: str
    path: str
    mode: int
    created_at: datetime
    last_used_at: datetime | None

    @property
    def title(self) -> str:
        return self.name or self.uuid


@frozen
class OpenSecret:
    """A secret with its value, on its way into one build. Never stored, and never in a message."""

    uuid: str
    type: SecretType
    name: str
    path: str
    mode: int
    value: bytes = field(repr=False)

    @property
    def title(self) -> str:
        return f"{self.name} ({self.uuid})" if self.name else self.uuid

    @property
    def text(self) -> str:
        """The value as text; bytes that are none survive the way back."""
        return self.value.decode(errors="surrogateescape")


@frozen
class BuildSecrets:
    """What a build is given of the secrets that its recipe names. With `refused`, the reason, it
    cannot begin; `note` says in its log why it has none.
    """

    given: tuple[OpenSecret, ...] = ()
    refused: str = ""
    note: str = ""

    @property
    def ssh_key(self) -> str:
        """The first of the ssh keys, by which repositories are read; empty without one."""
        keys = (one.text for one in self.given if one.type is SecretType.SSH_KEY)
        return next(keys, "")


NO_SECRETS = BuildSecrets()


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as it is usually written, and so no name."""
    try:
        return len(text) == 36 and str(uuids.UUID(text)) == text.lower()
    except ValueError:
        return False
