"""The addresses of a mail, as recipes and settings write them.

Only plain addresses are understood: no groups, comments or quoted local parts. What a mail
library would forgive is where one address turns into another.
"""

import re
from email.headerregistry import Address

from triggers.text import one_line

_NAMED = re.compile(r"([^<>]*)<([^<>]*)>")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PLAIN = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
LONGEST = 254


def mailbox_of(entry: str) -> Address | None:
    """`Name <name@host>` or `name@host` as a mailbox; None when it is neither."""
    named = _NAMED.fullmatch(entry)
    name, plain = (named[1], named[2].strip()) if named else ("", entry)
    if not _PLAIN.fullmatch(plain) or len(plain) > LONGEST or "\n" in entry or "\r" in entry:
        return None
    return Address(display_name=header_text(name.strip().strip('"'), 100), addr_spec=plain)


def header_text(text: str, limit: int) -> str:
    """Foreign text fit for a header: one line, and nothing in it is read as an encoded word,
    which could hold a line break again.
    """
    return one_line(text, limit).replace("=?", "= ?")
