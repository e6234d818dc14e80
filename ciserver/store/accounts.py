"""Users, their tokens, sessions and one-time sign-in links. Only hashes of secrets are kept."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import peewee

from ciserver.model.account import Token, User
from ciserver.model.errors import AlreadyExists, NotFound
from ciserver.store import tables as t
from ciserver.store.database import Database


class Accounts:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self, name: str, *, email: str, password_hash: str, is_admin: bool, now: datetime
    ) -> int:
        try:
            return self._db.insert(
                t.User.insert(
                    name=name,
                    email=email,
                    password_hash=password_hash,
                    is_admin=is_admin,
                    created_at=now,
                )
            )
        except peewee.IntegrityError as error:
            raise AlreadyExists(f"there is already a user {name}") from error

    def count(self) -> int:
        return int(self._db.scalar(t.User.select(peewee.fn.COUNT(t.User.id))))

    def find(self, name: str) -> User | None:
        row = self._db.usual_row(_by_name, name)
        return _user(row) if row else None

    def get(self, name: str) -> User:
        user = self.find(name)
        if user is None:
            raise NotFound(f"there is no user {name}", hint="make one with: ciserver user add")
        return user

    def list_all(self) -> tuple[User, ...]:
        return tuple(_user(row) for row in self._db.rows(t.User.select().order_by(t.User.name)))

    def password_hash(self, name: str) -> str:
        """The stored hash; empty when there is no such user or no password was set."""
        return self._db.scalar(t.User.select(t.User.password_hash).where(t.User.name == name)) or ""

    def change(
        self, user_id: int, *, email: str, full_name: str, roles: Iterable[str], is_admin: bool
    ) -> None:
        self._db.change(
            t.User.update(
                email=email,
                full_name=full_name,
                roles=json.dumps(sorted(roles)),
                is_admin=is_admin,
            ).where(t.User.id == user_id)
        )

    def find_by_mail(self, email: str) -> User | None:
        """The one account with this address; None when there is none, or more than one."""
        rows = self._db.rows(t.User.select().where(t.User.email == email).limit(2))
        return _user(rows[0]) if len(rows) == 1 else None

    def set_password(self, user_id: int, password_hash: str) -> None:
        self._db.change(t.User.update(password_hash=password_hash).where(t.User.id == user_id))

    def add_token(
        self,
        user_id: int,
        *,
        hash: str,  # noqa: A002  the column's name
        prefix: str,
        scopes: tuple[str, ...],
        now: datetime,
        expires_at: datetime | None,
    ) -> int:
        return self._db.insert(
            t.Token.insert(
                user=user_id,
                hash=hash,
                prefix=prefix,
                scopes=" ".join(scopes),
                created_at=now,
                expires_at=expires_at,
            )
        )

    def find_token(self, hash: str, now: datetime) -> tuple[Token, User] | None:  # noqa: A002
        """The live token with this hash and its owner."""
        row = self._db.usual_row(_by_token, hash)
        if row is None or (row["expires_at"] is not None and row["expires_at"] <= now):
            return None
        return _token(row), _user({**row, "id": row["user"]})

    def touch_token(self, token_id: int, now: datetime) -> None:
        self._db.change(t.Token.update(last_used_at=now).where(t.Token.id == token_id))

    def add_session(self, id_hash: str, user_id: int, csrf: str, expires_at: datetime) -> None:
        self._db.insert(
            t.Session.insert(id_hash=id_hash, user=user_id, csrf=csrf, expires_at=expires_at)
        )

    def find_session(self, id_hash: str, now: datetime) -> tuple[User, str] | None:
        """The user of a live session and its form token."""
        row = self._db.usual_row(_by_session, id_hash)
        return (_user(row), row["csrf"]) if row and row["expires_at"] > now else None

    def remove_session(self, id_hash: str) -> None:
        self._db.change(t.Session.delete().where(t.Session.id_hash == id_hash))

    def remove_sessions_of(self, user_id: int) -> None:
        self._db.change(t.Session.delete().where(t.Session.user == user_id))

    def remove_expired(self, now: datetime) -> None:
        self._db.change(t.Session.delete().where(t.Session.expires_at <= now))
        self._db.change(t.SignInLink.delete().where(t.SignInLink.expires_at <= now))

    def add_link(self, token_hash: str, user_id: int, expires_at: datetime) -> None:
        self._db.insert(
            t.SignInLink.insert(token_hash=token_hash, user=user_id, expires_at=expires_at)
        )

    def find_link(self, token_hash: str, now: datetime) -> User | None:
        row = self._db.row(
            t.User.select()
            .join(t.SignInLink, on=t.SignInLink.user == t.User.id)
            .where(t.SignInLink.token_hash == token_hash, t.SignInLink.expires_at > now)
        )
        return _user(row) if row else None

    def remove_link(self, token_hash: str) -> bool:
        """True when it was still there: a link works once, whoever comes first."""
        return bool(
            self._db.change(t.SignInLink.delete().where(t.SignInLink.token_hash == token_hash))
        )


def _by_token(hash: str) -> Any:  # noqa: A002  the column's name
    mine = t.User
    owner = mine.name, mine.email, mine.is_admin, mine.full_name, mine.roles
    return t.Token.select(t.Token, *owner).join(mine).where(t.Token.hash == hash)


def _by_session(id_hash: str) -> Any:
    mine = t.Session
    query = mine.select(mine.csrf, mine.expires_at, t.User).join(t.User)
    return query.where(mine.id_hash == id_hash)


def _by_name(name: str) -> Any:
    return t.User.select().where(t.User.name == name)


def _user(row: Mapping[str, Any]) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        is_admin=bool(row["is_admin"]),
        created_at=row["created_at"],
        full_name=row["full_name"],
        roles=tuple(json.loads(row["roles"])),
    )


def _token(row: Mapping[str, Any]) -> Token:
    return Token(
        id=row["id"],
        user=row["name"],
        prefix=row["prefix"],
        scopes=tuple(row["scopes"].split()),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )
