"""Log bytes into lines of HTML: colors stay, whatever else a terminal would obey goes.

Output of a build is written by strangers. Nothing of it reaches a page but escaped text inside
spans whose classes come from this file. A log may arrive in pieces cut at any byte; however it is
cut, the lines are the same.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from markupsafe import Markup

from ciserver.model.frozen import frozen

LINE_LIMIT = 16_384  # bytes; a longer line goes on in the next piece, without a number


class Style(NamedTuple):
    """How text looks; colors are 0 to 15, -1 is the page's own."""

    foreground: int = -1
    background: int = -1
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False

    def classes(self) -> str:
        names = [name for name in _ATTRIBUTES if getattr(self, name)]
        front, back = self.foreground, self.background
        if self.inverse:
            front, back = back, front
        if front >= 0 or self.inverse:
            names.append(f"f{front}" if front >= 0 else "fi")
        if back >= 0 or self.inverse:
            names.append(f"b{back}" if back >= 0 else "bi")
        return " ".join(names)

    def codes(self) -> str:
        """The SGR parameters that lead from plain text to this."""
        codes = [code for name, code in _ATTRIBUTES.items() if getattr(self, name)]
        for color, normal, bright in ((self.foreground, 30, 90), (self.background, 40, 100)):
            if color >= 0:
                codes.append(normal + color if color < 8 else bright + color - 8)
        return ";".join(map(str, codes))


PLAIN = Style()
_ATTRIBUTES = {"bold": 1, "dim": 2, "italic": 3, "underline": 4, "inverse": 7}
_CHANGES: dict[int, dict[str, Any]] = {
    **{code: {name: True} for name, code in _ATTRIBUTES.items()},
    **{code + 20: {name: False} for name, code in _ATTRIBUTES.items() if code > 2},
    22: {"bold": False, "dim": False},
    39: {"foreground": -1},
    49: {"background": -1},
    **{30 + n: {"foreground": n} for n in range(8)},
    **{40 + n: {"background": n} for n in range(8)},
    **{90 + n: {"foreground": 8 + n} for n in range(8)},
    **{100 + n: {"background": 8 + n} for n in range(8)},
}
_PALETTE = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0)),
    *((0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0)),
    *((92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255)),
)

# Each part stops at the next ESC, so the whole stays linear in the length of the line.
_TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS and their like: links, titles
    r"|\x1b[ -/]*[0-~]"
    r"|(?P<control>[\r\b])"
    r"|(?P<text>[^\x1b\r\b]+|\x1b)"
)
_CUT_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)\Z")
_ESCAPE_REACH = 256
_HIDDEN = (0x061C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF)
_VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(0x20) if code != 0x09},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **{
        code: f"[U+{code:04X}]"
        for code in (*_HIDDEN, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    },
    **{code: f"[U+{code:04X}]" for code in range(0xE0000, 0xE0080)},
}


@frozen
class AnsiState:
    """What one piece of a log leaves for the next: the style, and the line not yet ended.
    `continued` says that the line's number has been shown already.
    """

    style: Style = PLAIN
    continued: bool = False
    pending: bytes = b""

    def to_text(self) -> str:
        """The state without its pending bytes, short enough for a query parameter."""
        return ("~" if self.continued else "") + self.style.codes()

    @classmethod
    def from_text(cls, text: str) -> "AnsiState":
        """The state that `to_text` wrote; text that it never wrote counts for nothing."""
        short = text[:64]
        return cls(_restyled(PLAIN, short.removeprefix("~")), short.startswith("~"))


START = AnsiState()


@frozen
class RenderedLog:
    html: Markup
    state: AnsiState
    next_line: int


def render_log(
    content: bytes, state: AnsiState = START, first_line: int = 1, *, complete: bool = False
) -> RenderedLog:
    """The lines that end in `content`, as HTML safe to put on a page.

    A line that has not ended waits in the state that is returned, at most LINE_LIMIT bytes of it,
    unless `complete` says that nothing follows.
    """
    everything = state.pending + content
    end = len(everything) if complete else everything.rfind(b"\n") + 1
    writer = _Writer(state, first_line)
    writer.add_lines(everything[:end])
    rest = writer.add_pieces(everything[end:])
    return RenderedLog(
        html=Markup("".join(writer.parts)),  # noqa: S704  # built from escaped text alone
        state=AnsiState(writer.style, writer.continued, rest),
        next_line=writer.line,
    )


class _Writer:
    """Collects the HTML of lines and keeps what carries over from one to the next."""

    def __init__(self, state: AnsiState, line: int) -> None:
        self.parts: list[str] = []
        self.style = state.style
        self.continued = state.continued
        self.line = line

    def add_lines(self, block: bytes) -> None:
        """Add whole lines; only the last may lack its line feed."""
        rows = block.removesuffix(b"\n").split(b"\n") if block else []
        if rows and self._add_plain(block, max(map(len, rows))):
            return
        for row in rows:
            last = self.add_pieces(row)
            self._add(last.removesuffix(b"\r"))
            self.continued = False
            self.line += 1

    def _add_plain(self, block: bytes, widest: int) -> bool:
        """Add whole lines in one go; False when they hold anything but plain text."""
        text = block.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\n")
        simple = text.replace("\n", "").replace("\t", "").isprintable()
        if not simple or widest > LINE_LIMIT or self.continued or self.style != PLAIN:
            return False
        rows = escape(text, quote=False).split("\n")
        self.parts += [
            f'<span class="l" id="L{n}"><a href="#L{n}" tabindex="-1">{n}</a>{row}\n</span>'
            for n, row in enumerate(rows, self.line)
        ]
        self.line += len(rows)
        return True

    def add_pieces(self, row: bytes) -> bytes:
        """Add the full pieces of a long line and return what is left of it."""
        *full, rest = _pieces(row)
        for piece in full:
            self._add(piece)
            self.continued = True
        return rest

    def _add(self, piece: bytes) -> None:
        body, self.style = _painted(piece.decode("utf-8", "replace"), self.style)
        n = self.line
        self.parts.append(
            f'<span class="l more">{body}\n</span>'
            if self.continued
            else f'<span class="l" id="L{n}"><a href="#L{n}" tabindex="-1">{n}</a>{body}\n</span>'
        )


