"""Log bytes as HTML: what is kept, what is taken out, and that nothing gets through."""

import re
import time
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciserver.web.ansi import LINE_LIMIT, START, AnsiState, Style, render_log

ALLOWED_CLASSES = {
    *("l", "more", "bold", "dim", "italic", "underline", "inverse", "fi", "bi"),
    *(f"{side}{number}" for side in "fb" for number in range(16)),
}
PIECES = (
    *(b"\x1b", b"\x1b[", b"\x1b[1m", b"\x1b[0m", b"\x1b[38;2;1;2;3m", b"\x1b[48:5:9m", b"\x1b[K"),
    *(b"\x1b]8;;javascript:alert(1)\x07", b"\x1b]0;title\x1b\\", b"\x1bP", b"\x9b31m", b"\x1b[2J"),
    *(b"<script>", b"</span>", b'" onload="', b"&lt;", b"&", b"\r", b"\n", b"\r\n", b"\b", b"\t"),
    *("\u202eevil\u2066".encode(), "\u00e4\u2713".encode(), b"\xff\xc3", b"\x00", b"text", b"m;"),
)
logs = st.one_of(
    st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
)


class Checker(HTMLParser):
    """Refuses every tag, attribute and value that a log line may not have."""

    def __init__(self, html):
        super().__init__()
        self.depth = 0
        self.feed(html)
        self.close()
        assert self.depth == 0

    def handle_starttag(self, tag, attrs):
        self.depth += 1
        values = dict(attrs)
        if tag == "a":
            assert re.fullmatch(r"#L\d+", values.pop("href"))
            assert values == {"tabindex": "-1"}
            return
        assert tag == "span"
        assert set(values.pop("class").split()) <= ALLOWED_CLASSES
        assert set(values) <= {"id"}
        assert re.fullmatch(r"L\d+", values.get("id", "L1"))

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_startendtag(self, tag, attrs):
        raise AssertionError(tag)

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


def lines(content):
    """The inner HTML of each line, without number and line feed."""
    html = render_log(content, complete=True).html
    return re.findall(r'<span class="l[^>]*>(?:<a [^>]*>\d+</a>)?(.*?)\n</span>', html, re.DOTALL)


def text(content):
    return [unescape(re.sub(r"<[^>]*>", "", one)) for one in lines(content)]


@given(logs)
def test_hostile_bytes_never_leave_the_allowed_markup(content):
    """Whatever a build writes, the page gets only our spans, classes and anchors."""
    Checker(render_log(content, complete=True).html)


@given(logs)
def test_nothing_invisible_gets_through(content):
    """No control, bidi or escape character of the log reaches the page."""
    html = render_log(content, complete=True).html
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)


@given(logs, st.lists(st.integers(0, 400), max_size=6))
def test_lines_are_the_same_however_the_log_is_cut(content, cuts):
    """Chunks may end within a line, a character or an escape sequence."""
    html, state, line = "", START, 1
    edges = sorted({0, *(min(cut, len(content)) for cut in cuts)})
    for start, end in zip(edges, [*edges[1:], len(content)], strict=True):
        log = render_log(content[start:end], state, line, complete=end == len(content))
        html, state, line = html + log.html, log.state, log.next_line
    whole = render_log(content, complete=True)
    assert (html, line) == (whole.html, whole.next_line)
    assert state == whole.state


@given(st.builds(Style, st.integers(-1, 15), st.integers(-1, 15), *[st.booleans()] * 5))
def test_a_state_survives_a_query_parameter(style):
    """The style goes through text and back unchanged."""
    state = AnsiState(style, continued=True)
    assert AnsiState.from_text(state.to_text()) == state


@pytest.mark.parametrize(
    "parameter", ["<script>", "~~~", "9" * 5000, "38;5;777", "\u0661;-1", ";" * 99]
)
def test_a_forged_state_counts_for_nothing(parameter):
    """A query parameter that this program never wrote gives plain text and no error."""
    assert AnsiState.from_text(parameter).style == START.style


