"""A mail says what happened, reaches its readers through a real SMTP server, injects nothing."""

import email
import email.policy
import socket
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.post import PASSWORD, open_post

from ciserver.model.errors import RemoteFailure
from ciserver.model.event import Beside, FaultsChanged, StepSummary
from triggers.email import Email, Smtp
from triggers.letter import Letters
from triggers.mailbox import mailbox_of
from triggers.recipients import Recipients

pytestmark = [
    # aiosmtpd still calls an old property of its own session.
    pytest.mark.filterwarnings("ignore:Session.login_data is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
]


def test_mail_arrives(post, templates, mail):
    """Both readers get one mail with text and HTML, and the delivery log says so."""
    delivery = mail(to=["Ada <ada@site.example>"], options={"cc": ["bob@site.example"]})
    said = Email(post.smtp(), templates).deliver(delivery)
    assert said == "taken for 2 of 2"
    assert post.envelopes[0].mail_from == "ci@ci.example"
    assert post.envelopes[0].rcpt_tos == ["ada@site.example", "bob@site.example"]
    assert post.messages[0].get_content_type() == "multipart/alternative"


def test_headers(post, templates, mail):
    """Readers see who and what; machines see what to filter by and that nobody need answer."""
    reply = {"in_reply_to": "patch-1@lists.example"}
    delivery = mail(to="Ada <ada@site.example>, bob@site.example", options=reply)
    Email(post.smtp(), templates).deliver(delivery)
    headers = dict(post.messages[0].items())
    del headers["Content-Type"]
    assert headers == {
        "From": "CI of Site <ci@ci.example>",
        "To": "Ada <ada@site.example>, bob@site.example",
        "Subject": "[site] test failed on main: Teach the parser commas",
        "Date": "Sat, 31 Jan 2026 12:00:00 +0000",
        "Message-ID": "<d-7f3a@ci.example>",
        "In-Reply-To": "<patch-1@lists.example>",
        "References": "<patch-1@lists.example>",
        "Auto-Submitted": "auto-generated",
        "List-Id": "<main.site.ci.example>",
        "X-Ciserver-Project": "site",
        "X-Ciserver-Jobset": "main",
        "X-Ciserver-Job": "test",
        "X-Ciserver-Status": "failed",
        "X-Ciserver-Build": "41",
        "X-Hydra-Instance": "https://ci.example",
        "X-Hydra-Project": "site",
        "X-Hydra-Jobset": "main",
        "X-Hydra-Job": "test",
        "X-Hydra-System": "x86_64-linux",
        "MIME-Version": "1.0",
    }


def test_text(post, templates, mail):
    """All that matters, in plain words."""
    Email(post.smtp(), templates).deliver(mail())
    text = post.messages[0].get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == (
        "test failed after 1 min 5 s.\n"
        "step unit ended with exit code 2\n"
        "\n"
        "https://ci.example/builds/41\n"
        "\n"
        "Project:  site / main\n"
        "Build:    #7 on x86_64-linux, finished 2026-01-31 11:59 UTC\n"
        "Source:   main at 4f1c2a9be07d\n"
        "Commit:   Teach the parser commas\n"
        "Author:   Ada Lovelace\n"
        "Asked by: ada\n"
        "\n"
        "✓ setup  https://ci.example/builds/41/log/0\n"
        "✗ unit  https://ci.example/builds/41/log/1\n"
        "- pack  https://ci.example/builds/41/log/2\n"
        "\n"
        "All builds made together: https://ci.example/evaluations/9\n"
    )


def test_html_escapes_foreign_text(post, templates, mail):
    """A commit subject is text, not markup."""
    evil = "<img src=x onerror=alert(1)>"
    Email(post.smtp(), templates).deliver(mail(subject=evil, detail=evil, author=evil))
    page = post.messages[0].get_body(("html",)).get_content()
    assert evil not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 3
    assert "prefers-color-scheme: dark" in page


def test_long_builds_are_cut_and_hidden_steps_left_out(post, templates, mail):
    """The mail of a build with very many steps stays readable."""
    many = tuple(StepSummary(f"step-{one}", "succeeded", "https://x/") for one in range(130))
    steps = (StepSummary("_hidden", "succeeded", "https://x/"), *many)
    Email(post.smtp(), templates).deliver(mail(steps=steps))
    text = post.messages[0].get_body(("plain",)).get_content()
    assert "step-99 " in text
    assert "step-100 " not in text
    assert "and 30 more steps" in text
    assert "_hidden" not in text


@pytest.mark.parametrize(
    ("status", "previous", "words"),
    [
        ("succeeded", "", "test succeeded on main"),
        ("succeeded", "succeeded", "test succeeded on main"),
        ("succeeded", "timed_out", "test fixed on main"),
        ("partial", "failed", "test fixed on main"),
        ("succeeded", "canceled", "test succeeded on main"),
        ("failed", "succeeded", "test failed on main"),
        ("failed", "failed", "test still failing on main"),
        ("timed_out", "errored", "test still failing on main"),
        ("timed_out", "", "test timed out on main"),
        ("canceled", "failed", "test canceled on main"),
        ("dependency_failed", "", "test blocked by a failed job on main"),
        ("errored", "", "test hit a server fault on main"),
    ],
)
def test_subject_wording(post, templates, mail, status, previous, words):
    """The subject says what changed since the build before."""
    Email(post.smtp(), templates).deliver(mail(status=status, previous_status=previous, subject=""))
    assert post.messages[0]["Subject"] == f"[site] {words}"


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "(and 1 other)"), (3, "(and 3 others)")],
)
def test_what_ended_with_it(post, templates, mail, count, words):
    """One mail tells of the builds that could not run because of it, with their pages."""
    beside = tuple(
        Beside(50 + one, f"job-{one}", "x86_64-linux", "dependency_failed", f"https://x/{one}")
        for one in range(min(count, 2))
    )
    Email(post.smtp(), templates).deliver(mail(beside=beside, beside_total=count, subject=""))
    assert post.messages[0]["Subject"] == f"[site] test failed on main {words}"
    for kind in ("plain", "html"):
        body = post.messages[0].get_body((kind,)).get_content()
        assert "https://x/0" in body
        assert "job-0" in body
        assert ("and 1 more builds" in body) is (count == 3)


@pytest.mark.parametrize("faults", [("ci.yml: no <b>tasks</b>", "x\r\nBcc: a@b"), ()])
def test_changed_faults(post, templates, mail, faults):
    """The owner's mail says what is wrong, or that all is well again."""
    event = FaultsChanged(
        *(9, 3, "site", "main", "refs/heads/main", "4f1c2a9be07d4f1c", "Teach", "Ada"),
        *("2026-01-31T11:59:07+00:00", "https://ci.example/eval/9", faults, len(faults)),
    )
    Email(post.smtp(), templates).deliver(replace(mail(), event=event))
    (message,) = post.messages
    word = "has errors" if faults else "has no errors any more"
    assert message["Subject"] == f"[site] main {word} on main: Teach"
    assert message["List-Id"] == "<main.site.ci.example>"
    assert message["X-Ciserver-Evaluation"] == "9"
    assert message["X-Hydra-Instance"] == "https://ci.example"
    assert message["X-Hydra-Jobset"] == "main"
    assert message["Bcc"] is None
    text = message.get_body(("plain",)).get_content()
    assert "https://ci.example/eval/9" in text
    assert ("ci.yml: no <b>tasks</b>" in text) is bool(faults)
    assert "<b>" not in message.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.9, "59 s"), (65, "1 min 5 s"), (7385, "2 h 3 min"), (-1, "0 s")],
)
def test_duration_wording(post, templates, mail, seconds, words):
    """Durations are told in at most two units."""
    Email(post.smtp(), templates).deliver(mail(duration_seconds=seconds))
    assert f"after {words}." in post.messages[0].get_body(("plain",)).get_content()


def test_each_try_writes_the_same_mail(post, templates, mail):
    """A mail that was sent twice is recognised by its id and date."""
    sender = Email(post.smtp(), templates)
    sender.deliver(mail())
    sender.deliver(mail())
    first, second = post.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


INJECTIONS = [
    "fine\r\nBcc: victim@evil.example",
    "fine\nBcc: victim@evil.example",
    "fine\rBcc: victim@evil.example",
    "fine\r\n\r\n<h1>body</h1>",
    "fine\x0bBcc: victim@evil.example",
    "fine\x85Bcc: victim@evil.example",
    "fine\u2028Bcc: victim@evil.example",
    "fine\x00Bcc: victim@evil.example",
    "=?utf-8?q?fine=0d=0aBcc:_victim=40evil.example?=",
    "=?utf-8?b?ZmluZQ0KQmNjOiB2aWN0aW1AZXZpbC5leGFtcGxl?=",
    "=\u200b?utf-8?q?fine=0aBcc:_victim=40evil.example?=",
    "=\r\n?utf-8?q?fine=0aBcc:_victim=40evil.example?=",
    "==?utf-8?q?fine=0aBcc:_victim=40evil.example?=",
    "ü\r\nBcc: victim@evil.example",
    "a" * 5000 + "\r\nBcc: victim@evil.example",
    ("ü" * 30 + " ") * 100 + "\r\nBcc: victim@evil.example",
    "\ud800 half a letter",
    "\u202etxet denrut",
    "{{ 7 * 7 }}{% raw %}",
    "",
]
FIELDS = ("subject", "project", "jobset", "job", "ref", "author", "requested_by", "detail")


@pytest.mark.parametrize("evil", INJECTIONS)
def test_nothing_injects_headers(post, templates, mail, evil):
    """Whatever commits and names hold, the mail has its own headers, once each, in short lines."""
    Email(post.smtp(), templates).deliver(mail(**dict.fromkeys(FIELDS, evil)))
    raw = post.envelopes[0].original_content
    head = raw.split(b"\r\n\r\n", 1)[0]
    names = [line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert len(names) == len(set(names)) == 20
    assert b"Bcc" not in names
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert max(map(len, raw.splitlines())) < 998
    assert post.envelopes[0].rcpt_tos == ["ada@site.example"]
    for value in post.messages[0].values():
        assert "\n" not in value
        assert "\r" not in value


def test_text_of_any_language_survives(post, templates, mail):
    """Encoding loses nothing."""
    Email(post.smtp(), templates).deliver(mail(subject="Grüße, 世界 🌍", to="Zoë Ü <z@x.example>"))
    message = post.messages[0]
    assert message["Subject"].endswith("main: Grüße, 世界 🌍")
    assert message["To"].addresses[0].display_name == "Zoë Ü"
    assert "Grüße, 世界 🌍" in message.get_body(("plain",)).get_content()
    assert post.envelopes[0].original_content.isascii()


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ('"Lovelace, Ada" <ada@site.example>', "Lovelace, Ada"),
        ("Ada (maths) <ada@site.example>", "Ada (maths)"),
        ('Ada "the" \\ <ada@site.example>', 'Ada "the" \\'),
        ("=?utf-8?q?=0aBcc:x=40y?= <ada@site.example>", "= ?utf-8?q?=0aBcc:x=40y?="),
        ("<ada@site.example>", ""),
    ],
)
def test_names_of_recipients(post, templates, mail, entry, name):
    """Names with special characters stay names."""
    Email(post.smtp(), templates).deliver(mail(to=entry))
    (found,) = post.messages[0]["To"].addresses
    assert (found.display_name, found.addr_spec) == (name, "ada@site.example")
    assert post.envelopes[0].rcpt_tos == ["ada@site.example"]


BAD = [
    "nobody",
    "@site.example",
    "ada@",
    "ada@site..example",
    "ada@-site.example",
    ".ada@site.example",
    "a b@site.example",
    "ada@site.example>",
    "<ada@site.example",
    "Ada <ada@site.example> <bob@site.example>",
    "ada@site.example bob@site.example",
    "ada@site.example\r\nRCPT TO:<bob@evil.example>",
    "Ada\r\nBcc: bob@evil.example <ada@site.example>",
    '"ada@evil.example"@site.example',
    "ada@[127.0.0.1]",
    "ada(comment)@site.example",
    "ädä@site.example",
    "a" * 250 + "@site.example",
]


