"""A packed log reads as the log did, in any part, and is a gzip file for everybody else."""

import gzip
import io
import random
import subprocess

import pytest

from ciserver.store.packed_log import BadLog, PackedLog, pack, read_index

TEXT = b"".join(b"line %d of the log\n" % number for number in range(5_000))


def opened(path):
    file = path.open("rb")
    try:
        return PackedLog(file, read_index(file, path.name))
    except BadLog:
        file.close()
        raise


@pytest.fixture
def packed(tmp_path):
    def make(text, frame=1000):
        source, target = tmp_path / "log", tmp_path / "log.gz"
        source.write_bytes(text)
        pack(source, target, frame=frame)
        return target

    return make


@pytest.mark.parametrize("text", [b"", b"x", b"a\n" * 500, b"a\n" * 501, TEXT])
def test_the_text_is_the_same(packed, text):
    """Whether it ends within a frame, with one, or is empty; for other tools, too."""
    path = packed(text)
    with opened(path) as log:
        assert log.seek(0, io.SEEK_END) == len(text)
        log.seek(0)
        assert io.BufferedReader(log).read() == text
    assert gzip.decompress(path.read_bytes()) == text
    assert subprocess.run(["zcat", path], capture_output=True, check=True).stdout == text


def test_any_part(packed):
    """As a file of the text itself gives it, also beyond the end."""
    chance = random.Random(7)
    plain = io.BytesIO(TEXT)
    with io.BufferedReader(opened(packed(TEXT)), 64) as log:
        for _ in range(300):
            offset, size = chance.randrange(len(TEXT) + 100), chance.randrange(3000)
            assert log.seek(offset) == plain.seek(offset)
            assert log.read(size) == plain.read(size)
        assert log.seek(-10, io.SEEK_END) == len(TEXT) - 10


def test_a_part_is_all_that_is_read(packed):
    """What is broken elsewhere does not matter."""
    path = packed(TEXT)
    content = bytearray(path.read_bytes())
    content[:200] = bytes(200)
    path.write_bytes(content)
    with opened(path) as log:
        log.seek(len(TEXT) - 100)
        assert log.read(100) == TEXT[-100:]
        log.seek(0)
        with pytest.raises(BadLog, match="broken"):
            log.read(10)


def test_lines_are_known(packed):
    with packed(TEXT).open("rb") as file:
        index = read_index(file, "log.gz")
        for offset in (0, 999, 1000, 54_321, len(TEXT), len(TEXT) + 5_000):
            lines, start = index.lines_before(offset)
            assert start <= offset
            assert offset - start <= 1000 or start >= len(TEXT) - 1000
            assert lines == TEXT[:start].count(b"\n")


@pytest.mark.parametrize("content", [b"", b"short", gzip.compress(TEXT), bytes(10_000)])
def test_what_is_no_packed_log(tmp_path, content):
    path = tmp_path / "other.gz"
    path.write_bytes(content)
    with pytest.raises(BadLog):
        opened(path)


def test_one_that_was_cut_off(packed):
    path = packed(TEXT)
    path.write_bytes(path.read_bytes()[100:])
    with pytest.raises(BadLog, match="cut off"):
        opened(path)


def test_long_logs_have_larger_frames(tmp_path):
    """So that the index fits in its field."""
    source, target = tmp_path / "log", tmp_path / "log.gz"
    source.write_bytes(TEXT)
    pack(source, target, frame=1000, most_frames=10)
    with opened(target) as log:
        assert log._index.lines_before(len(TEXT) - 1)[1] % 16_000 == 0
        assert io.BufferedReader(log).read() == TEXT
