"""Who asks, and what they may do."""

from dataclasses import replace
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


@pytest.mark.parametrize(
    "scopes",
    [
        (),
        ("builds:read", "everything"),
        ("0123abcd/everything",),
        ("0123abcd/*",),
        ("/jobs:read",),
        ("a/b/jobs:read",),
        ("jobs:read/",),
    ],
)
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
def test_only_administrators_manage(access, services, admin, ada, actor, error):
    """An administrator's token needs the scope as well."""
    services.projects.watch(admin, "hello", "https://example.org/hello")
    for act in (
        lambda: access.add_user(actor, "eve", email="", password=PASSWORD, admin=True),
        lambda: access.list_users(actor),
        lambda: access.add_token(actor, "ada", ("*",), None),
        lambda: services.projects.watch(actor, "p", "https://example.org/p"),
        lambda: services.projects.add_hook_secret(actor, "hello"),
        lambda: services.projects.signing_secret(actor, "hello"),
    ):
        with pytest.raises(error):
            act()


# -- passwords with every request -----------------------------------------------------------------


def test_the_actor_of_a_password(access, admin, ada):
    """By name or by mail address, with what the account may do now."""
    expected = Actor("ada", scopes=("*",))
    assert access.actor_of_password("ada", PASSWORD) == expected
    assert access.actor_of_password("ada@example.org", PASSWORD) == expected
    access.change_user(admin, "ada", roles=("cancel",), admin=True)
    changed = replace(expected, is_admin=True, roles=("cancel",))
    assert access.actor_of_password("ada", PASSWORD) == changed


@pytest.mark.parametrize("name", ["ada", "ada@example.org", "nobody", "nobody@example.org", ""])
@pytest.mark.parametrize("known", [False, True])
def test_a_wrong_password_with_a_request(access, ada, name, known):
    """It is refused in the same words for every name, also when the right one came before."""
    if known:
        access.actor_of_password("ada", PASSWORD)
    with pytest.raises(NotSignedIn) as refused:
        access.actor_of_password(name, "wrong password")
    told = (refused.value.message, refused.value.hint, refused.value.details)
    assert told == failure(access, "nobody", PASSWORD)


def test_a_mail_address_of_two(access, admin, ada):
    """Nobody is taken for somebody else who says to have the same address."""
    access.add_user(admin, "eve", email="ada@example.org", password=PASSWORD, admin=True)
    with pytest.raises(NotSignedIn):
        access.actor_of_password("ada@example.org", PASSWORD)
    assert access.actor_of_password("eve", PASSWORD).is_admin


def test_a_password_that_is_remembered(access, ada):
    """A right one is not looked at again: what locks others out does not lock out its client,
    until some minutes have passed.
    """
    access.actor_of_password("ada", PASSWORD, source="10.0.0.1")
    for _ in range(10):
        with pytest.raises(NotSignedIn):
            access.actor_of_password("ada", "wrong password", source="10.0.0.1")
    assert access.actor_of_password("ada", PASSWORD, source="10.0.0.1").name == "ada"
    with pytest.raises(Busy):
        access.actor_of_password("ada", "another one", source="10.0.0.1")


def test_a_password_is_forgotten_after_a_while(access, ada, clock):
    """Then it is looked at again, and a locked out source has to wait."""
    access.actor_of_password("ada", PASSWORD, source="10.0.0.1")
    clock.forward(minutes=4)
    for _ in range(10):
        with pytest.raises(NotSignedIn):
            access.actor_of_password("ada", "wrong password", source="10.0.0.1")
    assert access.actor_of_password("ada", PASSWORD, source="10.0.0.1").name == "ada"
    clock.forward(minutes=1, seconds=1)
    with pytest.raises(Busy):
        access.actor_of_password("ada", PASSWORD, source="10.0.0.1")


def test_a_changed_password(access, ada):
    """The old one is refused at once, however often it was right."""
    access.actor_of_password("ada", PASSWORD)
    access.use_link(access.make_sign_in_link("ada"), "a new password")
    with pytest.raises(NotSignedIn):
        access.actor_of_password("ada", PASSWORD)
    assert access.actor_of_password("ada", "a new password").name == "ada"


