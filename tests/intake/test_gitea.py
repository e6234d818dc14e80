"""The deliveries of Gitea, Forgejo and Gogs."""

import pytest

from ciserver.model.errors import BadSignature
from ciserver.model.push import ZERO, Push, RefChange


def test_push_from_gitea_and_forgejo(senders):
    """Both tell a push in the same words."""
    expected = Push(
        changes=(
            RefChange(
                ref="refs/heads/develop",
                old="fe05bcdcdc4928012781a5f1a2a77cbb5398e106",
                new="ad782ecdac770fc6eb9a62e44f90873fb97fb26b",
            ),
        ),
        repositories=(
            "https://gitea.example.org/ada/hello.git",
            "ssh://git@gitea.example.org:2222/ada/hello.git",
            "https://gitea.example.org/ada/hello",
        ),
        pusher="ada",
    )
    assert senders["gitea"].knock().push == expected
    assert senders["forgejo"].knock().push == expected


def test_the_origin_of_a_migration_is_not_the_repository(senders):
    """A repository copied from elsewhere does not speak for the one elsewhere."""
    addresses = senders["gitea"].knock().push.repositories
    assert not any("somebody-else" in address for address in addresses)


def test_push_of_a_tag_from_gogs(senders):
    """A new tag comes as a push from the zero revision."""
    push = senders["gogs"].knock().push
    assert push.changes == (
        RefChange("refs/tags/v2.1", ZERO, "ad782ecdac770fc6eb9a62e44f90873fb97fb26b"),
    )
    assert push.repositories[0] == "http://gogs.example.org/ada/hello.git"


@pytest.mark.parametrize(
    ("door", "header"),
    [("forgejo", "x-forgejo-"), ("gitea", "x-gitea-"), ("gogs", "x-gogs-")],
)
def test_the_most_specific_headers_count(senders, door, header):
    """The copies under other names are neither read for the event nor taken as proof."""
    sender = senders[door]
    headers = sender.sign(sender.body, sender.secret)
    assert sender.knock().delivery_id == headers[f"{header}delivery"]
    misled = {name: "ping" if name.endswith("-event") else text for name, text in headers.items()}
    assert sender.knock(headers={**misled, f"{header}event": "push"}).push
    with pytest.raises(BadSignature):
        sender.knock(headers={**headers, f"{header}signature": "0" * 64})


def test_github_copies_alone_prove_nothing(senders):
    """The door wants the headers of its own forges."""
    sender = senders["gitea"]
    with pytest.raises(BadSignature):
        sender.knock(headers=senders["github"].sign(sender.body, sender.secret))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("create", "create events are ignored: the push event tells the same"),
        ("delete", "delete events are ignored: the push event tells the same"),
        ("release", "release events are not built in this version"),
    ],
)
def test_other_events_are_ignored_with_the_reason(senders, event, reason):
    """A new tag is told as a push too, so the create event would build it twice."""
    sender = senders["forgejo"]
    knock = sender.knock(headers=sender.sign(sender.body, sender.secret, event))
    assert (knock.ignored, knock.push) == (reason, None)
