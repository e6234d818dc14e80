"""Who asks, and what they may do."""

import hashlib
import hmac
import secrets
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ciserver.model.account import ROLES, SCOPES, Actor, Token, User, is_scope
from ciserver.model.errors import Busy, Complaint, Invalid, NotFound, NotSignedIn
from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock
from ciserver.model.request import Action
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.store import Store

TOKEN_PREFIX = "cis_"  # noqa: S105  what scanners look for, not a secret
SESSION_LIFE = timedelta(days=14)
LINK_LIFE = timedelta(hours=24)
_TOUCH_EVERY = timedelta(minutes=1)
_FAILURES_ALLOWED = 10
_FAILURE_WINDOW = timedelta(minutes=5)
_VERIFIED_AT_ONCE = 4  # each takes 64 MiB for a moment
_PROOF_LIFE = timedelta(minutes=5)
_MOST_PROVEN = 1_000
_OURS = frozenset({"administrator", "ciserver"})  # names that the server itself acts under


@frozen
class SignedIn:
    """A person with a session. `csrf` must come back with every form."""

    actor: Actor
    csrf: str


class Access:
    """`local_token` is what command-line calls on this machine prove themselves with."""

    def __init__(self, store: Store, clock: Clock, audit: Audit, *, local_token: str = "") -> None:
        self._store = store
        self._clock = clock
        self._audit = audit
        self._local_token = local_token
        self._hasher = PasswordHasher()
        self._failures: dict[tuple[str, str], list[datetime]] = {}
        self._verifying = threading.BoundedSemaphore(_VERIFIED_AT_ONCE)
        self._proof_key = secrets.token_bytes(32)
        self._proven: dict[bytes, datetime] = {}

    @cached_property
    def _nobody(self) -> str:
        """Verified for unknown users, so that they cost the same time as known ones."""
        return self._hasher.hash(secrets.token_hex(16))

    # -- proofs -----------------------------------------------------------------------------------

    def actor_of_token(self, text: str) -> Actor:
        """The actor behind an API token. Raises NotSignedIn."""
        if self._local_token and hmac.compare_digest(text.encode(), self._local_token.encode()):
            return Actor("administrator", is_admin=True, scopes=("*",))
        now = self._clock.now()
        found = self._store.accounts.find_token(_hash(text), now)
        if found is None:
            raise NotSignedIn(
                "the token is unknown or expired", hint="make one: ciserver token add"
            )
        token, user = found
        if token.last_used_at is None or now - token.last_used_at > _TOUCH_EVERY:
            with self._store.transaction():
                self._store.accounts.touch_token(token.id, now)
        return _actor(user, token.scopes)

    def actor_of_password(self, name: str, password: str, *, source: str = "") -> Actor:
        """The actor behind a user name, or a mail address, and its password, for clients that
        send it with every request. Raises NotSignedIn and Busy as `sign_in` does.
        """
        user = self._store.accounts.find(name) or self._store.accounts.find_by_mail(name)
        stored = self._store.accounts.password_hash(user.name) if user else ""
        # Not the password is remembered, but that this one was right for this hash.
        proof = hmac.digest(self._proof_key, f"{stored}\0{password}".encode(), "sha256")
        now = self._clock.now()
        if user is None or self._proven.get(proof, now) <= now:
            user = self._verified(user.name if user else name, password, source)
            self._remember(proof, now)
        return _actor(user, ("*",))

    def _remember(self, proof: bytes, now: datetime) -> None:
        if len(self._proven) > _MOST_PROVEN:
            self._proven.clear()
        self._proven[proof] = now + _PROOF_LIFE

    def actor_of_front_end(self, name: str) -> Actor:
        """The actor of this name, which a front end vouches for. Raises NotSignedIn for a name
        without an account.
        """
        user = self._store.accounts.find(name)
        if user is None:
            raise NotSignedIn(f"{name!r} has no account here", hint="make one: ciserver user add")
        return _actor(user, ("*",))

    def sign_in(self, name: str, password: str, *, source: str = "") -> str:
        """Check name and password and start a session; answers its id, for the cookie.
        Raises NotSignedIn, or Busy after too many failures for this name from one source (the
        client's address), so that a stranger cannot lock others out.
        """
        return self._start_session(self._verified(name, password, source))

    def _verified(self, name: str, password: str, source: str) -> User:
        name = name[:101]  # no name is that long, and failures are remembered by it
        attempt = (source, name)
        self._refuse_after_failures(attempt)
        stored = self._store.accounts.password_hash(name)
        try:
            with self._verifying:
                self._hasher.verify(stored or self._nobody, password)
            user = self._store.accounts.get(name)
        except (VerificationError, InvalidHashError, NotFound):
            self._failures.setdefault(attempt, []).append(self._clock.now())
            raise NotSignedIn("the name or the password is wrong") from None
        self._failures.pop(attempt, None)
        return user

    def _refuse_after_failures(self, attempt: tuple[str, str]) -> None:
        since = self._clock.now() - _FAILURE_WINDOW
        recent = [moment for moment in self._failures.get(attempt, ()) if moment > since]
        if len(self._failures) > 10_000:
            self._failures.clear()
        if recent:
            self._failures[attempt] = recent
        if len(recent) >= _FAILURES_ALLOWED:
            raise Busy("too many failed sign-ins for this name", hint="wait five minutes")

    def signed_in(self, session_id: str) -> SignedIn:
        """The person behind a session cookie. Raises NotSignedIn."""
        found = self._store.accounts.find_session(_hash(session_id), self._clock.now())
        if found is None:
            raise NotSignedIn("the session has ended", hint="sign in again")
        user, csrf = found
        return SignedIn(_actor(user, ("*",)), csrf)

    def sign_out(self, session_id: str) -> None:
        with self._store.transaction():
            self._store.accounts.remove_session(_hash(session_id))

    def _start_session(self, user: User) -> str:
        session_id = secrets.token_urlsafe(32)
        expires_at = self._clock.now() + SESSION_LIFE
        with self._store.transaction():
            self._store.accounts.add_session(
                _hash(session_id), user.id, secrets.token_urlsafe(24), expires_at
            )
        return session_id

    # -- one-time links ---------------------------------------------------------------------------

    def add_sign_in_link(self, actor: Actor, name: str) -> str:
        """A one-time link for somebody, asked for by an administrator."""
        with self._audit.record(actor, Action.ADD_LINK, user=name):
            Rights.require_admin(actor)
            return self.make_sign_in_link(name)

    def make_sign_in_link(self, name: str) -> str:
        """A token that signs this user in once, within a day."""
        user = self._store.accounts.get(name)
        token = secrets.token_urlsafe(32)
        with self._store.transaction():
            self._store.accounts.add_link(_hash(token), user.id, self._clock.now() + LINK_LIFE)
        return token

    def user_of_link(self, token: str) -> User:
        """Whom a one-time link is for. Raises NotFound when it was used or is too old."""
        user = self._store.accounts.find_link(_hash(token), self._clock.now())
        if user is None:
            raise NotFound(
                "this sign-in link was used already or is too old",
                hint="an administrator makes a new one: ciserver user link NAME",
            )
        return user

    def use_link(self, token: str, password: str) -> str:
        """Set the user's password and sign in; the link is used up. Answers the session id."""
        user = self.user_of_link(token)
        hashed = self._hash_password(password)
        with self._store.transaction():
            if not self._store.accounts.remove_link(_hash(token)):
                raise NotFound("this sign-in link was used already")
            self._store.accounts.set_password(user.id, hashed)
            self._store.accounts.remove_sessions_of(user.id)
        return self._start_session(user)

    # -- accounts ---------------------------------------------------------------------------------

    def make_first_administrator(self) -> str | None:
        """On an empty server: the user `admin` without a password, and a link to set one."""
        with self._store.transaction():
            if self._store.accounts.count():
                return None
            self._store.accounts.add(
                "admin", email="", password_hash="", is_admin=True, now=self._clock.now()
            )
            return self.make_sign_in_link("admin")

    def add_user(self, actor: Actor, name: str, *, email: str, password: str, admin: bool) -> User:
        """Raises Invalid with every fault, AlreadyExists, Forbidden."""
        with self._audit.refusals(actor, Action.ADD_USER, user=name):
            Rights.require_admin(actor)
        complaints = [*name_complaints("name", name)]
        if name in _OURS:
            complaints.append(Complaint("name", "is a name of the server itself"))
        complaints += _mail_complaints(email)
        if len(password) < 8:
            complaints.append(Complaint("password", "must have at least 8 characters"))
        if complaints:
            raise Invalid("the user cannot be made", complaints=complaints)
        hashed = self._hasher.hash(password)
        with self._audit.record(actor, Action.ADD_USER, user=name):
            self._store.accounts.add(
                name, email=email, password_hash=hashed, is_admin=admin, now=self._clock.now()
            )
        return self._store.accounts.get(name)

    def list_users(self, actor: Actor) -> tuple[User, ...]:
        Rights.require_admin(actor)
        return self._store.accounts.list_all()

    def user(self, actor: Actor) -> User:
        """The account of whoever asks. Raises NotSignedIn."""
        found = self._store.accounts.find(actor.name) if actor.name else None
        if found is None:
            raise NotSignedIn("this needs a signed-in user")
        return found

    def profile(self, actor: Actor, name: str) -> User | None:
        """An account as others see it: its mail address is not for strangers. None for a name
        that is no account.
        """
        found = self._store.accounts.find(name)
        return replace(found, email="") if found and not actor.name else found

    def change_user(
        self,
        actor: Actor,
        name: str,
        *,
        email: str | None = None,
        full_name: str | None = None,
        roles: tuple[str, ...] | None = None,
        admin: bool | None = None,
    ) -> User:
        """Change what is given of an account. Raises Invalid with every fault, NotFound,
        Forbidden.
        """
        with self._audit.record(actor, Action.CHANGE_USER, user=name):
            Rights.require_admin(actor)
            user = self._store.accounts.get(name)
            complaints = _mail_complaints(email or "")
            complaints += [
                Complaint("roles", f"unknown role {one}; known are {', '.join(ROLES)}")
                for one in roles or ()
                if one not in ROLES
            ]
            if complaints:
                raise Invalid("the user cannot be changed", complaints=complaints)
            self._store.accounts.change(
                user.id,
                email=user.email if email is None else email,
                full_name=user.full_name if full_name is None else full_name,
                roles=user.roles if roles is None else roles,
                is_admin=user.is_admin if admin is None else admin,
            )
        return self._store.accounts.get(name)

    def add_token(
        self, actor: Actor, user_name: str, scopes: tuple[str, ...], expires_at: datetime | None
    ) -> tuple[str, Token]:
        """Make an API token; it is shown now and never again."""
        with self._audit.refusals(actor, Action.ADD_TOKEN, user=user_name, scopes=list(scopes)):
            Rights.require_admin(actor)
        unknown = [scope for scope in scopes if not is_scope(scope)]
        if unknown or not scopes:
            raise Invalid(
                "the token cannot be made",
                complaints=[Complaint("scopes", f"unknown scope {one}") for one in unknown]
                or [Complaint("scopes", "at least one is needed")],
                hint=f"scopes are: *, {', '.join(SCOPES)}",
            )
        user = self._store.accounts.get(user_name)
        text = TOKEN_PREFIX + secrets.token_urlsafe(32)
        now = self._clock.now()
        with self._audit.record(actor, Action.ADD_TOKEN, user=user_name, scopes=list(scopes)):
            token_id = self._store.accounts.add_token(
                user.id,
                hash=_hash(text),
                prefix=text[:8],
                scopes=scopes,
                now=now,
                expires_at=expires_at,
            )
        return text, Token(token_id, user.name, text[:8], scopes, now, expires_at, None)

    def forget_expired(self) -> None:
        with self._store.transaction():
            self._store.accounts.remove_expired(self._clock.now())

    def _hash_password(self, password: str) -> str:
        if len(password) < 8:
            raise Invalid(
                "the password is too short",
                complaints=[Complaint("password", "must have at least 8 characters")],
            )
        return self._hasher.hash(password)


def _actor(user: User, scopes: tuple[str, ...]) -> Actor:
    return Actor(user.name, user.is_admin, scopes, user.roles)


def _mail_complaints(email: str) -> list[Complaint]:
    if email and ("@" not in email or any(mark in email for mark in " \r\n,;<>")):
        return [Complaint("email", "must be one mail address")]
    return []


def name_complaints(field: str, name: str) -> list[Complaint]:
    """What is wrong with the name of a user, project or jobset."""
    allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
    if not name or len(name) > 100 or set(name) - set(allowed) or not name[0].isalnum():
        return [
            Complaint(
                field,
                "must be 1 to 100 letters, digits, '.', '_' or '-',"
                " beginning with a letter or digit",
            )
        ]
    return []


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