@pytest.mark.parametrize("entry", BAD)
def test_bad_address_is_named(post, templates, mail, entry):
    """An address that cannot be right is final, and nothing is sent to anybody."""
    with pytest.raises(RemoteFailure, match="is not a mail address") as caught:
        Email(post.smtp(), templates).deliver(mail(to=["ok@site.example", entry]))
    assert not caught.value.temporary
    assert "\n" not in caught.value.message
    assert post.envelopes == []


def test_all_faults_are_told(post, templates, mail):
    """One look is enough to mend the trigger."""
    options = {"cc": "two", "in_reply_to": "a b"}
    with pytest.raises(RemoteFailure, match=r"'one' is.*'two' is.*'a b' is not a message id"):
        Email(post.smtp(), templates).deliver(mail(to="one", options=options))


@pytest.mark.parametrize("to", [None, "", [], " , ", 7, {"a": 1}])
def test_no_usable_recipient(post, templates, mail, to):
    """A trigger without anybody to tell is final."""
    with pytest.raises(RemoteFailure, match=r"no recipients|not a mail address") as caught:
        Email(post.smtp(), templates).deliver(mail(to=to))
    assert not caught.value.temporary


def test_number_of_recipients(post, templates, mail):
    """Fifty are served, fifty-one are too many."""
    crowd = [f"u{number}@site.example" for number in range(51)]
    sender = Email(post.smtp(), templates)
    assert sender.deliver(mail(to=crowd[:50])) == "taken for 50 of 50"
    with pytest.raises(RemoteFailure, match="51 recipients"):
        sender.deliver(mail(to=crowd))


def test_recipient_named_twice_gets_one(post, templates, mail):
    """To and cc may overlap."""
    copy = {"cc": "ADA@site.example, bob@site.example"}
    Email(post.smtp(), templates).deliver(mail(options=copy))
    assert len(post.envelopes[0].rcpt_tos) == 2


def test_some_recipients_refused(post, templates, mail):
    """The others have their mail, so it is done; the log names who was refused and why."""
    post.refused = {"bob@site.example": "550 no such \x1b[31muser"}
    said = Email(post.smtp(), templates).deliver(mail(to="ada@site.example, bob@site.example"))
    assert said == "taken for 1 of 2; refused: bob@site.example (550 no such [31muser)"


@pytest.mark.parametrize(("code", "temporary"), [(450, True), (550, False)])
def test_every_recipient_refused(post, templates, mail, code, temporary):
    """4xx may pass, 5xx will not."""
    post.refused = {"ada@site.example": f"{code} no"}
    with pytest.raises(RemoteFailure, match=rf"ada@site\.example \({code} no\)") as caught:
        Email(post.smtp(), templates).deliver(mail())
    assert caught.value.temporary is temporary


@pytest.mark.parametrize("place", ["mail", "data"])
@pytest.mark.parametrize(("code", "temporary"), [(451, True), (554, False)])
def test_server_refuses_the_mail(post, templates, mail, place, code, temporary):
    """At each stage 4xx is worth another try and 5xx is not."""
    setattr(post, place, f"{code} not today")
    with pytest.raises(RemoteFailure, match=f"answered {code}: not today") as caught:
        Email(post.smtp(), templates).deliver(mail())
    assert caught.value.temporary is temporary


def test_rude_goodbye_does_not_send_twice(post, templates, mail):
    """Once the mail is taken, nothing makes the delivery fail."""
    post.quit = "421 too busy to say goodbye"
    assert Email(post.smtp(), templates).deliver(mail()) == "taken for 1 of 1"


def test_no_server_configured(templates, mail):
    """Without a host the log says what to set."""
    with pytest.raises(RemoteFailure, match="no mail server") as caught:
        Email(Smtp(), templates).deliver(mail())
    assert not caught.value.temporary
    assert "[smtp]" in caught.value.hint


