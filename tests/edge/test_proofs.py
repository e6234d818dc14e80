"""What a request proves its caller by."""

import base64

import pytest
from falcon.testing import create_req

from ciserver.edge.proofs import PasswordProof, TokenProof, usual_proof
from ciserver.model.errors import NotSignedIn


def basic(pair: bytes) -> str:
    return f"Basic {base64.b64encode(pair).decode()}"


def proof_in(header):
    return usual_proof(create_req(headers={"Authorization": header}))


@pytest.mark.parametrize(
    "header", ["Bearer secret", "bearer   secret ", "token secret", "TOKEN secret"]
)
def test_a_token_follows_either_word(header):
    """In letters of either case; the token needs no form, so that the one of this machine works."""
    assert proof_in(header) == TokenProof("secret")


@pytest.mark.parametrize("pair", [b"ada:cis_x", b"cis_x:", b"secret:", b":secret", b"cis_x"])
def test_a_token_may_stand_in_either_half_of_basic(pair):
    """As password by its prefix, or as the only half that is there."""
    assert proof_in(basic(pair)) == TokenProof("secret" if b"secret" in pair else "cis_x")


@pytest.mark.parametrize(
    ("pair", "name", "password"),
    [
        (b"ada:correct horse", "ada", "correct horse"),
        (b"ada:a:b", "ada", "a:b"),
        (b"cis_x:x-oauth-basic", "cis_x", "x-oauth-basic"),
        ("ada:\u00e9t\u00e9".encode(), "ada", "\u00e9t\u00e9"),
        ("ada:\u00e9t\u00e9".encode("latin-1"), "ada", "\u00e9t\u00e9"),
    ],
)
def test_other_pairs_are_a_name_and_a_password(pair, name, password):
    """In UTF-8 or, as older clients have it, in Latin-1; only the first colon parts them."""
    assert proof_in(basic(pair)) == PasswordProof(name, password)


@pytest.mark.parametrize("header", ["Basic ===", "Basic \u00e9", "basic YWRh YWRh"])
def test_basic_that_cannot_be_read_is_refused(header):
    """Whoever sends it means to be known."""
    with pytest.raises(NotSignedIn):
        proof_in(header)


def test_without_a_header_nothing_is_proved():
    """Neither by one of a scheme that is not ours."""
    assert usual_proof(create_req()) is None
    assert proof_in("Negotiate YWRh") is None


def test_proofs_keep_their_secret_to_themselves():
    """A log may show a proof."""
    assert "secret" not in repr([TokenProof("secret"), PasswordProof("ada", "secret")])