def test_the_same_password_of_two(access, admin, ada):
    """What is remembered of one account says nothing of another."""
    access.actor_of_password("ada", PASSWORD)
    access.add_user(admin, "eve", email="", password="something else", admin=True)
    with pytest.raises(NotSignedIn):
        access.actor_of_password("eve", PASSWORD)


def test_an_account_without_a_password(access, store):
    """It is opened by its link, and by no password, not even an empty one."""
    access.make_first_administrator()
    for password in ("", "admin"):
        with pytest.raises(NotSignedIn):
            access.actor_of_password("admin", password)


# -- accounts changed -----------------------------------------------------------------------------


def test_change_user(access, admin, ada):
    """What is given is changed and the rest stays."""
    changed = access.change_user(admin, "ada", full_name="Ada Author", roles=("bump", "cancel"))
    assert changed == replace(ada, full_name="Ada Author", roles=("bump", "cancel"))
    moved = access.change_user(admin, "ada", email="ada@example.com")
    assert moved == replace(changed, email="ada@example.com")
    bare = access.change_user(admin, "ada", email="", roles=(), admin=True)
    assert bare == replace(moved, email="", roles=(), is_admin=True)
    assert access.user(Actor("ada")) == bare


def test_roles_reach_every_proof(access, admin, ada):
    """Sessions and tokens that were there before act with the roles that the account has now."""
    session = access.sign_in("ada", PASSWORD)
    token, _ = access.add_token(admin, "ada", ("builds:read",), None)
    access.change_user(admin, "ada", roles=("evaluate", "create-projects"))
    roles = {
        access.signed_in(session).actor.roles,
        access.actor_of_token(token).roles,
        access.actor_of_password("ada", PASSWORD).roles,
    }
    assert roles == {("create-projects", "evaluate")}
    assert access.actor_of_token(token).scopes == ("builds:read",)


def test_every_fault_of_a_change(access, admin, ada):
    """Each with its field, and nothing is changed."""
    with pytest.raises(Invalid) as refused:
        access.change_user(admin, "ada", email="a b", full_name="X", roles=("bump", "king", "edit"))
    told = [one.field for one in refused.value.complaints]
    assert told == ["email", "roles", "roles"]
    assert access.user(Actor("ada")) == ada
    with pytest.raises(NotFound):
        access.change_user(admin, "nobody", full_name="X")


@pytest.mark.parametrize(
    ("actor", "error"),
    [(ANONYMOUS, NotSignedIn), (Actor("ada", scopes=("*",)), Forbidden)],
)
def test_who_may_change_accounts(access, ada, actor, error):
    """Administrators only, also one's own."""
    with pytest.raises(error):
        access.change_user(actor, "ada", admin=True)
    with pytest.raises(error):
        access.add_sign_in_link(actor, "ada")
    assert access.user(Actor("ada")) == ada


@pytest.mark.parametrize("name", ["administrator", "ciserver", "~ada", "a b", ""])
def test_names_that_no_account_has(access, admin, name):
    """Those that the server itself acts under, and those that are no names."""
    with pytest.raises(Invalid) as refused:
        access.add_user(admin, name, email="", password=PASSWORD, admin=False)
    assert [one.field for one in refused.value.complaints] == ["name"]
    assert access.list_users(admin) == ()


def test_the_mail_address_of_an_account(access, admin, ada):
    """People see each other's; nobody else does."""
    assert access.profile(Actor("eve"), "ada").email == "ada@example.org"
    assert access.profile(ANONYMOUS, "ada") == replace(ada, email="")
    assert access.profile(admin, "nobody") is None


def test_an_account_of_ones_own(access, ada):
    """It is there for who signed in, not for who did not."""
    assert access.user(Actor("ada")) == ada
    for actor in (ANONYMOUS, Actor("administrator", is_admin=True)):
        with pytest.raises(NotSignedIn):
            access.user(actor)
