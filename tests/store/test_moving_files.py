"""Everything moves to a bucket and back: compared, resumed, and nothing lost on the way."""

import hashlib
import io

import pytest
from support.s3 import Door

from ciserver.model.errors import StorageAway
from ciserver.store.files import Files
from ciserver.store.moving_files import to_bucket, to_directory
from ciserver.store.s3 import S3Objects

CONTENTS = [b"content %d" % number for number in range(6)]
TEXT = b"".join(b"line %d\n" % number for number in range(50_000))


@pytest.fixture
def door(s3):
    made = Door(s3.port)
    yield made
    made.close()


@pytest.fixture
def bucket(s3, door):
    return s3.make_bucket(endpoint=door.url)


@pytest.fixture
def kept(tmp_path):
    """An installation without a bucket, that has products and a log; answers the products."""
    files = Files(tmp_path)
    files.write_log(1, 1, 0, 0, TEXT)
    files.pack_log(1, 1, 0)
    files.write_log(2, 1, 0, 0, b"it still grows")
    return [files.keep_product(io.BytesIO(one))[0] for one in CONTENTS]


@pytest.fixture
def files(tmp_path, bucket):
    """The same installation with a bucket; the storage that was away is asked again at once."""
    times = iter(range(0, 10_000_000, 100))
    return Files(tmp_path, S3Objects(bucket, clock=lambda: next(times)))


def in_directory(root):
    found = (*root.glob("logs/*/*.gz"), *root.glob("products/**/*"))
    return [one for one in found if one.is_file()]


def assert_complete(files, kept):
    for sha256, content in zip(kept, CONTENTS, strict=True):
        with files.open_product(sha256) as file:
            assert file.read() == content
    with files.open_log(1, 1, 0) as file:
        assert file.read() == TEXT
    assert files.read_log(2, 1, 0, 0, 100) == b"it still grows"


def test_there_and_back(kept, files, bucket, s3, tmp_path):
    """Nothing of it is left in the directory then; back again nothing is missing there."""
    told = []
    moved = to_bucket(files.spooled(), told.append)
    assert (moved.files, len(told), moved.damaged) == (7, 7, ())
    assert in_directory(tmp_path) == []
    assert len(s3.keys(bucket)) == 7
    assert_complete(files, kept)
    assert to_bucket(files.spooled(), told.append).files == 0

    back = to_directory(files.spooled(), told.append)
    assert (back.files, back.size, back.damaged) == (7, moved.size, ())
    assert_complete(Files(tmp_path), kept)
    assert len(s3.keys(bucket)) == 7, "whoever removes a bucket does it by hand"
    assert to_directory(files.spooled(), told.append).files == 0


@pytest.mark.parametrize("move", [to_bucket, to_directory])
def test_a_move_that_is_broken_off_goes_on(kept, files, door, move, tmp_path):
    """What is there already is left alone; everything can be read in between."""
    if move is to_directory:
        to_bucket(files.spooled(), lambda _: None)
    before = []

    def stop_after_three(one):
        before.append(one.key)
        if len(before) == 3:
            door.shut()

    with pytest.raises(StorageAway):
        move(files.spooled(), stop_after_three)
    door.open()
    assert_complete(files, kept)
    after = []
    move(files.spooled(), lambda one: after.append(one.key))
    assert not set(before) & set(after)
    assert len(before) + len(after) == 7
    assert_complete(files, kept)
    assert not list(tmp_path.glob("products/.incoming-*"))


def test_what_is_damaged_stays_where_it_is(kept, files, bucket, s3, tmp_path):
    """And is named; the rest moves. Of a bucket, too."""
    product = next(one for one in in_directory(tmp_path) if one.name == kept[0])
    product.write_bytes(b"something else")
    (log,) = tmp_path.glob("logs/*/*.gz")
    log.write_bytes(log.read_bytes()[:-500])
    damaged = (f"logs/0/{log.name}", f"products/{kept[0][:2]}/{kept[0]}")
    moved = to_bucket(files.spooled(), lambda _: None)
    assert (moved.files, moved.damaged) == (5, damaged)
    assert {one.name for one in in_directory(tmp_path)} == {kept[0], log.name}

    for one in in_directory(tmp_path):
        one.unlink()
    client = s3.client()
    for key in damaged:
        client.put_object(Bucket=bucket.name, Key=f"of/tests/{key}", Body=b"something else")
    assert to_directory(files.spooled(), lambda _: None).damaged == damaged
    assert {one.name for one in in_directory(tmp_path)} == set(kept[1:])


def test_what_arrives_is_what_was_sent(kept, files, bucket, s3, tmp_path):
    """A storage that keeps something else is found out, and the file stays."""
    key = f"products/{kept[0][:2]}/{kept[0]}"
    objects = files.spooled()

    class Liar:
        """A storage that loses a byte of each file, and says that it has it."""

        def take(self, key, file):
            content = file.read_bytes()
            s3.client().put_object(
                Bucket=bucket.name, Key=f"of/tests/{key}", Body=content[:-1] + b"?"
            )
            file.unlink()

        def open(self, key):
            return far.open(key)

    far, objects.far = objects.far, Liar()
    with pytest.raises(Exception, match="is not what was sent"):
        to_bucket(objects, lambda _: None)
    assert len(in_directory(tmp_path)) == 7
    assert hashlib.sha256((tmp_path / key).read_bytes()).hexdigest() == kept[0]
