"""Which names files may have in a work tree."""

import os
import unicodedata
from urllib.parse import unquote, urlsplit

_RESERVED = frozenset({"", ".", "..", ".git", "git~1"})
_LONGEST_NAME = 255


def is_reserved(name: bytes) -> bool:
    """Whether nothing in a work tree may have this name."""
    return b"/" in name or b"\0" in name or b"\\" in name or _plain(name) in _RESERVED


def _plain(name: bytes) -> str:
    """The name as the most careless file system would take it."""
    text = name.decode("utf-8", "surrogateescape")
    if not text.isascii():
        text = "".join(one for one in text if unicodedata.category(one) != "Cf")
    if text in {".", ".."}:
        return text
    return text.partition(":")[0].rstrip(" .").casefold()


def file_name(url: str) -> str:
    """The name of the file that a URL is: the last part of its path."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    encoded = os.fsencode(name)
    return "content" if is_reserved(encoded) or len(encoded) > _LONGEST_NAME else name
