"""How a request proves who asks: by an API token, or by a name with its password."""

import base64
from dataclasses import field
from typing import TypeAlias

import falcon

from ciserver.model.errors import NotSignedIn
from ciserver.model.frozen import frozen
from ciserver.service.access import TOKEN_PREFIX

# What a 401 asks for, in its header WWW-Authenticate.
BEARER = "Bearer"
BASIC = 'Basic realm="ciserver"'


@frozen
class TokenProof:
    text: str = field(repr=False)


@frozen
class PasswordProof:
    name: str
    password: str = field(repr=False)


@frozen
class FrontEndProof:
    """A front end that is believed says who asks."""

    name: str


Proof: TypeAlias = TokenProof | PasswordProof | FrontEndProof


def usual_proof(req: falcon.Request) -> Proof | None:
    """The proof in the Authorization header: `Bearer` or `token` with a token, or Basic; the scheme
    in letters of either case. None where there is no header, or one of another scheme. Raises
    NotSignedIn for a Basic that cannot be read.
    """
    scheme, _, value = (req.get_header("Authorization") or "").strip().partition(" ")
    match scheme.lower():
        case "bearer" | "token":
            return TokenProof(value.strip())
        case "basic":
            return basic_proof(value.strip())
    return None


def basic_proof(encoded: str) -> Proof:
    """The proof in what follows the word Basic: the user's password, or an API token, which may
    stand in the place of either half. Raises NotSignedIn when it cannot be read.
    """
    try:
        pair = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise NotSignedIn(
            "the Authorization header cannot be read",
            hint="Basic is followed by the base64 of NAME:PASSWORD",
        ) from None
    name, _, password = _text(pair).partition(":")
    if not name or not password or password.startswith(TOKEN_PREFIX):
        return TokenProof(password or name)
    return PasswordProof(name, password)


def _text(pair: bytes) -> str:
    """Clients disagree on the encoding of names and passwords; UTF-8 is rarely mistaken."""
    try:
        return pair.decode()
    except UnicodeDecodeError:
        return pair.decode("latin-1")
