"""How recipes and settings write to whom a mail goes."""

import re
from collections.abc import Iterable
from typing import Any

MOST_READERS = 50  # of one mail
_BETWEEN = re.compile(r'(?:"[^"]*"|[^,])+')
_NAMED = re.compile(r"[^<>]*<([^<>]*)>")


def entries_of(option: Any) -> list[str]:
    """The addresses in an option: a list of texts, or one text with commas."""
    texts = [option] if isinstance(option, str) else option or ()
    if not isinstance(texts, Iterable):
        return [str(texts)]
    return [one.strip() for text in texts for one in _BETWEEN.findall(str(text)) if one.strip()]


def reader_of(entry: str) -> str:
    """Whose address it is: the same for `Ada <ada@host>` and `ADA@host`."""
    named = _NAMED.fullmatch(entry)
    return (named[1] if named else entry).strip().lower()
