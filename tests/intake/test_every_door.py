"""What all doors promise alike."""

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciserver.intake.doors import DOORS
from ciserver.model.errors import BadSignature, Invalid

NOW = datetime(2026, 1, 30, 9, 13, tzinfo=UTC)
OTHER_SECRETS = {
    "whsec_": "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBrZXk=",
    "": "somebody-else's",
}


def other_secret(sender):
    return OTHER_SECRETS["whsec_" if sender.secret.startswith("whsec_") else ""]


def refusal(sender, **changed):
    with pytest.raises(BadSignature) as caught:
        sender.knock(**changed)
    return caught.value.message, caught.value.hint, caught.value.details


def test_a_signed_push_comes_in(sender):
    """What a sender signs with the hook's secret is a push under the sender's delivery id."""
    knock = sender.knock()
    assert knock.push
    assert knock.push.pusher == "ada"
    assert knock.delivery_id in sender.sign(sender.body, sender.secret).values()
    assert not knock.ignored
    assert not knock.is_ping


def test_every_refusal_says_the_same(sender, senders):
    """Whatever is wrong with the proof, and at whatever door, the words are the same."""
    good = sender.sign(sender.body, sender.secret)
    proof = good[sender.proof]
    wrong = {
        "nobody's secret": {"secrets": ()},
        "an empty secret": {"secrets": ("",)},
        "another secret": {"secrets": (other_secret(sender),)},
        "no proof": {
            "headers": {
                k: v for k, v in good.items() if "-signature" not in k and k != sender.proof
            }
        },
        "an empty proof": {
            "headers": {k: v for k, v in good.items() if "-signature" not in k} | {sender.proof: ""}
        },
        "a truncated proof": {"headers": {**good, sender.proof: proof[:-1]}},
        "a longer proof": {"headers": {**good, sender.proof: f"{proof}0"}},
        "an upper-case proof": {"headers": {**good, sender.proof: proof.upper()}},
        "a proof beyond ASCII": {"headers": {**good, sender.proof: "ÿ☃"}},
        "no headers": {"headers": {"host": "ci.example.org"}},
    }
    expected = refusal(senders["github"], secrets=())
    assert {what: refusal(sender, **case) for what, case in wrong.items()} == dict.fromkeys(
        wrong, expected
    )


@pytest.mark.parametrize("door", ["generic", "github", "gitea", "forgejo", "gogs"])
def test_the_signature_is_over_the_raw_bytes(senders, door):
    """The same JSON written in another way is not what was signed."""
    sender = senders[door]
    written_again = json.dumps(json.loads(sender.body)).encode()
    headers = sender.sign(sender.body, sender.secret)
    assert refusal(sender, body=written_again, headers=headers)


def test_an_unsigned_body_is_not_parsed(sender):
    """A body that is no JSON at all is refused for its signature, not for its form."""
    headers = sender.sign(b"{}", other_secret(sender))
    assert refusal(sender, body=b"\xff{{{", headers=headers)


def test_secrets_rotate(sender):
    """While two secrets are valid, a delivery signed with either comes in."""
    assert sender.knock(secrets=(other_secret(sender), sender.secret)).push
    assert sender.knock(secrets=(sender.secret, other_secret(sender))).push


@pytest.mark.parametrize("door", ["github", "gitea", "forgejo", "gogs", "gitlab"])
def test_without_a_delivery_id_the_body_gives_one(senders, door):
    """The same bytes sent twice without an id are the same delivery."""
    sender = senders[door]
    headers = sender.sign(sender.body, sender.secret)
    bare = {
        name: value
        for name, value in headers.items()
        if "delivery" not in name and not name.endswith(("-uuid", "-key"))
    }
    expected = f"body-{hashlib.sha256(sender.body).hexdigest()}"
    assert sender.knock(headers=bare).delivery_id == expected


def test_a_delivery_id_is_short_and_visible(senders):
    """An id of any length and content becomes at most 200 characters that a page can show."""
    sender = senders["github"]
    headers = sender.sign(sender.body, sender.secret)
    named = sender.knock(headers={**headers, "x-github-delivery": "a\r\nb\x00\u202e" + "c" * 999})
    assert named.delivery_id == "ab" + "c" * 194
    blank = sender.knock(headers={**headers, "x-github-delivery": "\x00 \x7f"})
    assert blank.delivery_id.startswith("body-")


def test_a_spoofed_author_changes_nothing(senders):
    """Names in commits, which anybody may write, reach nothing that the doors hand on."""
    villain = {"name": "root", "email": "root@example.org", "username": "root", "login": "root"}
    commit = {"id": "f" * 40, "message": "[admin]", "author": villain, "committer": villain}
    for door in ("github", "gitea", "forgejo", "gogs", "gitlab"):
        spoofed = senders[door].knock_with(commits=[commit], head_commit=commit)
        assert spoofed.push == senders[door].knock().push


@pytest.mark.parametrize("door", ["github", "gitea", "forgejo", "gogs", "gitlab"])
def test_all_faults_of_a_payload_are_named_together(senders, door):
    """One refusal names each wrong field, so that nobody mends them one by one."""
    repository = "project" if door == "gitlab" else "repository"
    with pytest.raises(Invalid) as caught:
        senders[door].knock_with(ref="main", before=12, after="F" * 40, **{repository: None})
    fields = {complaint.field for complaint in caught.value.complaints}
    assert fields == {"ref", "before", "after", repository}