def _pieces(row: bytes) -> Iterator[bytes]:
    start = 0
    while len(row) - start > LINE_LIMIT:
        end = _cut(row, start + LINE_LIMIT)
        yield row[start:end]
        start = end
    yield row[start:] if start else row


def _cut(row: bytes, at: int) -> int:
    """The last place up to `at` that splits neither a character nor a short escape sequence."""
    end = at
    while at - end < 3 and row[end] & 0xC0 == 0x80:
        end -= 1
    broken = _CUT_ESCAPE.search(row, end - _ESCAPE_REACH, end)
    return broken.start() if broken else end


def _painted(text: str, style: Style) -> tuple[str, Style]:
    """One line as HTML, and the style in which it ends."""
    if text.isprintable() or text.replace("\t", "").isprintable():
        return _span(text, style), style
    row = _Row(style)
    for token in _TOKEN.finditer(text):
        row.obey(token)
    return row.html(), row.style


def _span(text: str, style: Style) -> str:
    safe = escape(text, quote=False)
    return safe if style is PLAIN or not text else f'<span class="{style.classes()}">{safe}</span>'


class _Row:
    """One line of a terminal: text overwrites what stands under the cursor."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.cells: list[str] = []
        self.styles: list[Style] = []
        self.cursor = 0

    def obey(self, token: re.Match[str]) -> None:
        match token.lastgroup:
            case "text":
                self._write(token[0].translate(_VISIBLE))
            case "control":
                self.cursor = 0 if token[0] == "\r" else max(0, self.cursor - 1)
            case "final" if token["final"] == "m":
                self.style = _restyled(self.style, token["parameters"])
            case "final" if token["final"] == "K":
                self._erase(token["parameters"])

    def html(self) -> str:
        runs = groupby(zip(self.styles, self.cells, strict=True), key=itemgetter(0))
        return "".join(_span("".join(map(itemgetter(1), run)), style) for style, run in runs)

    def _write(self, text: str) -> None:
        end = self.cursor + len(text)
        self.cells[self.cursor : end] = text
        self.styles[self.cursor : end] = [self.style] * len(text)
        self.cursor = end

    def _erase(self, parameters: str) -> None:
        """Forget the cells from the cursor on; with a parameter, those before it become blank."""
        if parameters in {"", "0", "2"}:
            del self.cells[self.cursor :], self.styles[self.cursor :]
        if parameters in {"1", "2"}:
            width = min(self.cursor, len(self.cells))
            self.cells[:width] = " " * width
            self.styles[:width] = [PLAIN] * width


@lru_cache(maxsize=512)
def _restyled(style: Style, parameters: str) -> Style:
    """The style after an SGR sequence; parameters that make no sense are passed over."""
    if parameters[:1] in set("<=>?"):  # a private sequence that only ends like SGR
        return style
    groups = iter(parameters.split(";"))
    for group in groups:
        code, *parts = map(_number, group.split(":"))
        if code == 0:
            style = PLAIN
        elif code in {38, 48}:
            color = _color(parts or _color_parts(groups))
            style = (
                style._replace(foreground=color) if code == 38 else style._replace(background=color)
            )
        elif parts == [0]:  # 4:0 is "no underline"
            style = style._replace(**_CHANGES.get(code + 20, {}))
        else:
            style = style._replace(**_CHANGES.get(code, {}))
    return PLAIN if style == PLAIN else style


def _number(text: str) -> int:
    if not text:
        return 0
    return int(text) if len(text) <= 3 and text.isascii() and text.isdigit() else -1


def _color_parts(groups: Iterator[str]) -> list[int]:
    mode = _number(next(groups, ""))
    wanted = {5: 1, 2: 3}.get(mode, 0)
    return [mode, *(_number(next(groups, "")) for _ in range(wanted))]


def _color(parts: list[int]) -> int:
    """The nearest of the sixteen for `5, index` or `2, red, green, blue`; -1 for anything else."""
    mode, *values = parts
    if mode == 5 and values:
        return _indexed(values[-1])
    if mode == 2 and len(values) >= 3:  # the colon form may name a color space first
        return _nearest(*values[-3:])
    return -1


def _indexed(index: int) -> int:
    if index < 16:
        return index
    if index < 232:
        cube = index - 16
        levels = (0, 95, 135, 175, 215, 255)
        return _nearest(levels[cube // 36], levels[cube // 6 % 6], levels[cube % 6])
    if index < 256:
        return _nearest(*[8 + 10 * (index - 232)] * 3)
    return -1


@lru_cache(maxsize=512)
def _nearest(red: int, green: int, blue: int) -> int:
    def distance(index: int) -> int:
        r, g, b = _PALETTE[index]
        return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2

    return min(range(16), key=distance)
