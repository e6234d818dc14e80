"""Secrets for builds. Their values are sealed, each together with its UUID, so that no row can be
given the value of another.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.errors import AlreadyExists, BadConfiguration
from ciserver.model.secret import Holder, OpenSecret, Secret, SecretType
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.seal import Seal

_TOLD = (
    t.Secret.uuid,
    t.Secret.type,
    t.Secret.name,
    t.Secret.path,
    t.Secret.mode,
    t.Secret.created_at,
    t.Secret.last_used_at,
)


class Secrets:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._db = database
        self._seal = seal

    def add(self, holder: Holder, secret: OpenSecret, now: datetime) -> None:
        """Raises AlreadyExists for a name that another secret of the holder has."""
        try:
            self._db.insert(
                t.Secret.insert(
                    uuid=secret.uuid,
                    user=holder.user,
                    project=holder.project_id,
                    type=secret.type,
                    name=secret.name,
                    path=secret.path,
                    mode=secret.mode,
                    sealed=self._close(secret),
                    created_at=now,
                )
            )
        except peewee.IntegrityError as error:
            raise AlreadyExists(
                f"there is already a secret {secret.name}",
                hint="remove it first, or choose another name",
            ) from error

    def list_of(self, holder: Holder) -> tuple[Secret, ...]:
        """Oldest first."""
        rows = self._db.rows(t.Secret.select(*_TOLD).where(_of(holder)).order_by(t.Secret.id))
        return tuple(_secret(row) for row in rows)

    def find(self, holder: Holder, uuid: str) -> Secret | None:
        """The secret, if it is the holder's."""
        row = self._db.row(t.Secret.select(*_TOLD).where(_of(holder), t.Secret.uuid == uuid))
        return _secret(row) if row else None

    def count(self, holder: Holder) -> int:
        return int(
            self._db.scalar(t.Secret.select(peewee.fn.COUNT(t.Secret.id)).where(_of(holder)))
        )

    def remove(self, holder: Holder, uuid: str) -> None:
        self._db.change(t.Secret.delete().where(_of(holder), t.Secret.uuid == uuid))

    def remove_of(self, holder: Holder) -> None:
        """All of them."""
        self._db.change(t.Secret.delete().where(_of(holder)))

    def open(self, holder: Holder, references: Iterable[str]) -> dict[str, OpenSecret]:
        """Those of the holder's secrets that are meant, each by its UUID or its name, with their
        values; what is not there is left out. Raises BadConfiguration for one that cannot be
        opened.
        """
        wanted = set(references)
        if not wanted:
            return {}
        uuids = {one.lower() for one in wanted}
        named = (t.Secret.uuid << uuids) | ((t.Secret.name << wanted) & (t.Secret.name != ""))
        rows = self._db.rows(t.Secret.select().where(_of(holder), named))
        by_uuid = {row["uuid"]: row for row in rows}
        by_name = {row["name"]: row for row in rows}
        found = {one: by_uuid.get(one.lower()) or by_name.get(one) for one in wanted}
        opened = {row["uuid"]: self._open(row) for row in rows}
        return {one: opened[row["uuid"]] for one, row in found.items() if row}

    def touch(self, uuids: Iterable[str], now: datetime) -> None:
        """They are used now."""
        self._db.change(t.Secret.update(last_used_at=now).where(t.Secret.uuid << list(uuids)))

    def _close(self, secret: OpenSecret) -> bytes:
        return self._seal.close(f"{secret.uuid}:{b64encode(secret.value).decode()}")

    def _open(self, row: Mapping[str, Any]) -> OpenSecret:
        try:
            uuid, _, value = self._seal.open(row["sealed"]).partition(":")
        except BadConfiguration as error:
            raise _unreadable(row, "the key of this server does not open it") from error
        if uuid != row["uuid"]:
            raise _unreadable(row, "what it holds was sealed for another one")
        return OpenSecret(
            uuid=row["uuid"],
            type=SecretType(row["type"]),
            name=row["name"],
            path=row["path"],
            mode=row["mode"],
            value=b64decode(value),
        )


def _of(holder: Holder) -> Any:
    project = t.Secret.project
    if holder.project_id is None:
        return (t.Secret.user == holder.user) & project.is_null()
    return (t.Secret.user == "") & (project == holder.project_id)


def _unreadable(row: Mapping[str, Any], why: str) -> BadConfiguration:
    return BadConfiguration(
        f"the secret {row['name'] or row['uuid']} cannot be read: {why}",
        hint="restore the key file that belongs to this database, or add the secret anew",
    )


def _secret(row: Mapping[str, Any]) -> Secret:
    return Secret(
        uuid=row["uuid"],
        type=SecretType(row["type"]),
        name=row["name"],
        path=row["path"],
        mode=row["mode"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
    )
