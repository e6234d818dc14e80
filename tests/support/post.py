"""A mail server on 127.0.0.1 that keeps what it gets and answers what it is told."""

import email
import email.policy
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from triggers.email import Smtp

PASSWORD = "canary-password"


@dataclass
class Post:
    """What an SMTP server took, and how it is told to answer."""

    envelopes: list = field(default_factory=list)
    logins: list = field(default_factory=list)
    mail: str = "250 OK"
    refused: dict = field(default_factory=dict)
    data: str = "250 OK"
    quit: str = "221 Bye"
    port: int = 0

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802 -- aiosmtpd's
        envelope.mail_from = address
        return self.mail

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 -- aiosmtpd's
        answer = self.refused.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- aiosmtpd's
        if self.data.startswith("250"):
            self.envelopes.append(envelope)
        return self.data

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802 -- aiosmtpd's
        return self.quit

    def authenticate(self, server, session, envelope, mechanism, login):
        self.logins.append((login.login, login.password))
        return AuthResult(success=login.password == PASSWORD.encode(), handled=False)

    @property
    def messages(self):
        return [
            email.message_from_bytes(one.original_content, policy=email.policy.default)
            for one in self.envelopes
        ]

    def smtp(self, **changes):
        return Smtp(**{"host": "127.0.0.1", "port": self.port, **SENDER, "timeout": 20, **changes})


SENDER = {"from_address": "CI of Site <ci@ci.example>"}


@contextmanager
def open_post(**options):
    post = Post()
    with socket.create_server(("127.0.0.1", 0)) as free:
        post.port = free.getsockname()[1]
    options["authenticator"] = post.authenticate
    controller = Controller(post, hostname="127.0.0.1", port=post.port, **options)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()
