"""Who asks, and what they may do."""

from datetime import timedelta

import pytest

from ciserver.model.account import ANONYMOUS, Actor
from ciserver.model.errors import (
    AlreadyExists,
    Busy,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
)

PASSWORD = "correct horse"


@pytest.fixture
def access(services):
    return services.access


@pytest.fixture
def ada(access, admin):
    return access.add_user(admin, "ada", email="ada@example.org", password=PASSWORD, admin=False)


def everything_stored(store):
    tables = ("users", "tokens", "sessions", "sign_in_links")
    return repr([store.database.sql(f"SELECT * FROM {one}").fetchall() for one in tables])


def failure(access, name, password):
    with pytest.raises(NotSignedIn) as raised:
        access.sign_in(name, password)
    return (raised.value.message, raised.value.hint, raised.value.details)


# -- passwords and sessions -----------------------------------------------------------------------


def test_sign_in(access, ada, store):
    """The password opens a session that acts for the user; neither is stored in the clear."""
    session = access.sign_in("ada", PASSWORD)
    signed_in = access.signed_in(session)
    assert (signed_in.actor.name, signed_in.actor.is_admin) == ("ada", False)
    assert signed_in.csrf
    stored = everything_stored(store)
    assert "$argon2id$" in stored
    assert PASSWORD not in stored
    assert session not in stored


def test_a_wrong_name_and_a_wrong_password_look_alike(access, ada):
    """Nobody learns which names exist."""
    assert failure(access, "nobody", PASSWORD) == failure(access, "ada", "wrong password")


def test_a_user_without_a_password_cannot_sign_in(access):
    """The first administrator has only the link."""
    access.make_first_administrator()
    failure(access, "admin", "")


def test_too_many_failures(access, ada, clock):
    """After ten failures a name waits five minutes, even with the right password; others do not."""
    for _ in range(10):
        failure(access, "ada", "wrong password")
    with pytest.raises(Busy, match="too many failed"):
        access.sign_in("ada", PASSWORD)
    failure(access, "bob", PASSWORD)
    clock.forward(minutes=6)
    assert access.sign_in("ada", PASSWORD)


def test_a_stranger_locks_nobody_out(access, ada):
    """Failures count for the place they come from: elsewhere the right password opens."""
    for _ in range(10):
        with pytest.raises(NotSignedIn):
            access.sign_in("ada", "guess", source="203.0.113.9")
    with pytest.raises(Busy):
        access.sign_in("ada", PASSWORD, source="203.0.113.9")
    assert access.sign_in("ada", PASSWORD, source="198.51.100.7")


def test_success_forgives_failures(access, ada):
    """Who signed in starts anew."""
    for _ in range(2):
        for _ in range(6):
            failure(access, "ada", "wrong password")
        access.sign_in("ada", PASSWORD)


def test_sessions_end(access, ada, clock):
    """After fourteen days, or when the person signs out, or by a new password."""
    kept, left = access.sign_in("ada", PASSWORD), access.sign_in("ada", PASSWORD)
    access.sign_out(left)
    with pytest.raises(NotSignedIn):
        access.signed_in(left)
    clock.forward(days=13)
    assert access.signed_in(kept)
    clock.forward(days=1)
    with pytest.raises(NotSignedIn, match="has ended"):
        access.signed_in(kept)


def test_expired_rows_go(access, ada, clock, store):
    """What cannot be used any more is forgotten."""
    access.sign_in("ada", PASSWORD)
    access.make_sign_in_link("ada")
    clock.forward(days=15)
    access.forget_expired()
    for table in ("sessions", "sign_in_links"):
        assert store.database.sql(f"SELECT count(*) FROM {table}").fetchone() == (0,)


# -- one-time links -------------------------------------------------------------------------------


def test_the_first_administrator(access, store):
    """An empty server makes one, with a link to set the password; a used one makes none."""
    link = access.make_first_administrator()
    assert access.make_first_administrator() is None
    session = access.use_link(link, PASSWORD)
    assert access.signed_in(session).actor.is_admin
    assert access.sign_in("admin", PASSWORD)
    assert link not in everything_stored(store)


def test_a_link_works_once(access, ada):
    """The second use is refused and changes nothing; old sessions have ended."""
    before = access.sign_in("ada", PASSWORD)
    link = access.make_sign_in_link("ada")
    assert access.user_of_link(link).name == "ada"
    access.use_link(link, "another password")
    with pytest.raises(NotFound, match="used already"):
        access.use_link(link, "a third password")
    with pytest.raises(NotSignedIn):
        access.signed_in(before)
    assert access.sign_in("ada", "another password")


