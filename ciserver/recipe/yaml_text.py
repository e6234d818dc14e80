"""YAML text to plain values, with limits, for text that strangers write.

Plain values are maps with text keys, lists, strings, numbers, true/false and nothing. What is
easily read wrongly stays the text that was written: dates, `22:30`, `0644`, `0x1f`, `1e5`. Keys are
always text, also `on` and `1`. Merging with `<<` works.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from ciserver.model.errors import Complaint, Invalid
from ciserver.model.frozen import frozen

MAX_BYTES = 256 * 1024
MAX_DEPTH = 50
MAX_NODES = 10_000

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {None, "!", f"{_TAG}str"}
_PLAIN_TAGS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float")}
_LIST_TAGS = {None, "!", f"{_TAG}seq"}
_MAP_TAGS = {None, "!", f"{_TAG}map"}

_CASES: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.capitalize)
_MEANINGS: tuple[tuple[str, bool | None], ...] = (
    *((word, None) for word in ("", "~", "null")),
    *((word, True) for word in ("true", "yes", "on")),
    *((word, False) for word in ("false", "no", "off")),
)
_WORDS: dict[str, bool | None] = {
    case(word): meaning for word, meaning in _MEANINGS for case in _CASES
}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 40

# JSON writes characters past U+FFFF as two escapes, which YAML has not.
_JSON_PAIR = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE
)


def load(text: bytes | str) -> Value:
    """The value of one YAML (or JSON) document; nothing for an empty one.

    Raises Invalid, each complaint with line and column, for text that is not UTF-8 or not YAML, is
    over the limits (aliases count as what they stand for), repeats a key, or uses tags of other
    than plain types. Time and memory stay small whatever the text is.
    """
    clear = _without_pairs(_decoded(text))
    reader = _Reader()
    try:
        for event in yaml.parse(clear, Loader=yaml.CSafeLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        reader.complaints.append(_syntax_fault(error))
    except yaml.reader.ReaderError as error:
        before = clear.encode()[: error.position].decode(errors="ignore")
        reader.complaints.append(_fault(*_end_of(before), error.reason))
    if reader.complaints:
        raise _refusal(*reader.complaints)
    return reader.root


def _decoded(text: bytes | str) -> str:
    """Bytes and text alike are measured in bytes and must be good UTF-8."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > MAX_BYTES:
            raise _refusal(_fault(1, 1, f"the text is longer than {MAX_BYTES // 1024} KiB"))
        return raw.decode("utf-8-sig")
    except UnicodeEncodeError as error:
        raise _refusal(_fault(*_end_of(str(text)[: error.start]), "not valid Unicode")) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(errors="ignore")
        raise _refusal(_fault(*_end_of(before), "not valid UTF-8")) from error


def _without_pairs(text: str) -> str:
    return _JSON_PAIR.sub(_joined, text) if text.lstrip().startswith("{") else text


def _joined(pair: re.Match[str]) -> str:
    halves = bytes.fromhex(pair[2] + pair[3])
    return pair[1] + halves.decode("utf-16-be")


def _end_of(before: str) -> tuple[int, int]:
    """Line and column, counted from 1, of what follows this text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _fault(line: int, column: int, message: str) -> Complaint:
    return Complaint("", f"line {line}, column {column}: {message}")


def _syntax_fault(error: yaml.MarkedYAMLError) -> Complaint:
    message = ", ".join(part for part in (error.problem, error.context) if part)
    mark = error.problem_mark or error.context_mark
    return _fault(mark.line + 1, mark.column + 1, message) if mark else _fault(1, 1, message)


def _refusal(*complaints: Complaint) -> Invalid:
    return Invalid(
        f"the text cannot be used as YAML: {complaints[0].message}",
        complaints=complaints,
        hint="Correct the text at the lines named.",
    )


def _plain(text: str) -> str | float | bool | None:
    """What an unquoted word means."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


@dataclass
class _Size:
    """How much was read, aliases written out."""

    nodes: int = 0
    characters: int = 0

    def __sub__(self, other: "_Size") -> "_Size":
        return _Size(self.nodes - other.nodes, self.characters - other.characters)

    def __add__(self, other: "_Size") -> "_Size":
        return _Size(self.nodes + other.nodes, self.characters + other.characters)


