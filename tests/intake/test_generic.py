"""The door of our own hook, and of whatever else speaks standard-webhooks."""

from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from ciserver.model.errors import BadSignature, Invalid
from ciserver.model.push import Push, RefChange

CHANGE = {"ref": "refs/heads/main", "old": "0" * 40, "new": "a" * 40}


@pytest.fixture
def generic(senders):
    return senders["generic"]


def knock_push(generic, **values):
    return generic.knock_with(data={"changes": [CHANGE], **values})


def faults(generic, **values):
    with pytest.raises(Invalid) as caught:
        knock_push(generic, **values)
    return [complaint.field for complaint in caught.value.complaints]


def test_push_of_several_refs(generic):
    """One delivery tells the whole push: all refs, options, who, and to which repository."""
    assert generic.knock().push == Push(
        changes=(
            RefChange(
                ref="refs/heads/main",
                old="d479fa0ef92542c808003731bc478f714ec1da4c",
                new="a00bbe560e6b0f5263e3e6cba4ff3fb9a6fe9ef0",
            ),
            RefChange(
                ref="refs/tags/v1.0",
                old="0" * 64,
                new="edcd8e701a2df0cd66a39bae6aa156cf16fe2b9653ef65f7d31742e2352421e4",
            ),
        ),
        repositories=("/srv/git/hello.git",),
        pusher="ada",
        options=("skip-ci", "submit=.builds/*.yml"),
    )


def test_the_least_push(generic):
    """Only the changes are needed: a hook may be bound to its one repository."""
    assert knock_push(generic).push == Push(
        changes=(RefChange("refs/heads/main", "0" * 40, "a" * 40),)
    )


def test_ping(generic):
    """A ping needs nothing but its type."""
    assert generic.knock(b'{"type": "ping"}').is_ping


def test_other_types_are_ignored_with_the_reason(generic):
    """A delivery of another type asks for nothing, and says why."""
    knock = generic.knock(b'{"type": "build.finished", "data": {}}')
    assert knock.ignored == "build.finished events are not built in this version"


def test_all_faults_are_named_with_their_paths(generic):
    """Each fault says where in the payload it stands."""
    wrong = [CHANGE, {**CHANGE, "ref": "main", "new": None}, "refs/heads/main"]
    assert set(faults(generic, changes=wrong, options=[1, "\x00"], repository=["/srv"])) == {
        "data.repository",
        "data.changes[1].ref",
        "data.changes[1].new",
        "data.changes[2]",
        "data.options[0]",
        "data.options[1]",
    }


def test_type_and_data_are_needed(generic):
    """An empty object is told both things that it lacks."""
    with pytest.raises(Invalid) as caught:
        generic.knock(b"{}")
    assert [complaint.field for complaint in caught.value.complaints] == ["type", "data"]


@pytest.mark.parametrize("changes", [[], None, {}, "refs/heads/main", [CHANGE] * 1001])
def test_a_push_has_one_to_a_thousand_changes(generic, changes):
    """No change at all, or more than a thousand, is a fault of the list itself."""
    assert faults(generic, changes=changes) == ["data.changes"]


def test_a_thousand_changes_are_welcome(generic):
    """The limit itself is allowed."""
    assert len(knock_push(generic, changes=[CHANGE] * 1000).push.changes) == 1000


def test_the_standard_library_of_the_standard_signs_for_us(generic, signing_secret, now):
    """What the reference implementation signs, this door accepts."""
    signature = Webhook(signing_secret).sign("msg_1", now, generic.body.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1a,bm90IG91cnM= {signature} v1,bm90IHRoaXM=",
    }
    assert generic.knock(headers=headers).delivery_id == "msg_1"


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_five_minutes_either_way_are_allowed(generic, now, seconds):
    """Clocks differ a little."""
    assert generic.knock(now=now + timedelta(seconds=seconds)).push


@pytest.mark.parametrize("seconds", [-301, 301, 86400])
def test_an_old_or_early_delivery_is_refused(generic, now, seconds):
    """A recorded delivery cannot be sent again later, however well it is signed."""
    with pytest.raises(BadSignature):
        generic.knock(now=now + timedelta(seconds=seconds))


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1e9", "٣", "9" * 40, "1769764380.5"])
def test_a_timestamp_is_a_number_of_seconds(generic, timestamp):
    """Anything else is refused like a wrong signature."""
    headers = generic.sign(generic.body, generic.secret)
    with pytest.raises(BadSignature):
        generic.knock(headers={**headers, "webhook-timestamp": timestamp})


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_id_and_timestamp_are_signed(generic, now, header):
    """A captured delivery cannot be given a fresh id or time."""
    headers = generic.sign(generic.body, generic.secret)
    fresh = {"webhook-id": "msg_fresh", "webhook-timestamp": str(int(now.timestamp()) + 1)}
    for value in (fresh[header], ""):
        with pytest.raises(BadSignature):
            generic.knock(headers={**headers, header: value})


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not*base64", "whsec_☃", "plain"])
def test_an_unusable_secret_opens_nothing(generic, sign_standard, secret):
    """A secret without a key in it is no secret: a delivery signed with an empty key stays out."""
    headers = sign_standard(generic.body, "whsec_")
    with pytest.raises(BadSignature):
        generic.knock(headers=headers, secrets=(secret,))


def test_options_keep_their_order_and_letters(generic):
    """Push options are the pusher's own words."""
    options = ["b=ü", "a", "", "with\ttab", "a"]
    assert knock_push(generic, options=options).push.options == tuple(options)
