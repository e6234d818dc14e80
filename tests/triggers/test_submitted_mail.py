"""Mails about builds that were sent in, and about groups of them."""

from dataclasses import replace

import pytest

from ciserver.model.event import GroupFinished, GroupMember, StepSummary
from triggers.email import Email

pytestmark = pytest.mark.filterwarnings(
    "ignore:Session.login_data is deprecated:DeprecationWarning",
    "ignore:Requiring AUTH while not requiring TLS:UserWarning",
)
STEPS = (
    StepSummary("setup", "succeeded", "https://ci.example/log/0"),
    StepSummary("build", "succeeded", "https://ci.example/log/1"),
    StepSummary("_clean", "succeeded", "https://ci.example/log/2"),
    StepSummary("test", "failed", "https://ci.example/log/3"),
    StepSummary("pack", "skipped", "https://ci.example/log/4"),
)
SUBMITTED = {
    "project": "~ada",
    "jobset": "jobs",
    "job": "build",
    "steps": STEPS,
    "is_submission": True,
    "tags": ("alpine", "commits"),
    "note": "Try *this*\n\nand that",
}
EVIL = "x\r\nBcc: victim@evil.example\u202e\x00"


@pytest.fixture
def submitted(mail):
    return lambda **changes: mail(**{**SUBMITTED, **changes})


@pytest.fixture
def group(mail):
    """A mail about a group; the named fields of its event are others."""
    members = (
        GroupMember(41, "build", "succeeded", "https://ci.example/build/41", ("alpine",)),
        GroupMember(42, "build", "timed_out", "https://ci.example/build/42"),
    )

    def make(**changes):
        event = GroupFinished(
            *(4, 42, "ada", "Both of them", "~ada", "jobs"),
            *("2026-01-31T11:59:07+00:00", "https://ci.example/build/42", members),
        )
        return replace(mail(), event=replace(event, **changes))

    return make


@pytest.fixture
def sent(post, templates):
    """Send a mail and answer how it arrived."""

    def send(delivery):
        Email(post.smtp(), templates).deliver(delivery)
        return post.messages[-1]

    return send


def text_of(message, kind="plain"):
    return message.get_body((kind,)).get_content().replace("\r\n", "\n")


def test_text(sent, submitted):
    """What became of it, where, and of which tasks; not of those that begin with `_`."""
    message = sent(submitted())
    assert message["Subject"] == "[alpine/commits] build failed"
    assert text_of(message) == (
        "alpine/commits #41: failed in 1 min 5 s.\n"
        "step unit ended with exit code 2\n"
        "\n"
        "Try *this*\n"
        "\n"
        "and that\n"
        "\n"
        "https://ci.example/builds/41\n"
        "\n"
        "✓ build  https://ci.example/log/1\n"
        "✗ test  https://ci.example/log/3\n"
        "- pack  https://ci.example/log/4\n"
    )


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"status": "succeeded"}, "[alpine/commits] build succeeded"),
        ({"status": "succeeded", "previous_status": "failed"}, "[alpine/commits] build succeeded"),
        ({"status": "timed_out", "tags": ("x",)}, "[x] build timed out"),
        ({"status": "canceled", "tags": ()}, "[~ada] build canceled"),
    ],
)
def test_subject(sent, submitted, changes, subject):
    """By the tags, or without any by the owner. The build before was of something else."""
    assert sent(submitted(**changes))["Subject"] == subject


def test_one_that_nobody_began(sent, submitted):
    """Its tasks are named, and have no logs."""
    text = text_of(sent(submitted(status="canceled", steps=(), unstarted=("a", "_b", "c"))))
    assert text.endswith("\n- a\n- c\n")


def test_many_tasks(sent, submitted):
    """Are cut."""
    many = tuple(StepSummary(f"t{one}", "succeeded", "https://x/") for one in range(103))
    text = text_of(sent(submitted(steps=many)))
    assert "✓ t99 " in text
    assert "t100" not in text
    assert "and 3 more tasks" in text


def test_html_escapes_foreign_text(sent, submitted):
    """A note is text, not markup."""
    evil = "<script>alert(1)</script>"
    page = text_of(sent(submitted(note=f"{evil}\n{evil}", tags=(evil,), detail=evil)), "html")
    assert evil not in page
    assert page.count("&lt;script&gt;") == 5


def test_mails_of_one_build_are_a_thread(sent, submitted, mail):
    """Each attempt refers to the same; a mail that answers another refers to that."""
    assert sent(submitted(attempt=1))["References"] == "<build-41@ci.example>"
    assert sent(submitted(attempt=2))["References"] == "<build-41@ci.example>"
    reply = mail(options={"in_reply_to": "patch@x.example"}, **SUBMITTED)
    assert sent(reply)["References"] == sent(reply)["In-Reply-To"] == "<patch@x.example>"


def test_group(sent, group):
    """Each of its builds, with what became of it."""
    message = sent(group())
    assert message["Subject"] == "[~ada] group #4 failed"
    assert message["X-Ciserver-Group"] == "4"
    assert message["X-Ciserver-Status"] == "failed"
    assert message["List-Id"] == "<jobs.ada.ci.example>"
    assert text_of(message) == (
        "Group #4 of ada: failed.\n"
        "\n"
        "Both of them\n"
        "\n"
        "✓ alpine #41 succeeded  https://ci.example/build/41\n"
        "✗ ~ada #42 timed out  https://ci.example/build/42\n"
    )
    page = text_of(message, "html")
    assert 'href="https://ci.example/build/42"' in page
    assert "timed out" in page


@pytest.mark.parametrize("field", ["project", "jobset", "detail", "note", "canceled_by", "job"])
def test_nothing_injects_headers(sent, submitted, field):
    """Whatever a submission holds, the mail has its own headers only."""
    message = sent(submitted(**{field: EVIL}))
    assert message["Bcc"] is None
    assert len(message.keys()) == len(set(message.keys()))
    assert "\x00" not in text_of(message)
    assert "\u202e" not in text_of(message)


@pytest.mark.parametrize("tag", [EVIL, "=?utf-8?q?x=0d=0aBcc:_victim=40evil.example?=", "ü" * 500])
def test_tags_inject_nothing(sent, submitted, group, tag):
    """They are in the subject."""
    for message in (
        sent(submitted(tags=(tag,))),
        sent(
            group(note=tag, project=tag, owner=tag, members=(GroupMember(1, tag, "failed", "u"),))
        ),
    ):
        assert message["Bcc"] is None
        assert "\n" not in message["Subject"]
        assert len(message["Subject"]) <= 200
