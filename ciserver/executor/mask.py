"""Secrets are kept out of logs: a stream of bytes in, the same stream with `***` in their place."""

import base64
import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 4
STARS = b"***"
_LINE_WIDTHS = (64, 76)
_LONG, _LONG_HEAD = 256, 16
_FEW = 8  # are found faster one by one than by a pattern
# The bytes that logs are full of, the fullest last; all others are rare.
_COMMON = b"'\"\nzqj=x):(,9876543210_/.-kvbwygpfmucdlrhsniotae "


class Mask:
    """Replaces secrets in a stream, however the stream is cut into chunks.

    A secret is found as it is, URL-encoded, JSON-escaped, as the shell traces it, in base64 at any
    alignment, and line by line. Only the beginning of a possible secret is held back, and no longer
    than until the next bytes decide; everything else passes at once.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = tuple(dict.fromkeys(secrets))
        self._too_short = tuple(one for one in known if len(one) < SHORTEST)
        self._needles = sorted({needle for one in known for needle in _needles(one)})
        self._longest = max(map(len, self._needles), default=0)
        self._long_heads = {one[:_LONG_HEAD] for one in self._needles if len(one) > _LONG}
        self._found = re.compile(_any_of(self._needles)) if self._needles else None
        self._may_hold_one = _hint(self._needles)
        heads = sorted({needle[:SHORTEST] for needle in self._needles})
        self._head = re.compile(b"(?=" + _any_of(heads) + b")")
        self._held = b""

    @property
    def too_short(self) -> tuple[str, ...]:
        """The secrets that are not masked because they would be found everywhere."""
        return self._too_short

    def feed(self, chunk: bytes) -> bytes:
        """What may be shown of the stream so far and was not given before."""
        if self._found is None:
            return chunk
        stream = self._held + chunk if self._held else chunk
        shown: list[bytes] = []
        at, hold = 0, self._first_open(stream, 0)
        may_hold_one = self._may_hold_one(stream)
        while may_hold_one and (match := self._found.search(stream, at)) and match.start() < hold:
            shown += (stream[at : match.start()], STARS)
            at = match.end()
            if hold < at:
                hold = self._first_open(stream, at)
        self._held = stream[hold:]
        return b"".join((*shown, stream[at:hold])) if shown or self._held else stream

    def close(self) -> bytes:
        """The end of the stream: what was held back. The mask may then begin another stream."""
        rest, self._held = self._held, b""
        return self._found.sub(STARS, rest) if self._found else rest

    def text(self, text: str) -> str:
        """One whole text, masked, beside the stream."""
        if self._found is None:
            return text
        return self._found.sub(STARS, text.encode(errors="replace")).decode(errors="replace")

    def _first_open(self, stream: bytes, start: int) -> int:
        """Where the first beginning of a secret stands that the end of the stream cuts off."""
        return min(
            self._first_long(stream, max(start, len(stream) - self._longest + 1)),
            self._first_short(stream, max(start, len(stream) - _LONG + 1)),
        )

    def _first_long(self, stream: bytes, start: int) -> int:
        """Of long ones, of which there are few: what is looked through may be large."""
        first = len(stream)
        for head in self._long_heads:
            at = stream.find(head, start)
            while 0 <= at < first and not self._begins(stream[at:]):
                at = stream.find(head, at + 1)
            first = min(first, at) if at >= 0 else first
        return first

    def _first_short(self, stream: bytes, start: int) -> int:
        end = len(stream)
        for match in self._head.finditer(stream, start):
            if self._begins(stream[match.start() :]):
                return match.start()
        for at in range(max(start, end - SHORTEST + 1), end):
            if self._begins(stream[at:]):
                return at
        return end

    def _begins(self, tail: bytes) -> bool:
        at = bisect_left(self._needles, tail)
        while at < len(self._needles) and self._needles[at].startswith(tail):
            if self._needles[at] != tail:
                return True
            at += 1
        return False


def _needles(secret: str) -> Iterator[bytes]:
    if len(secret) < SHORTEST:
        return
    for text in (secret, *secret.splitlines()):
        if len(text) >= SHORTEST:
            yield from _written(text)
    plain = secret.encode(errors="surrogateescape")
    for alignment in range(3):
        yield from _base64(plain, alignment)
    yield from _base64_lines(plain)


def _written(text: str) -> Iterator[bytes]:
    """The text as it is, and as shells, addresses and JSON have it."""
    plain = text.encode(errors="surrogateescape")
    yield plain
    yield plain.replace(b"'", b"'\\''")
    for quoted in (quote(plain), quote(plain, safe=""), quote_plus(plain)):
        yield quoted.encode()
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode(errors="surrogateescape")


def _base64_lines(plain: bytes) -> Iterator[bytes]:
    """As programs break it into lines: `base64` after 76 characters, others after 64."""
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        encoded = encode(plain)
        for width in _LINE_WIDTHS:
            for at in range(0, len(encoded), width):
                line = encoded[at : at + width]
                if width < len(encoded) and len(line) >= SHORTEST:
                    yield line


def _base64(plain: bytes, alignment: int) -> Iterator[bytes]:
    """The characters that depend on the secret alone when `alignment` bytes stand before it,
    with other bytes behind it and at the end of the text.
    """
    first = (0, 2, 3)[alignment]
    behind_last = (alignment + len(plain)) * 8 // 6
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        encoded = encode(bytes(alignment) + plain)
        yield encoded[first:behind_last]
        yield encoded[first:]


def _hint(needles: list[bytes]) -> Callable[[bytes], object]:
    """What tells of a text whether it may hold one of these."""
    parts = _rare_parts(needles)
    if len(parts) > _FEW:
        return re.compile(_any_of(parts)).search
    return lambda text: any(part in text for part in parts)


def _rare_parts(needles: list[bytes]) -> list[bytes]:
    """A few bytes of each of these, beginning with one that is rare in logs: where no such part
    stands, none of the needles does, and that is found out much faster.
    """
    chosen: set[bytes] = set()
    for needle in sorted(needles, key=len):
        starts = range(len(needle) - SHORTEST + 1)
        if not any(needle[at : at + SHORTEST] in chosen for at in starts):
            best = min(starts, key=lambda at: _COMMON.find(needle[at : at + 1]))
            chosen.add(needle[best : best + SHORTEST])
    return sorted(chosen)


def _any_of(needles: list[bytes]) -> bytes:
    """A pattern for the longest of these, with common beginnings shared: a plain alternation of
    the lines of a long key would try each of them at every byte.
    """
    groups: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for needle in needles:
        groups[needle[:1]].append(needle)
    ends_here = groups.pop(b"", None) is not None
    branches = [_shared(group) for group in groups.values()]
    if ends_here:
        branches.append(b"")
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


def _shared(group: list[bytes]) -> bytes:
    if len(group) == 1:
        return re.escape(group[0])
    low, high = min(group), max(group)
    size = next((at for at, byte in enumerate(low) if byte != high[at]), len(low))
    return re.escape(low[:size]) + _any_of([needle[size:] for needle in group])
