"""Who signs in, and with what."""

import peewee as p

from ciserver.store.fields import FlagField, MomentField
from ciserver.store.tables.base import Table


class User(Table):
    id = p.AutoField()
    name = p.TextField(unique=True)
    email = p.TextField(default="")
    password_hash = p.TextField(default="")
    is_admin = FlagField(default=False)
    full_name = p.TextField(default="")
    roles = p.TextField(default="[]")  # JSON list
    created_at = MomentField()

    class Meta:
        table_name = "users"


class Session(Table):
    id_hash = p.TextField(primary_key=True)
    user = p.ForeignKeyField(User)
    csrf = p.TextField()
    expires_at = MomentField(index=True)

    class Meta:
        table_name = "sessions"


class SignInLink(Table):
    """A one-time link; the row goes when it is used."""

    token_hash = p.TextField(primary_key=True)
    user = p.ForeignKeyField(User)
    expires_at = MomentField()

    class Meta:
        table_name = "sign_in_links"


class Token(Table):
    id = p.AutoField()
    user = p.ForeignKeyField(User)
    hash = p.TextField(unique=True)
    prefix = p.TextField()
    scopes = p.TextField()
    created_at = MomentField()
    expires_at = MomentField(null=True)
    last_used_at = MomentField(null=True)

    class Meta:
        table_name = "tokens"