def test_bad_sender(post, templates, mail):
    """A sender that no server would take is told before anything is sent."""
    with pytest.raises(RemoteFailure, match="no valid sender") as caught:
        Email(post.smtp(from_address="nobody"), templates).deliver(mail())
    assert not caught.value.temporary


def test_server_is_away(templates, mail, post):
    """A closed port is worth another try."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RemoteFailure, match="cannot be reached") as caught:
        Email(post.smtp(port=port), templates).deliver(mail())
    assert caught.value.temporary


def _half_alive(greeting, drop):
    """A server for one connection that greets and then drips `drop`, or is silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def run():
        with listener, listener.accept()[0] as sock:
            sock.sendall(greeting)
            try:
                while not done.wait(0.02):
                    sock.sendall(drop)
            except OSError:  # the client had enough
                return

    thread = threading.Thread(target=run)
    thread.start()
    return listener.getsockname()[1], done, thread


@pytest.mark.parametrize(("greeting", "drop"), [(b"", b""), (b"220 hello\r\n", b"2")])
def test_slow_server_meets_the_limit(templates, mail, post, greeting, drop):
    """Neither silence nor dripping holds a delivery for ever."""
    port, done, thread = _half_alive(greeting, drop)
    try:
        with pytest.raises(RemoteFailure, match=r"did not take the mail within 0\.3 s") as caught:
            Email(post.smtp(port=port, timeout=0.3), templates).deliver(mail())
    finally:
        done.set()
        thread.join()
    assert caught.value.temporary


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted(templates, mail, certificate, security):
    """Only a server with a trusted certificate gets the mail."""
    context = certificate.server_context()
    options = {"ssl_context": context} if security == "tls" else {"tls_context": context}
    with open_post(**options) as post:
        smtp = post.smtp(security=security)
        trusting = Email(smtp, templates, tls=certificate.client_context())
        assert trusting.deliver(mail()) == "taken for 1 of 1"
        with pytest.raises(RemoteFailure, match=r"(?i)certificate") as caught:
            Email(smtp, templates).deliver(mail())
        assert caught.value.temporary
        assert len(post.envelopes) == 1


def test_login(templates, mail, certificate):
    """Name and password are given when set; a wrong password is final and not repeated."""
    options = {"tls_context": certificate.server_context(), "auth_required": True}
    with open_post(**options) as post:

        def sender(password):
            login = {"security": "starttls", "username": "ci", "password": password}
            return Email(post.smtp(**login), templates, tls=certificate.client_context())

        assert sender(PASSWORD).deliver(mail()) == "taken for 1 of 1"
        with pytest.raises(RemoteFailure, match="answered 535") as caught:
            sender("wrong-canary").deliver(mail())
        assert post.logins[0] == (b"ci", PASSWORD.encode())
    assert not caught.value.temporary
    assert (
        "canary" not in f"{caught.value.message} {caught.value.hint} {post.smtp(password='canary')}"
    )


def test_starttls_that_the_server_lacks(post, templates, mail):
    """No silent fall-back to plain text."""
    with pytest.raises(RemoteFailure, match="STARTTLS") as caught:
        Email(post.smtp(security="starttls"), templates).deliver(mail())
    assert not caught.value.temporary
    assert post.envelopes == []


ANY = st.text(st.characters() | st.sampled_from('=?_"\\<>,;:@()[]\r\n. '), max_size=300)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY)
def test_any_text_makes_a_mail(templates, make_delivery, text):
    """Whatever a name or subject is, the mail can be written and goes to its one reader."""
    sender = mailbox_of("CI <ci@ci.example>")
    reader = mailbox_of(f"{text} <ada@site.example>") or sender
    delivery = make_delivery("email", **dict.fromkeys(FIELDS, text))
    written = Letters(templates).write(delivery, sender, Recipients((reader,), (), ""))
    message = email.message_from_bytes(written.as_bytes(), policy=email.policy.default)
    assert len(message.keys()) == 20
    assert [one.addr_spec for one in message["To"].addresses] == [reader.addr_spec]
