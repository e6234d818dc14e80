"""What lies in archives: told as the library writes them, and within limits whatever is in them."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from contextlib import suppress

import pytest

from ciserver.store.archives import Entry, EntryKind, ListingLimits, list_archive, walk_tar
from ciserver.store.unpacking import BadArchive

LONG = "a/" * 80 + "name.txt"
PACKINGS = {
    "not": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "in two parts": lambda content: gzip.compress(content[:700]) + gzip.compress(content[700:]),
    "with nothing between": lambda content: gzip.compress(b"") + gzip.compress(content),
}


def tar_of(*members, form=tarfile.GNU_FORMAT):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            else:
                entry.type, entry.linkname = content
                archive.addfile(entry)
    return target.getvalue()


USUAL = (
    ("top", (tarfile.DIRTYPE, "")),
    ("top/a.txt", b"x" * 700),
    (f"top/{LONG}", b"long"),
    ("top/link", (tarfile.SYMTYPE, "a" * 150)),
    ("top/pipe", (tarfile.FIFOTYPE, "")),
    ("top/größe", b""),
)


def told(listing):
    return [(one.name, one.kind.value, one.size, one.link) for one in listing.entries]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("packing", PACKINGS.values(), ids=PACKINGS)
def test_a_tar_archive_is_told(packing, form):
    """Names of any length, sizes and links; packed or not."""
    listing = list_archive(io.BytesIO(packing(tar_of(*USUAL, form=form))))
    assert not listing.is_cut
    assert told(listing) == [
        ("top/", "directory", 0, ""),
        ("top/a.txt", "file", 700, ""),
        (f"top/{LONG}", "file", 4, ""),
        ("top/link", "link", 0, "a" * 150),
        ("top/pipe", "other", 0, ""),
        ("top/größe", "file", 0, ""),
    ]


def test_files_lie_where_they_are_told_to(tmp_path):
    """So that one of them can be read alone."""
    content = tar_of(*USUAL)
    found = {one.name: one for one in walk_tar(io.BytesIO(content))}
    one = found[f"top/{LONG}"]
    assert content[one.offset : one.offset + one.size] == b"long"


def test_a_name_in_two_parts_is_put_together():
    content = tar_of(("b/" * 60 + "c", b"1"), form=tarfile.USTAR_FORMAT)
    assert [one.name for one in walk_tar(io.BytesIO(content))] == ["b/" * 60 + "c"]


def test_a_large_size_is_read():
    """It is written in another way where it does not fit."""
    entry = tarfile.TarInfo("big")
    entry.size = 9 * 2**30
    head = io.BytesIO(entry.tobuf(tarfile.GNU_FORMAT))
    assert [*walk_tar(head)] == [Entry("big", EntryKind.FILE, 9 * 2**30, 512)]


def zip_of(*members, **options):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


def test_a_zip_archive_is_told():
    content = zip_of(("d/", b""), ("d/größe.txt", b"abc"), compression=zipfile.ZIP_DEFLATED)
    expected = [("d/", "directory", 0, ""), ("d/größe.txt", "file", 3, "")]
    assert told(list_archive(io.BytesIO(content))) == expected
    assert told(list_archive(io.BytesIO(zip_of()))) == []


def test_a_zip_archive_with_a_far_directory_is_told():
    """As large ones have it."""
    plain = zip_of(("a", b"1"), ("b", b"22"))
    end = plain.rindex(b"PK\5\6")
    count, size, at = struct.unpack_from("<10xHLL", plain, end)
    far = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, at)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    last = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    listing = list_archive(io.BytesIO(plain[:end] + far + locator + last))
    assert told(listing) == [("a", "file", 1, ""), ("b", "file", 2, "")]


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_no_more_entries_are_told_than_may_be(make):
    content = make(*((f"file-{number}", b"") for number in range(30)))
    listing = list_archive(io.BytesIO(content), ListingLimits(entries=20))
    assert (len(listing.entries), listing.is_cut) == (20, True)
    listing = list_archive(io.BytesIO(content), ListingLimits(entries=30))
    assert (len(listing.entries), listing.is_cut) == (30, False)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_not_unpacked(pack):
    """What was seen before it is told."""
    content = pack(tar_of(("small", b"1"), ("zeros", bytes(50_000_000)), ("behind", b"")))
    listing = list_archive(io.BytesIO(content), ListingLimits(unpacked_bytes=100_000))
    assert [one.name for one in listing.entries] == ["small", "zeros"]
    assert listing.is_cut


def test_time_is_bounded_where_nothing_comes_of_it():
    """Packed parts without content cost time and not bytes."""
    content = gzip.compress(b"") * 200_000 + gzip.compress(tar_of(*USUAL))
    with pytest.raises(BadArchive):
        list_archive(io.BytesIO(content), ListingLimits(seconds=0.01))


def test_what_needs_much_memory_to_unpack_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 * 2**20}]
    content = lzma.compress(tar_of(*USUAL)[:512], filters=filters, preset=None)
    with pytest.raises(BadArchive):
        list_archive(io.BytesIO(content))


NOT_ARCHIVES = {
    "nothing": b"",
    "zeros": bytes(100_000),
    "text": b"Hello, World!\n" * 100,
    "packed text": gzip.compress(b"Hello\n" * 1000),
    "noise": os.urandom(2000),
    "damaged gzip": gzip.compress(tar_of(*USUAL))[:12] + b"\xff" * 400,
    "damaged bzip2": bz2.compress(tar_of(*USUAL))[:20] + b"\xff" * 400,
    "damaged xz": lzma.compress(tar_of(*USUAL))[:40] + b"\xff" * 400,
    "zip without an end": zip_of(("a", b"1"))[:20],
    "zip with a wrong count": zip_of(("a", b"1"))[:-12] + b"\xff\x00" + zip_of(("a", b"1"))[-10:],
    "a name without end": tar_of(("n" * 200_000, b"")),
    "headers without end": tar_of(*(("a", (b"g", "")),) * 20),
    "a negative size": tar_of(("a", b"1"))[:124] + b"-0000000001\0" + tar_of(("a", b"1"))[136:],
}


@pytest.mark.parametrize("content", NOT_ARCHIVES.values(), ids=NOT_ARCHIVES)
def test_what_is_no_archive_is_said_to_be_none(content):
    with pytest.raises(BadArchive):
        list_archive(io.BytesIO(content))


def test_what_breaks_off_is_told_as_far_as_it_goes_or_not_at_all():
    """Never a crash: every length of an archive of each kind."""
    for content in (tar_of(*USUAL), gzip.compress(tar_of(*USUAL)), zip_of(("a", b"1"), ("b", b""))):
        for length in range(0, len(content), 97):
            with suppress(BadArchive):
                list_archive(io.BytesIO(content[:length]))


def test_any_byte_may_be_wrong():
    """As above, for archives that were changed on their way."""
    for content in (tar_of(*USUAL[:3], form=tarfile.PAX_FORMAT), zip_of(("a", b"1"), ("b", b""))):
        for place in range(0, len(content), 13):
            changed = bytearray(content)
            changed[place] ^= 0x55
            with suppress(BadArchive):
                list_archive(io.BytesIO(bytes(changed)))
