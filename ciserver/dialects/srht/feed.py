"""What somebody asked for as RSS 2.0."""

from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from ciserver.dialects.srht.words import STATE
from ciserver.edge.notes import note_html, plain
from ciserver.model.view import Submitted

MEDIA_TYPE = "application/rss+xml; charset=utf-8"
_ATOM = "http://www.w3.org/2005/Atom"


def feed(title: str, found: Iterable[Submitted], *, base: str, page: str, own: str) -> bytes:
    """`page` is the path of what is shown to people, `own` that of the feed, both with the query;
    `base` stands before every path.
    """
    rss = Element("rss", {"version": "2.0", "xmlns:atom": _ATOM})
    channel = SubElement(rss, "channel")
    _add(channel, "title", title)
    _add(channel, "link", base + page)
    _add(channel, "description", f"Builds: {title}")
    link = {"href": base + own, "rel": "self", "type": "application/rss+xml"}
    SubElement(channel, "atom:link", {name: plain(value) for name, value in link.items()})
    for one in found:
        _add_item(channel, one, base)
    text: bytes = tostring(rss, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def newest_change(found: Iterable[Submitted]) -> datetime | None:
    return max((one.build.updated_at for one in found), default=None)


def job_path(owner: str, job_id: int) -> str:
    return f"/~{quote(owner, safe='')}/job/{job_id}"


def _add_item(channel: Element, one: Submitted, base: str) -> None:
    build = one.build
    address = base + job_path(build.requested_by, build.id)
    item = SubElement(channel, "item")
    _add(item, "title", f"#{build.id} ({STATE[build.status]})")
    _add(item, "link", address)
    SubElement(item, "guid", {"isPermaLink": "true"}).text = address
    _add(item, "pubDate", format_datetime(build.queued_at, usegmt=True))
    # Readers take it for HTML.
    _add(item, "description", str(note_html(one.note or build.subject, base)))
    if one.tags:
        _add(item, "category", "/".join(one.tags))


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = plain(text)
