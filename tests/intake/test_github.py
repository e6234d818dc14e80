"""GitHub's deliveries."""

import hashlib
import hmac
from urllib.parse import urlencode

import pytest

from ciserver.model.errors import BadSignature, Invalid
from ciserver.model.push import ZERO, Push, RefChange


@pytest.fixture
def github(senders):
    return senders["github"]


def as_form(body):
    return urlencode({"payload": body.decode()}).encode()


def knock_form(github, body):
    headers = github.sign(body, github.secret)
    return github.knock(
        body, headers={**headers, "content-type": "application/x-www-form-urlencoded"}
    )


def test_push_to_a_branch(github):
    """A push is one change of one ref, with every address GitHub gives the repository."""
    assert github.knock().push == Push(
        changes=(
            RefChange(
                ref="refs/heads/main",
                old="d479fa0ef92542c808003731bc478f714ec1da4c",
                new="a00bbe560e6b0f5263e3e6cba4ff3fb9a6fe9ef0",
            ),
        ),
        repositories=(
            "https://github.com/ada/hello.git",
            "git@github.com:ada/hello.git",
            "git://github.com/ada/hello.git",
            "https://github.com/ada/hello",
        ),
        pusher="ada",
    )


def test_the_mirror_address_is_not_the_repository(github):
    """Where a mirror was copied from is no name of the pushed repository."""
    assert not any("mirrors" in address for address in github.knock().push.repositories)


def test_deletion_of_a_tag(github, recorded):
    """A deleted tag is a change to the zero revision."""
    (change,) = github.knock(recorded("github_tag_deleted")).push.changes
    assert change == RefChange("refs/tags/v1.0", "a00bbe560e6b0f5263e3e6cba4ff3fb9a6fe9ef0", ZERO)
    assert change.is_deletion


def test_ping(github, recorded):
    """The delivery GitHub makes when a hook is set up is a ping."""
    body = recorded("github_ping")
    knock = github.knock(body, headers=github.sign(body, github.secret, "ping"))
    assert knock.is_ping
    assert knock.push is None


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("pull_request", "pull_request events are not built in this version"),
        ("create", "create events are ignored: the push event tells the same"),
        ("delete", "delete events are ignored: the push event tells the same"),
        ("of\nmany\x00words", "ofmanywords events are not built in this version"),
    ],
)
def test_other_events_are_ignored_with_the_reason(github, event, reason):
    """An event that is no push asks for nothing, and says why."""
    headers = github.sign(github.body, github.secret, event)
    knock = github.knock(headers=headers)
    assert (knock.ignored, knock.push) == (reason, None)


def test_a_delivery_without_an_event_is_invalid(github):
    """A proxy that drops the event's header is found by the complaint."""
    headers = github.sign(github.body, github.secret)
    del headers["x-github-event"]
    with pytest.raises(Invalid) as caught:
        github.knock(headers=headers)
    assert [complaint.field for complaint in caught.value.complaints] == ["x-github-event"]


def test_sha1_alone_is_refused(github):
    """The old signature proves nothing, however right it is."""
    headers = github.sign(github.body, github.secret)
    del headers["x-hub-signature-256"]
    digest = hmac.new(github.secret.encode(), github.body, hashlib.sha1).hexdigest()
    for header in ("x-hub-signature", "x-hub-signature-256"):
        with pytest.raises(BadSignature):
            github.knock(headers={**headers, header: f"sha1={digest}"})


def test_a_form_is_the_same_push(github):
    """A hook set to send forms is signed over the raw form and tells the same push."""
    assert knock_form(github, as_form(github.body)).push == github.knock().push


def test_a_form_signed_over_its_json_is_refused(github):
    """The signature counts over what was sent, not over what is inside it."""
    headers = github.sign(github.body, github.secret)
    with pytest.raises(BadSignature):
        github.knock(
            as_form(github.body),
            headers={**headers, "content-type": "application/x-www-form-urlencoded"},
        )


@pytest.mark.parametrize(
    "form",
    [b"", b"payload", b"other=1", b"payload={}&payload={}", b"payload=%ff", b"\xff=1", b"&" * 99],
)
def test_broken_forms_are_invalid(github, form):
    """A form that does not hold one payload is a fault, not a crash."""
    with pytest.raises(Invalid):
        knock_form(github, form)
