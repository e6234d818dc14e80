"""To whom a mail goes, read from the options of the trigger."""

import re
from collections.abc import Iterator
from email.headerregistry import Address
from typing import Any

from ciserver.model.errors import RemoteFailure
from ciserver.model.frozen import frozen
from ciserver.model.mail import MOST_READERS, entries_of
from triggers.mailbox import mailbox_of
from triggers.text import one_line

_MESSAGE_ID = re.compile(r"<?([\x21-\x3b\x3d\x3f-\x7e]{1,250})>?")


@frozen
class Recipients:
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    in_reply_to: str  # a message id in angle brackets, or empty

    @classmethod
    def read(cls, options: dict[str, Any]) -> "Recipients":
        """Raises RemoteFailure, not temporary, naming everything that is wrong."""
        to, cc = entries_of(options.get("to")), entries_of(options.get("cc"))
        reply = str(options.get("in_reply_to") or "").strip()
        faults = [*_faults(to + cc, reply)]
        if faults:
            raise RemoteFailure(
                f"the mail cannot be addressed: {'; '.join(faults)}",
                temporary=False,
                hint="correct to, cc and in_reply_to of the trigger; write name@host.example",
            )
        return cls(_mailboxes(to), _mailboxes(cc), _bracketed(reply))

    @property
    def envelope(self) -> list[str]:
        """Each address once, in order."""
        return list({one.addr_spec.lower(): one.addr_spec for one in self.to + self.cc}.values())


def _faults(entries: list[str], reply: str) -> Iterator[str]:
    if not entries:
        yield "it has no recipients"
    if len(entries) > MOST_READERS:
        yield f"it has {len(entries)} recipients, more than {MOST_READERS}"
    for entry in entries[:MOST_READERS]:
        if mailbox_of(entry) is None:
            yield f"{one_line(entry, 100)!r} is not a mail address"
    if reply and not _MESSAGE_ID.fullmatch(reply):
        yield f"{one_line(reply, 100)!r} is not a message id"


def _mailboxes(entries: list[str]) -> tuple[Address, ...]:
    return tuple(found for entry in entries if (found := mailbox_of(entry)))


def _bracketed(reply: str) -> str:
    return f"<{reply.removeprefix('<').removesuffix('>')}>" if reply else ""
