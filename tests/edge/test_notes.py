"""Notes as HTML: the text stays text, and links lead to the web, to mail, and to our own pages."""

import time
from html.parser import HTMLParser

import pytest

from ciserver.edge.notes import note_html, plain


class Shown(HTMLParser):
    """What a browser makes of it: addresses of links, other tags, text."""

    def __init__(self, html):
        super().__init__()
        self.links, self.others, self.text = [], [], ""
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "a" and attributes.keys() == {"href", "rel"}:
            self.links.append(attributes["href"])
        else:
            self.others.append((tag, attrs))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("note", "links", "text"),
    [
        ("Add a thing", [], "Add a thing"),
        ("See https://example.org/a?b=c&d.", ["https://example.org/a?b=c&d"], None),
        ("(https://example.org/)", ["https://example.org/"], "(https://example.org/)"),
        ("[abc](https://example.org/x) it", ["https://example.org/x"], "abc it"),
        ("[Ada](mailto:ada@example.org)", ["mailto:ada@example.org"], "Ada"),
        ("Again [#7](/build/7)", ["/build/7"], "Again #7"),
        (
            "[a](https://e.org) and [b](https://f.org)",
            ["https://e.org", "https://f.org"],
            "a and b",
        ),
        ("**bold** `code`\n\n# title", [], None),
    ],
)
def test_links(note, links, text):
    """Named or bare; what else markdown has stays as it is written."""
    shown = Shown(note_html(note))
    assert (shown.links, shown.others, shown.text) == (links, [], note if text is None else text)


@pytest.mark.parametrize(
    "note",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](JavaScript:alert)",
        "[x](data:text/html,<script>)",
        "[x](//evil.example.org/)",
        "[x](/\\evil.example.org/)",
        "[x](vbscript:x)",
        "[x](mailto:a@b?bcc=c@d)",
        '[x](ftp://a/"onmouseover="x)',
        "[<img src=x onerror=y>](x)",
    ],
)
def test_nothing_else_is_a_link_or_a_tag(note):
    """It is shown as it is written."""
    shown = Shown(note_html(note))
    assert (shown.links, shown.others, shown.text) == ([], [], note)


def test_a_link_holds_what_it_was_given():
    """Neither its address nor its text leaves its place."""
    shown = Shown(note_html('[<b>"x"</b>](https://e.org/"onclick="y)'))
    assert (shown.links, shown.others) == (['https://e.org/"onclick="y'], [])
    assert shown.text == '<b>"x"</b>'


def test_our_own_pages_elsewhere():
    """In a feed they need the whole address."""
    assert Shown(note_html("[#7](/build/7)", "http://ci")).links == ["http://ci/build/7"]


def test_what_is_no_text_is_marked():
    """XML would not hold it."""
    assert plain("a\0b\x1bc\ud800\uffff\n\t") == "a\ufffdb\ufffdc\ufffd\ufffd\n\t"
    assert "\0" not in note_html("a\0b")


@pytest.mark.parametrize("piece", ["[", "[a](", "[a](b", "https://", "](", "[a]\n(", "mailto:"])
def test_nothing_hostile_takes_long(piece):
    """A long note is read in one go."""
    began = time.process_time()
    note_html(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 2