@frozen
class _Node:
    value: Value
    size: _Size
    height: int = 0  # levels of lists and maps in it
    text: str | None = None  # of a scalar, as written


@dataclass
class _Open:
    """A list or map whose end has not been read."""

    value: list[Value] | dict[str, Value]
    anchor: str | None
    before: _Size
    height: int = 1
    key: str | None = None  # read in a map, its value not yet
    merged: list[dict[str, Value]] = field(default_factory=list)


class _Reader:
    """Builds the value event by event, so that no limit is passed before it is noticed."""

    def __init__(self) -> None:
        self.root: Value = None
        self.complaints: list[Complaint] = []
        self._here = (1, 1)  # line and column of the event at hand
        self._size = _Size()
        self._open: list[_Open] = []
        self._anchors: dict[str, _Node] = {}
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if event.start_mark:
            self._here = (event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.DocumentStartEvent():
                self._begin_document()
            case yaml.ScalarEvent():
                self._take_scalar(event)
            case yaml.AliasEvent():
                self._take_alias(str(event.anchor))
            case yaml.SequenceStartEvent():
                self._check_tag(event.tag, _LIST_TAGS)
                self._begin([], event.anchor)
            case yaml.MappingStartEvent():
                self._check_tag(event.tag, _MAP_TAGS)
                self._begin({}, event.anchor)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end()

    def _complain(self, message: str) -> None:
        self.complaints.append(_fault(*self._here, message))

    def _refuse(self, message: str) -> NoReturn:
        self._complain(message)
        raise _refusal(*self.complaints)

    def _begin_document(self) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse("a second document begins here; one is allowed")

    def _check_tag(self, tag: str | None, allowed: set[str | None]) -> None:
        if tag not in allowed:
            self._complain(f"the tag {str(tag)[:80]!r} is not allowed here")

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_tag(event.tag, _TEXT_TAGS | _PLAIN_TAGS)
        text = event.value
        is_plain = event.implicit[0] if event.tag is None else event.tag in _PLAIN_TAGS
        node = _Node(_plain(text) if is_plain else text, _Size(1, len(text)), text=text)
        self._grow(node)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._place(node)

    def _take_alias(self, anchor: str) -> None:
        node = self._anchors.get(anchor)
        if node is None:
            self._refuse(f"*{anchor[:80]} names nothing that ends before it")
        self._grow(node)
        self._place(node)

    def _begin(self, value: list[Value] | dict[str, Value], anchor: str | None) -> None:
        before = self._size
        self._grow(_Node(None, _Size(1, 0), height=1))
        if anchor:
            self._anchors.pop(anchor, None)
        self._open.append(_Open(value, anchor, before))

    def _end(self) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            for merged in done.merged:
                for key, value in merged.items():
                    done.value.setdefault(key, value)
        node = _Node(done.value, self._size - done.before, done.height)
        if done.anchor:
            self._anchors[done.anchor] = node
        self._place(node)

    def _grow(self, node: _Node) -> None:
        self._size += node.size
        if len(self._open) + node.height > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} levels deep")
        if self._size.nodes > MAX_NODES:
            self._refuse(f"more than {MAX_NODES} values, aliases counted as written out")
        if self._size.characters > MAX_BYTES:
            self._refuse(f"longer than {MAX_BYTES // 1024} KiB with its aliases written out")

    def _place(self, node: _Node) -> None:
        if not self._open:
            self.root = node.value
            return
        parent = self._open[-1]
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent.value, list):
            parent.value.append(node.value)
        elif parent.key is None:
            parent.key = self._key(node, parent.value)
        else:
            self._fill(parent, parent.value, parent.key, node.value)
            parent.key = None

    def _key(self, node: _Node, siblings: dict[str, Value]) -> str:
        if node.text is None:
            self._refuse("a key must be a word, not a list or map")
        if node.text in siblings:
            self._complain(f"the key {node.text[:80]!r} is given twice")
        return node.text

    def _fill(self, parent: _Open, siblings: dict[str, Value], key: str, value: Value) -> None:
        if key != "<<":
            siblings[key] = value
            return
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                parent.merged.append(one)
            else:
                self._complain("<< takes a map or a list of maps")
