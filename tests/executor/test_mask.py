"""Secrets never pass a mask; everything else does, at once."""

import base64
import json
import time
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciserver.executor.mask import Mask

# Few letters make near misses likely; no star, for then the stars themselves could spell a secret.
LETTERS = st.text("ab%'\"\\ \né", min_size=4, max_size=12)


def passed(mask, stream, cuts):
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    return b"".join(map(mask.feed, chunks)) + mask.close()


def forms(secret):
    plain = secret.encode()
    yield plain
    yield from (line.encode() for line in secret.splitlines() if len(line) >= 4)
    yield from (quote(plain).encode(), quote(plain, safe="").encode(), quote_plus(plain).encode())
    yield json.dumps(secret)[1:-1].encode()
    yield plain.replace(b"'", b"'\\''")


@given(
    st.lists(LETTERS, min_size=1, max_size=4),
    st.lists(st.one_of(st.integers(0, 40), st.binary(max_size=6)), max_size=8),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_no_form_of_any_secret_passes(secrets, parts, cuts):
    """However the secrets are written, whatever stands between, wherever the stream is cut."""
    written = [form for secret in secrets for form in forms(secret)]
    stream = b"".join(
        part.replace(b"*", b"") if isinstance(part, bytes) else written[part % len(written)]
        for part in parts
    )
    shown = passed(Mask(secrets), stream, cuts)
    assert not [form for form in written if form in shown]


@given(st.binary(min_size=0, max_size=5), st.binary(max_size=5), st.lists(st.integers(0, 99)))
def test_base64_is_masked_at_any_alignment(before, after, cuts):
    """What the secret decides of the encoded text never passes."""
    secret = "correct horse battery"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = passed(Mask([secret]), encode(before + secret.encode() + after), cuts)
        assert b"***" in shown
        assert len(shown) <= 4 * (len(before) + len(after) + 6) // 3 + 8


@given(LETTERS, st.text("xyz \n", max_size=60), st.lists(st.integers(0, 99), max_size=6))
def test_text_without_secrets_is_unchanged(secret, text, cuts):
    """Nothing is lost, doubled or moved."""
    mask = Mask([f"q{secret}"])
    assert passed(mask, text.encode(), cuts) == text.encode()


def test_a_line_without_the_beginning_of_a_secret_passes_at_once():
    """Live logs do not wait: only the beginning of a secret at the very end is held back."""
    mask = Mask(["hunter22"])
    assert mask.feed(b"compiling...\n") == b"compiling...\n"
    assert mask.feed(b"the hunter") == b"the "
    assert mask.feed(b" came\n") == b"hunter came\n"
    assert mask.feed(b"hun") == b""
    assert mask.feed(b"ter22!\n") == b"***!\n"


def test_the_longer_of_two_secrets_is_awaited():
    """A secret that begins another one is hidden whether or not the other follows."""
    mask = Mask(["hunter22", "hunter22-prod"])
    assert mask.feed(b"hunter22-prod hunter22 hunter22") == b"*** *** "
    assert mask.feed(b"-pro") == b""
    assert mask.close() == b"***-pro"


def test_secrets_are_hidden_line_by_line():
    """A key that is printed with an indent is hidden too."""
    mask = Mask(["-----BEGIN KEY-----\nabcdefgh\nxy\n-----END KEY-----\n"])
    shown = mask.feed(b"  -----BEGIN KEY-----\n  abcdefgh\n  xy\n  -----END KEY-----\n")
    assert shown + mask.close() == b"  ***\n  ***\n  xy\n  ***\n"


def test_lines_are_hidden_however_they_are_written():
    """Each by itself, as the whole is."""
    mask = Mask(['one line\nit\'s "a" s3cret/é\n'])
    line = 'it\'s "a" s3cret/é'
    for form in (quote(line, safe=""), json.dumps(line)[1:-1], line.replace("'", "'\\''")):
        assert mask.feed(f"<{form}>\n".encode()) == b"<***>\n"


@pytest.mark.parametrize("size", [200, 255, 256, 257, 300, 5_000])
def test_a_long_secret_is_awaited_wherever_it_is_cut(size):
    """Also behind another beginning of it, and what only begins like it passes in the end."""
    secret = "".join(chr(33 + number * 7 % 90) for number in range(size))
    plain, near = secret.encode(), secret[: size // 2].encode()
    for cut in {1, 15, 16, 17, size // 2, size - 257, size - 1} & set(range(1, size)):
        mask = Mask([secret])
        shown = mask.feed(b"<" + near + plain[:cut])
        shown += mask.feed(plain[cut:] + b">" + near)
        assert shown + mask.close() == b"<" + near + b"***>" + near


@pytest.mark.parametrize("before", range(1, 20))
def test_the_earlier_of_two_long_secrets_is_awaited(before):
    """Though another one begins within it."""
    inner = "".join(chr(33 + number * 7 % 90) for number in range(400))
    outer = "~" * before + inner[:300] + "~" * 100
    mask = Mask([inner, outer])
    cut = before + 280
    shown = mask.feed(f"<{outer[:cut]}".encode()) + mask.feed(f"{outer[cut:]}>".encode())
    assert shown + mask.close() == b"<***>"


def test_base64_in_lines_is_hidden():
    """As the programs of that name print a long value."""
    secret = "".join(map(chr, range(33, 127))) * 3
    wrapped = base64.encodebytes(secret.encode())
    for width in (64, 76):
        plain = base64.b64encode(secret.encode())
        lines = [plain[at : at + width] for at in range(0, len(plain), width)]
        shown = passed(Mask([secret]), b"\n".join(lines), ())
        assert set(shown.split(b"\n")) == {b"***"}
    assert set(passed(Mask([secret]), wrapped, (100, 200)).split()) == {b"***"}


def test_short_secrets_are_named_and_not_masked():
    """They would be found everywhere; whoever asks is told which."""
    mask = Mask(["abc", "", "abcd"])
    assert mask.too_short == ("abc", "")
    assert mask.feed(b"abc abcd\n") == b"abc ***\n"


def test_without_secrets_nothing_is_copied():
    """The very same object comes out."""
    chunk = b"anything"
    assert Mask([]).feed(chunk) is chunk


def test_one_mask_serves_one_stream_after_the_other():
    """Closing forgets what was held back."""
    mask = Mask(["hunter22"])
    assert mask.feed(b"hun") + mask.close() == b"hun"
    assert mask.feed(b"ter22") + mask.close() == b"ter22"


def test_many_lines_of_keys_do_not_slow_it_down():
    """A flood beside several long keys is masked in reasonable time."""
    keys = [
        "\n".join(base64.b64encode(bytes([n, m]) * 24).decode() for m in range(40))
        for n in (1, 2, 3)
    ]
    mask = Mask(keys)
    flood = b"an ordinary line of output, number 12345\n" * 25_000
    began = time.process_time()
    assert mask.feed(flood) == flood
    assert time.process_time() - began < 10
