"""Notes of builds as HTML: their text, and its links. Anybody may have written them."""

import re

from markupsafe import Markup, escape

# `[text](address)`, or an address by itself. What markdown has beside that stays as it is written.
_LINK = re.compile(
    r"\[(?P<text>[^\[\]\n]{1,500})\]\((?P<named>[^\s()<>]{1,2000})\)"
    r"|(?P<bare>https?://[^\s<>\"'`\[\]()]{1,2000})"
)
_ADDRESS = re.compile(r"https?://[^/\s]|mailto:[^\s?]+$|/(?![/\\])", re.IGNORECASE)
_AFTERWARDS = ".,;:!?"  # ends the sentence, not the address
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_ANCHOR = Markup('<a href="{}" rel="nofollow noopener noreferrer">{}</a>')


def plain(text: str) -> str:
    """Without what neither HTML nor XML can hold."""
    return _UNFIT.sub("\ufffd", text)


def note_html(note: str, base: str = "") -> Markup:
    """The note with links to the web, to mail addresses, and to pages of ours: those begin with a
    slash, and `base` is put before them.
    """
    html, place, note = Markup(), 0, plain(note)
    for found in _LINK.finditer(note):
        html += escape(note[place : found.start()])
        html += _named(found, base) if found["named"] else _bare(found["bare"])
        place = found.end()
    return html + escape(note[place:])


def _named(found: re.Match[str], base: str) -> Markup:
    address = found["named"]
    if not _ADDRESS.match(address):
        return escape(found[0])
    return _ANCHOR.format(base + address if address.startswith("/") else address, found["text"])


def _bare(text: str) -> Markup:
    address = text.rstrip(_AFTERWARDS)
    return _ANCHOR.format(address, address) + escape(text[len(address) :])