def test_a_link_is_not_used_up_by_a_bad_password(access, ada):
    """Who chose too short a password may try again."""
    link = access.make_sign_in_link("ada")
    with pytest.raises(Invalid):
        access.use_link(link, "short")
    assert access.use_link(link, PASSWORD)


def test_a_link_expires(access, ada, clock):
    """After a day it is too old."""
    link = access.make_sign_in_link("ada")
    clock.forward(hours=24)
    with pytest.raises(NotFound, match="too old"):
        access.use_link(link, PASSWORD)


# -- tokens ---------------------------------------------------------------------------------------


def test_a_token_acts_for_its_user(access, ada, admin, store):
    """With its scopes and no more; it is shown once and stored as a hash."""
    text, token = access.add_token(admin, "ada", ("builds:read",), None)
    assert text.startswith("cis_")
    assert text not in everything_stored(store)
    assert token.prefix == text[:8]
    assert access.actor_of_token(text) == Actor("ada", False, ("builds:read",))


def test_a_token_expires(access, ada, admin, clock):
    """From its last moment on it is unknown."""
    text, _ = access.add_token(admin, "ada", ("*",), clock.now() + timedelta(days=1))
    assert access.actor_of_token(text)
    clock.forward(days=1)
    with pytest.raises(NotSignedIn, match="unknown or expired"):
        access.actor_of_token(text)


@pytest.mark.parametrize("text", ["", "cis_unknown", "ünïcode"])
def test_an_unknown_token(access, text):
    """Whatever is sent is refused in the same way."""
    with pytest.raises(NotSignedIn, match="unknown or expired"):
        access.actor_of_token(text)


def test_the_local_token(access, parts):
    """Commands on this machine act as administrator."""
    assert access.actor_of_token(parts.local_token).is_admin


def test_the_last_use_of_a_token_is_noted(access, ada, admin, store, clock):
    """To the minute, so that reading does not mean writing each time."""
    text, _ = access.add_token(admin, "ada", ("*",), None)
    used = []
    for seconds in (0, 30, 31):
        clock.forward(seconds=seconds)
        access.actor_of_token(text)
        used += store.database.sql("SELECT last_used_at FROM tokens").fetchone()
    assert used[0] == used[1] < used[2]


@pytest.mark.parametrize("scopes", [(), ("builds:read", "everything")])
def test_unknown_scopes_are_refused(access, ada, admin, scopes):
    """A token that would do nothing, or who knows what, is not made."""
    with pytest.raises(Invalid) as raised:
        access.add_token(admin, "ada", scopes, None)
    assert raised.value.complaints[0].field == "scopes"


# -- users and rights -----------------------------------------------------------------------------


def test_every_fault_of_a_user_is_named(access, admin):
    """All at once, each with its field."""
    with pytest.raises(Invalid) as raised:
        access.add_user(admin, "-x y", email="a@b\r\nBcc: c", password="short", admin=False)
    assert [one.field for one in raised.value.complaints] == ["name", "email", "password"]


def test_names_are_taken_once(access, ada, admin):
    """The second user of a name is refused and the first one stays."""
    with pytest.raises(AlreadyExists, match="already a user ada"):
        access.add_user(admin, "ada", email="", password="another password", admin=True)
    assert [one.is_admin for one in access.list_users(admin)] == [False]


@pytest.mark.parametrize(
    ("actor", "error"),
    [
        (ANONYMOUS, NotSignedIn),
        (Actor("ada", scopes=("*",)), Forbidden),
        (Actor("root", is_admin=True, scopes=("builds:write",)), Forbidden),
    ],
)
def test_only_administrators_manage(access, services, ada, actor, error):
    """An administrator's token needs the scope as well."""
    for act in (
        lambda: access.add_user(actor, "eve", email="", password=PASSWORD, admin=True),
        lambda: access.list_users(actor),
        lambda: access.add_token(actor, "ada", ("*",), None),
        lambda: services.projects.watch(actor, "p", "https://example.org/p"),
        lambda: services.projects.add_hook_secret(actor, "p"),
        lambda: services.projects.signing_secret(actor, "p"),
    ):
        with pytest.raises(error):
            act()
