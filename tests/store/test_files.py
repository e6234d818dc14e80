"""Logs and products on disk."""

import hashlib
import io
import itertools
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciserver.store.files import Files


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_a_log_is_read_as_it_was_written(files):
    """Chunks follow each other; any range can be read."""
    files.write_log(1, 1, 0, 0, b"first\n")
    files.write_log(1, 1, 0, 6, b"second\n")
    assert files.read_log(1, 1, 0, 0, 100) == b"first\nsecond\n"
    assert files.read_log(1, 1, 0, 6, 3) == b"sec"
    assert files.read_log(1, 1, 0, 13, 100) == b""
    assert files.log_size(1, 1, 0) == 13


@settings(max_examples=30, deadline=None)
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


def test_equal_products_are_stored_once(files, tmp_path):
    """The same bytes take place once, whoever made them."""
    content = b"x" * 3_000_000
    first, second = (files.keep_product(io.BytesIO(content)) for _ in range(2))
    assert first == second == (hashlib.sha256(content).hexdigest(), len(content))
    other, _ = files.keep_product(io.BytesIO(b"other"))
    kept = [one for one in (tmp_path / "products").rglob("*") if one.is_file()]
    assert {one.name for one in kept} == {first[0], other}
    with files.open_product(first[0]) as file:
        assert file.read() == content


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
    """The next start removes half-received files and no other."""
    sha256, _ = files.keep_product(io.BytesIO(b"kept"))
    (tmp_path / "products" / ".incoming-0123").write_bytes(b"half")
    files.remove_spool()
    assert not (tmp_path / "products" / ".incoming-0123").exists()
    files.open_product(sha256).close()


def test_nothing_lies_outside(files, tmp_path):
    """All paths are made of numbers and digests, beneath the three directories."""
    files.write_log(123_456, 2, 3, 0, b"log")
    files.keep_product(io.BytesIO(b"product"))
    assert {one.name for one in tmp_path.iterdir()} == {
        "caches",
        "dumps",
        "logs",
        "products",
        "uploads",
    }
    assert files.log_path(123_456, 2, 3).is_relative_to(tmp_path / "logs")


def test_others_may_not_read(files, tmp_path):
    """Logs and products are for the server's own user."""
    files.write_log(1, 1, 0, 0, b"log")
    files.keep_product(io.BytesIO(b"product"))
    for directory in (tmp_path / "logs", tmp_path / "products"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(files.log_path(1, 1, 0).stat().st_mode) == 0o600
