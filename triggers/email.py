"""The action `email`: one mail by SMTP."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import field
from email.headerregistry import Address
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from ciserver.model.delivery import Delivery
from ciserver.model.errors import RemoteFailure
from ciserver.model.frozen import frozen
from triggers.deadline import Deadline
from triggers.letter import Letters
from triggers.mailbox import mailbox_of
from triggers.recipients import Recipients
from triggers.text import first_line, one_line

if TYPE_CHECKING:
    import socket

Refused = dict[str, tuple[int, bytes]]


@frozen
class Smtp:
    """The mail server to hand mails to; without a host no mail is sent.

    `timeout` is the limit for one mail, in seconds.
    """

    host: str = ""
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    security: Literal["none", "starttls", "tls"] = "none"
    from_address: str = ""
    timeout: float = 30


class Email:
    """Mails `options["to"]` and `options["cc"]`. `templates` holds the folder `email`."""

    action: ClassVar[str] = "email"

    def __init__(self, smtp: Smtp, templates: Path, *, tls: ssl.SSLContext | None = None) -> None:
        self._smtp = smtp
        self._letters = Letters(templates)
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when it is first needed: reading the machine's certificates takes its time."""
        return self._given_tls or ssl.create_default_context()

    def deliver(self, delivery: Delivery) -> str:
        """Hand the mail to the mail server once; done when it takes it for at least one recipient.

        Raises RemoteFailure: temporary when the mail server is away or says 4xx; not temporary
        when it says 5xx, an address is wrong, or no mail server is configured.
        """
        sender = self._sender()
        to = Recipients.read(delivery.options)
        message = self._letters.write(delivery, sender, to)
        deadline = Deadline(self._smtp.timeout)
        try:
            with self._session(sender.domain, deadline) as session:
                refused = session.sendmail(sender.addr_spec, to.envelope, message.as_bytes())
        except (smtplib.SMTPException, OSError) as err:
            raise _failure(self._smtp, deadline, err) from err
        return _summary(len(to.envelope), refused)

    def _sender(self) -> Address:
        if not self._smtp.host:
            raise RemoteFailure(
                "no mail server is configured", temporary=False, hint="set host under [smtp]"
            )
        sender = mailbox_of(self._smtp.from_address)
        if sender is None:
            raise RemoteFailure(
                f"mails have no valid sender: {self._smtp.from_address!r}",
                temporary=False,
                hint="set from_address under [smtp], such as ci@host.example",
            )
        return sender

    @contextmanager
    def _session(self, own_name: str, deadline: Deadline) -> Iterator[smtplib.SMTP]:
        """A session ready to send. How it ends does not matter: the mail was taken before, and
        an error then would send it twice.
        """
        session = self._connect(own_name)
        try:
            # Its constructor has connected it.
            with deadline.cutting(cast("socket.socket", session.sock)):
                self._introduce(session)
                yield session
                with suppress(smtplib.SMTPException, OSError):
                    session.quit()
        finally:
            session.close()

    def _connect(self, own_name: str) -> smtplib.SMTP:
        """`own_name` spares smtplib a question to the name servers."""
        smtp = self._smtp
        if smtp.security == "tls":
            return smtplib.SMTP_SSL(
                smtp.host, smtp.port, own_name, timeout=smtp.timeout, context=self._tls
            )
        return smtplib.SMTP(smtp.host, smtp.port, own_name, timeout=smtp.timeout)

    def _introduce(self, session: smtplib.SMTP) -> None:
        if self._smtp.security == "starttls":
            session.starttls(context=self._tls)
        if self._smtp.username:
            session.login(self._smtp.username, self._smtp.password)


def _summary(asked: int, refused: Refused) -> str:
    taken = f"taken for {asked - len(refused)} of {asked}"
    return f"{taken}; refused: {_refusals(refused)}" if refused else taken


def _refusals(refused: Refused) -> str:
    """One answer for each address, long lists cut."""
    told = [f"{who} ({code} {first_line(said, 100)})" for who, (code, said) in refused.items()]
    more = f" and {len(told) - 10} more" if len(told) > 10 else ""
    return ", ".join(told[:10]) + more


def _failure(smtp: Smtp, deadline: Deadline, err: Exception) -> RemoteFailure:
    server = f"mail server {smtp.host}:{smtp.port}"
    if isinstance(err, smtplib.SMTPRecipientsRefused):
        return RemoteFailure(
            f"{server} refused every recipient: {_refusals(err.recipients)}",
            temporary=any(code < 500 for code, _ in err.recipients.values()),
            hint="check the addresses of the trigger",
        )
    if isinstance(err, smtplib.SMTPResponseException):
        return _answered(server, err)
    if isinstance(err, smtplib.SMTPNotSupportedError):
        return RemoteFailure(
            f"{server} cannot do what is asked: {one_line(str(err), 200)}",
            temporary=False,
            hint="check security and username under [smtp]",
        )
    if deadline.has_passed or isinstance(err, TimeoutError):
        message = f"{server} did not take the mail within {deadline.seconds:g} s"
        return RemoteFailure(message, temporary=True, hint="see the server's own log")
    return RemoteFailure(
        f"{server} cannot be reached: {one_line(str(err), 200) or type(err).__name__}",
        temporary=True,
        hint="check host, port and security under [smtp], and that the server runs",
    )


def _answered(server: str, err: smtplib.SMTPResponseException) -> RemoteFailure:
    said = err.smtp_error.encode() if isinstance(err.smtp_error, str) else err.smtp_error
    is_login = isinstance(err, smtplib.SMTPAuthenticationError)
    return RemoteFailure(
        f"{server} answered {err.smtp_code}: {first_line(said, 200)}",
        temporary=err.smtp_code < 500,
        hint="check username and password under [smtp]" if is_login else "see the server's own log",
    )
