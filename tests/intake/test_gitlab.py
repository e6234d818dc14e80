"""GitLab's deliveries."""

import json
from datetime import timedelta

import pytest

from ciserver.model.errors import BadSignature, Invalid
from ciserver.model.push import ZERO, Push, RefChange


@pytest.fixture
def gitlab(senders):
    return senders["gitlab"]


@pytest.fixture
def signed(gitlab, sign_standard, signing_secret):
    """The headers of a newer GitLab, which signs with a signing token and sends no secret."""

    def make(**options):
        plain = gitlab.sign(gitlab.body, "")
        del plain["x-gitlab-token"]
        return {**plain, **sign_standard(gitlab.body, signing_secret, **options)}

    return make


def test_push_to_a_branch(gitlab):
    """A push is one change of one ref, with every address GitLab gives the project."""
    assert gitlab.knock().push == Push(
        changes=(
            RefChange(
                ref="refs/heads/main",
                old="b802f384302cb24fbab0a44997e820bf2e8507bb",
                new="9f8f7eec5dea5ac43738721939c120318cbff1df",
            ),
        ),
        repositories=(
            "https://gitlab.example.org/ada/hello.git",
            "git@gitlab.example.org:ada/hello.git",
            "https://gitlab.example.org/ada/hello",
        ),
        pusher="ada",
    )


def test_push_of_an_annotated_tag(gitlab, recorded):
    """The change tells what the ref became, the tag itself, as every other door does."""
    body = recorded("gitlab_tag_push")
    headers = gitlab.sign(body, gitlab.secret, "Tag Push Hook")
    assert gitlab.knock(body, headers=headers).push.changes == (
        RefChange("refs/tags/v1.0.0", ZERO, "4db2c1df4610cd6c0da6b9197b066bfb4e9b9d00"),
    )


@pytest.mark.parametrize("name", ["gitlab_push", "gitlab_tag_push"])
def test_system_hooks_push_too(gitlab, recorded, name):
    """A system hook tells the same push under one header for all events."""
    body = recorded(name)
    knock = gitlab.knock(body, headers=gitlab.sign(body, gitlab.secret, "System Hook"))
    assert knock.push.changes[0].ref == json.loads(body)["ref"]


@pytest.mark.parametrize(
    ("event", "values", "reason"),
    [
        ("Merge Request Hook", {}, "Merge Request Hook events are not built in this version"),
        (
            "System Hook",
            {"event_name": "project_create"},
            "project_create events are not built in this version",
        ),
        (
            "System Hook",
            {"object_kind": "merge_request"},
            "merge_request events are not built in this version",
        ),
    ],
)
def test_other_events_are_ignored_with_the_reason(gitlab, event, values, reason):
    """An event that is no push asks for nothing, and says why."""
    body = json.dumps(values).encode()
    knock = gitlab.knock(body, headers=gitlab.sign(body, gitlab.secret, event))
    assert (knock.ignored, knock.push) == (reason, None)


def test_a_system_hook_without_an_event_is_invalid(gitlab):
    """A system hook that does not say what happened is a fault."""
    with pytest.raises(Invalid) as caught:
        gitlab.knock(b"{}", headers=gitlab.sign(b"{}", gitlab.secret, "System Hook"))
    assert [complaint.field for complaint in caught.value.complaints] == ["object_kind"]


def test_the_delivery_id_of_older_versions(gitlab):
    """Without an idempotency key the event's own id serves."""
    headers = gitlab.sign(gitlab.body, gitlab.secret)
    del headers["idempotency-key"]
    assert gitlab.knock(headers=headers).delivery_id == headers["x-gitlab-event-uuid"]


def test_a_signing_token_is_as_good_as_the_secret(gitlab, signed, signing_secret):
    """A newer GitLab may sign instead of sending its secret."""
    assert gitlab.knock(headers=signed(), secrets=(signing_secret,)).push == gitlab.knock().push


def test_a_signed_delivery_grows_old(gitlab, signed, signing_secret, now):
    """A recorded delivery cannot be sent again after five minutes."""
    headers = signed(sent_at=now - timedelta(seconds=301))
    with pytest.raises(BadSignature):
        gitlab.knock(headers=headers, secrets=(signing_secret,))


def test_a_plain_secret_does_not_verify_signatures(gitlab, signed):
    """Only a signing token is a key; another secret is compared as it is."""
    with pytest.raises(BadSignature):
        gitlab.knock(headers=signed())


def test_a_secret_may_hold_any_letters(gitlab):
    """Header bytes reach the door as latin-1 text; the secret is still found in them."""
    secret = "größe ☃"
    headers = gitlab.sign(gitlab.body, secret.encode().decode("latin-1"))
    assert gitlab.knock(headers=headers, secrets=(secret,)).push
