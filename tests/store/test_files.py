"""Logs and products on disk."""

import hashlib
import io
import itertools
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciserver.store.files import Files


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture(params=["directory", "bucket"])
def finished(request, tmp_path):
    """Files whose finished ones stay, or go to a bucket."""
    if request.param == "directory":
        return Files(tmp_path)
    from ciserver.store.s3 import S3Objects

    return Files(tmp_path, S3Objects(request.getfixturevalue("s3").make_bucket()))


def test_a_log_is_read_as_it_was_written(files):
    """Chunks follow each other; any range can be read."""
    files.write_log(1, 1, 0, 0, b"first\n")
    files.write_log(1, 1, 0, 6, b"second\n")
    assert files.read_log(1, 1, 0, 0, 100) == b"first\nsecond\n"
    assert files.read_log(1, 1, 0, 6, 3) == b"sec"
    assert files.read_log(1, 1, 0, 13, 100) == b""
    assert files.log_size(1, 1, 0) == 13


@settings(max_examples=30)
@given(data=st.data(), whole=st.binary(min_size=1, max_size=60))
def test_a_chunk_may_come_twice(tmp_path_factory, data, whole):
    """However often and late a chunk is repeated, the log is what was sent."""
    files = Files(tmp_path_factory.mktemp("files"))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=4)) | {0, len(whole)})
    chunks = [(start, whole[start:end]) for start, end in itertools.pairwise(cuts)]
    repeated = data.draw(st.lists(st.sampled_from(chunks), max_size=4))
    for offset, chunk in [*chunks, *repeated]:
        files.write_log(5, 1, 1, offset, chunk)
    assert files.read_log(5, 1, 1, 0, 1000) == whole


def test_logs_do_not_mix(files):
    """Each step of each attempt of each build has its own."""
    keys = [(1, 1, 1), (1, 1, 11), (1, 11, 1), (11, 1, 1), (1001, 1, 1)]
    for key in keys:
        files.write_log(*key, 0, repr(key).encode())
    assert [files.read_log(*key, 0, 100).decode() for key in keys] == [repr(key) for key in keys]


def test_a_log_that_is_not_there_is_empty(files):
    """Before the first byte a reader gets nothing, and no error."""
    assert files.read_log(9, 1, 0, 0, 10) == b""
    assert files.log_size(9, 1, 0) == 0
    with pytest.raises(FileNotFoundError):
        files.open_log(9, 1, 0)


def test_equal_products_are_stored_once(finished):
    """The same bytes take place once, whoever made them."""
    content = b"x" * 3_000_000
    first, second = (finished.keep_product(io.BytesIO(content)) for _ in range(2))
    assert first == second == (hashlib.sha256(content).hexdigest(), len(content))
    other, _ = finished.keep_product(io.BytesIO(b"other"))
    kept = sorted((one.sha256, one.size, one.is_young) for one in finished.list_products())
    assert kept == sorted([(*first, True), (other, 5, True)])
    with finished.open_product(first[0]) as file:
        assert file.read() == content


def test_products_that_are_removed(finished):
    """Not those whose product may be about to be written down."""
    sha256, _ = finished.keep_product(io.BytesIO(b"content"))
    assert not finished.remove_product(sha256)
    assert finished.has_product(sha256)
    assert finished.remove_product(sha256, young_seconds=-60)
    assert not finished.has_product(sha256)
    with pytest.raises(FileNotFoundError):
        finished.open_product(sha256)


def test_a_packed_log(finished):
    """Reads as it did, in any part, until it is removed."""
    text = b"".join(b"line %d\n" % number for number in range(300_000))
    finished.write_log(1, 1, 0, 0, text)
    assert finished.pack_log(1, 1, 0) < len(text) / 2
    assert finished.pack_log(1, 1, 0) < len(text) / 2, "again"
    assert finished.log_size(1, 1, 0) == len(text)
    assert finished.read_log(1, 1, 0, 1_234_567, 1000) == text[1_234_567:][:1000]
    assert finished.read_log(1, 1, 0, len(text), 1000) == b""
    assert finished.count_log_lines(1, 1, 0, 1_500_000) == text[:1_500_000].count(b"\n")
    with finished.open_log(1, 1, 0) as file:
        file.seek(-1000, io.SEEK_END)
        assert file.read() == text[-1000:]
        file.seek(0)
        assert file.read() == text
    finished.remove_log(1, 1, 0)
    assert finished.log_size(1, 1, 0) == 0
    with pytest.raises(FileNotFoundError):
        finished.open_log(1, 1, 0)


def test_a_live_log_is_not_looked_for_elsewhere(tmp_path):
    """Whoever follows a log that has nothing yet asks the disk alone."""
    files = Files(tmp_path, bucket=Unasked())
    where = (1, 1, 0)
    assert files.log_size(*where, live=True) == 0
    assert files.read_log(*where, 0, 10, live=True) == b""
    assert files.count_log_lines(*where, 10, live=True) == 0
    with pytest.raises(FileNotFoundError):
        files.open_log(*where, live=True)
    files.write_log(*where, 0, b"first\n")
    assert files.read_log(*where, 0, 10, live=True) == b"first\n"


class Unasked:
    """A bucket that nobody has a reason to ask."""


class BrokenPipe(io.RawIOBase):
    """Gives some bytes and then breaks."""

    def __init__(self):
        super().__init__()
        self.left = [b"some bytes"]

    def read(self, size=-1):
        if self.left:
            return self.left.pop()
        raise OSError("the worker went away")


def test_half_a_product_is_not_kept(files, tmp_path):
    """A transfer that breaks leaves nothing behind."""
    with pytest.raises(OSError, match="went away"):
        files.keep_product(BrokenPipe())
    assert [one for one in (tmp_path / "products").rglob("*") if one.is_file()] == []


def test_what_a_killed_server_was_receiving_goes(files, tmp_path):
    """Half-received files that nobody writes any more, and no other."""
    sha256, _ = files.keep_product(io.BytesIO(b"kept"))
    left, coming = (tmp_path / "products" / f".incoming-{name}" for name in ("left", "coming"))
    for one in (left, coming):
        one.write_bytes(b"half")
    os.utime(left, (0, 0))
    files.remove_spool()
    assert (left.exists(), coming.exists()) == (False, True)
    files.open_product(sha256).close()


def test_nothing_lies_outside(files, tmp_path):
    """All paths are made of numbers and digests, beneath their directories."""
    files.write_log(123_456, 2, 3, 0, b"log")
    files.keep_product(io.BytesIO(b"product"))
    assert {one.name for one in tmp_path.iterdir()} == {
        "logs",
        "products",
    }
    assert files.log_path(123_456, 2, 3).is_relative_to(tmp_path / "logs")


def test_others_may_not_read(files, tmp_path):
    """Logs and products are for the server's own user."""
    files.write_log(1, 1, 0, 0, b"log")
    files.keep_product(io.BytesIO(b"product"))
    for directory in (tmp_path / "logs", tmp_path / "products"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(files.log_path(1, 1, 0).stat().st_mode) == 0o600