@pytest.mark.parametrize(
    ("content", "html"),
    [
        (b"a < b & c", "a &lt; b &amp; c"),
        (b"\x1b[31mred\x1b[0m", '<span class="f1">red</span>'),
        (b"\x1b[1;4;92mx\x1b[22;24my", '<span class="bold underline f10">x</span>'),
        (b"\x1b[2;3mx", '<span class="dim italic">x</span>'),
        (b"\x1b[31;7mx", '<span class="inverse fi b1">x</span>'),
        (b"\x1b[7mx", '<span class="inverse fi bi">x</span>'),
        (b"\x1b[38;5;196mx", '<span class="f9">x</span>'),
        (b"\x1b[38;5;244mx", '<span class="f8">x</span>'),
        (b"\x1b[48;2;0;0;230mx", '<span class="b4">x</span>'),
        (b"\x1b[38:2::255:250:5mx", '<span class="f11">x</span>'),
        (b"\x1b[38;5;999mx", "x"),
        (b"\x1b[4:3mx", '<span class="underline">x</span>'),
        (b"\x1b[4m\x1b[4:0mx", "x"),
        (b"\x1b[>4;2mx", "x"),
        (b"\x1b[mx\x1b[31m", "x"),
    ],
)
def test_colors_become_classes(content, html):
    """Sixteen colors and the usual attributes are kept; finer ones go to the nearest."""
    assert lines(content)[0].startswith(html)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"10%\r55%\r100%", "100%"),
        (b"abcdef\rxy", "xycdef"),
        (b"section_start:1:setup\r\x1b[0KSetup", "Setup"),
        (b"abc\x1b[2Kd", "   d"),
        (b"ab\b\bc", "cb"),
        (b"dos line\r\n", "dos line"),
        (b"a\tb", "a\tb"),
        (b"\x1b]8;;javascript:alert(1)\x07here\x1b]8;;\x07", "here"),
        (b"\x1b]0;title\x1b\\after", "after"),
        (b"\x1bP1$r\x1b\\after\x1b(B", "after"),
        (b"up\x1b[3A\x1b[10;10Hdown\x1b[?25l", "updown"),
        (b"\x1b]0;never ended", "0;never ended"),
        (b"nul\x00bell\x07end\x1b", "nul\u2400bell\u2407end\u241b"),
        ("safe\u202eevil\u2066".encode(), "safe[U+202E]evil[U+2066]"),
        (b"\xff\xfe caf\xc3\xa9 \xc3", "\ufffd\ufffd caf\u00e9 \ufffd"),
        ("\u009b31mx".encode(), "\ufffd31mx"),
    ],
)
def test_what_a_terminal_would_obey_is_done_shown_or_dropped(content, shown):
    """Overwriting works; links, titles and cursor moves go; hidden characters become visible."""
    assert text(content) == [shown]


def test_lines_are_numbered_and_can_be_linked():
    """Each line has its number as an anchor, counted on from the first."""
    log = render_log(b"one\n\ntwo\nthr", first_line=7)
    assert log.html == (
        '<span class="l" id="L7"><a href="#L7" tabindex="-1">7</a>one\n</span>'
        '<span class="l" id="L8"><a href="#L8" tabindex="-1">8</a>\n</span>'
        '<span class="l" id="L9"><a href="#L9" tabindex="-1">9</a>two\n</span>'
    )
    assert (log.next_line, log.state.pending) == (10, b"thr")


def test_a_color_lasts_until_it_is_ended():
    """Like in a terminal, a style goes on over the end of a line."""
    assert lines(b"\x1b[31mone\ntwo\n\x1b[0mthree") == [
        *('<span class="f1">one</span>', '<span class="f1">two</span>', "three"),
    ]


def test_an_endless_line_comes_in_bounded_pieces():
    """A line of ten megabytes keeps one number, loses nothing and holds no memory."""
    content = "\u00e4".encode() * 5_000_000
    log = render_log(content)
    assert len(log.state.pending) <= LINE_LIMIT
    assert log.html.count(' id="') == 1
    assert log.state.continued
    pieces = text(content + b"\nnext")
    assert "".join(pieces) == "\u00e4" * 5_000_000 + "next"
    assert max(len(one.encode()) for one in pieces) <= LINE_LIMIT


@pytest.mark.parametrize("distance", range(6))
def test_a_piece_does_not_break_an_escape_sequence(distance):
    """Where a long line is cut, a color is still a color."""
    content = b"x" * (LINE_LIMIT - distance) + b"\x1b[31mred"
    assert "".join(text(content)).strip("x") == "red"
    assert lines(content)[-1].endswith('<span class="f1">red</span>')


def test_plain_text_is_fast():
    """Ten megabytes of ordinary output take well under a second of processor time."""
    content = b"compiling <module> with the usual flags and a few more words to fill it\n" * 140_000
    start = time.process_time()
    log = render_log(content)
    assert time.process_time() - start < 1
    assert log.next_line == 140_001


@pytest.mark.parametrize(
    "attack", [b"\x1b]", b"\x1b[1;", b"\r10%", b"\x1b[3mx", b"\x1b[38;2;1;2;3m"]
)
def test_hostile_text_costs_little(attack):
    """No sequence makes the time grow faster than the log."""
    start = time.process_time()
    render_log(attack * (500_000 // len(attack)), complete=True)
    assert time.process_time() - start < 2