@pytest.mark.parametrize("door", ["github", "gitea", "forgejo", "gogs", "gitlab"])
def test_a_forge_must_name_its_repository(senders, door):
    """A push whose repository has no address cannot be held against the hook's repository."""
    repository = "project" if door == "gitlab" else "repository"
    with pytest.raises(Invalid) as caught:
        senders[door].knock_with(**{repository: {"name": "hello"}})
    assert caught.value.complaints[0].field.startswith(f"{repository}.")


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "refs",
        "refs/",
        "refs/heads/",
        "/refs/heads/main",
        "refs//heads/main",
        "refs/heads/a..b",
        "refs/heads/--upload-pack=x",
        "refs/heads/feature/-x",
        "refs/heads/@{-1}",
        "refs/heads/a b",
        "refs/heads/a\nb",
        "refs/heads/a\x00b",
        "refs/heads/a\x7fb",
        "refs/heads/a~1",
        "refs/heads/a^",
        "refs/heads/a:b",
        "refs/heads/a?",
        "refs/heads/*",
        "refs/heads/[a]",
        "refs/heads/a\\b",
        "refs/heads/.hidden",
        "refs/heads/a.lock",
        "refs/heads/a.lock/b",
        "refs/heads/a.",
        "refs/heads/../../config",
        "refs/heads/\u202egnp",
        "refs/heads/\ud800",
        "refs/heads/" + "x" * 1024,
        "-refs/heads/main",
        "HEAD",
        "",
        None,
        7,
        ["refs/heads/main"],
    ],
)
def test_hostile_refs_are_refused(senders, ref):
    """A ref that git would not keep, or that could pass for an option, is a fault of `ref`."""
    with pytest.raises(Invalid) as caught:
        senders["github"].knock_with(ref=ref)
    assert {complaint.field for complaint in caught.value.complaints} == {"ref"}


@pytest.mark.parametrize(
    "ref", ["refs/heads/main", "refs/heads/größe/ü-1", "refs/tags/v1.0_rc+1", "refs/heads/🚀"]
)
def test_ordinary_refs_are_accepted(senders, ref):
    """What people really call their branches and tags comes in unchanged."""
    assert senders["github"].knock_with(ref=ref).push.changes[0].ref == ref


@pytest.mark.parametrize(
    "revision",
    ["", "0" * 39, "0" * 41, "A" * 40, "g" * 40, "0" * 40 + "\n", "HEAD", "٣" * 40, None, 0, {}],
)
def test_hostile_revisions_are_refused(senders, revision):
    """Only 40 or 64 lower-case hexadecimal digits are a revision."""
    with pytest.raises(Invalid) as caught:
        senders["github"].knock_with(after=revision)
    assert {complaint.field for complaint in caught.value.complaints} == {"after"}


HOSTILE_BODIES = {
    "nothing": b"",
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "half a text": b'{"a": "\\',
    "a list": b"[]",
    "a number": b"7",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a key twice": b'{"ref": "refs/heads/a", "ref": "refs/heads/b"}',
    "a key twice inside": b'{"a": [{"b": 1, "b": 1}]}',
    "101 levels": b'{"a":' * 101 + b"1" + b"}" * 101,
    "a million brackets": b"[" * 1_000_000,
    "a million objects": b'{"a":' * 1_000_000,
    "a long number": b'{"a": ' + b"1" * 10_000 + b"}",
    "more after the end": b"{}{}",
}


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
def test_hostile_json_is_refused(sender, body):
    """However a signed body is broken, the answer is a fault and never a crash."""
    with pytest.raises(Invalid):
        sender.knock(body)


def test_strange_texts_of_people_do_no_harm(senders):
    """A name to show loses what cannot be shown; a wrong kind of name is no name."""
    github = senders["github"]
    odd = {"login": "ad\x00a\u202e\ud800" + "x" * 999}
    assert github.knock_with(sender=odd).push.pusher == "ada" + "x" * 194
    assert github.knock_with(sender={"login": 7}).push.pusher == "ada-by-name"
    assert github.knock_with(sender=None, pusher=[]).push.pusher == ""


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = ["ref", "before", "after", "repository", "project", "sender", "type", "data", "pusher"]


@settings(max_examples=60)
@given(body=st.binary(), headers=st.dictionaries(st.text(), st.text()))
def test_random_bytes_are_only_ever_refused(body, headers):
    """Unsigned noise gives BadSignature at every door, never anything else."""
    for door in DOORS.values():
        with pytest.raises(BadSignature):
            door.read(headers, body, ("secret", "whsec_c2VjcmV0"), NOW)


@settings(max_examples=60)
@given(body=st.binary())
def test_signed_random_bytes_are_only_ever_invalid(senders, body):
    """Signed noise gives Invalid, never a crash."""
    for sender in senders.values():
        with pytest.raises(Invalid):
            sender.knock(body)


@settings(max_examples=100)
@given(fields=st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, min_size=1))
def test_any_values_in_the_fields_are_understood_or_invalid(senders, fields):
    """A payload of the right shape with wrong values is a push or a fault, never a crash."""
    for sender in senders.values():
        with suppress(Invalid):
            knock = sender.knock_with(**fields)
            assert knock.push or knock.ignored or knock.is_ping
