"""Finished files, wherever they lie: in a directory, in a bucket, or on the way there."""

import io
import os
import random
import time

import pytest
from support.s3 import Door

from ciserver.model.errors import StorageAway
from ciserver.store.objects import DirectoryObjects
from ciserver.store.s3 import AWAY_SECONDS, S3Objects
from ciserver.store.spooled_objects import SpooledObjects

KEY = "products/ab/" + "ab" * 32
PART = 16 * 1024 * 1024  # larger files come in several requests


class World:
    """A place for files, and how to give it one."""

    def __init__(self, root, objects, bucket=None):
        self.root, self.objects, self.bucket = root, objects, bucket
        self.spool = root / "spool"

    def take(self, content, key=KEY):
        self.spool.write_bytes(content)
        self.objects.take(key, self.spool)


@pytest.fixture
def bucket(s3):
    return s3.make_bucket()


@pytest.fixture(params=["directory", "bucket", "spooled"])
def world(request, tmp_path):
    near = DirectoryObjects(tmp_path)
    if request.param == "directory":
        return World(tmp_path, near)
    bucket = request.getfixturevalue("bucket")
    far = S3Objects(bucket)
    both = SpooledObjects(tmp_path, near, far)
    return World(tmp_path, far if request.param == "bucket" else both, bucket)


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000, PART + 1])
def test_a_file_that_is_kept(world, size):
    """It is read as it was, and gone where it was."""
    content = random.Random(size).randbytes(size)
    world.take(content)
    assert not world.spool.exists()
    with world.objects.open(KEY) as file:
        assert file.read() == content
    found = world.objects.find(KEY)
    assert (found.key, found.size) == (KEY, size)
    assert world.objects.fault == ""
    assert abs(found.changed_at - time.time()) < 60


def test_any_part_of_it(world):
    """By jumps, in steps and from the end, as a file of this machine gives it."""
    content = random.Random(1).randbytes(700_000)
    world.take(content)
    chance, plain = random.Random(2), io.BytesIO(content)
    with world.objects.open(KEY) as file:
        for _ in range(60):
            offset, size = chance.randrange(len(content) + 100), chance.randrange(90_000)
            assert file.seek(offset) == plain.seek(offset)
            for _ in range(chance.randrange(4)):
                assert file.read(size) == plain.read(size)
        assert file.seek(-10, io.SEEK_END) == len(content) - 10
        assert file.read() == content[-10:]


def test_what_is_not_there(world):
    assert world.objects.find(KEY) is None
    with pytest.raises(FileNotFoundError):
        world.objects.open(KEY)
    world.objects.remove(KEY)
    assert world.objects.remove_old(KEY, time.time())
    assert list(world.objects.list("products")) == []
    with pytest.raises(FileNotFoundError):
        world.objects.take(KEY, world.root / "nowhere")


def test_another_one_in_its_place(world):
    world.take(b"first")
    world.take(b"second")
    with world.objects.open(KEY) as file:
        assert file.read() == b"second"


def test_a_list(world, monkeypatch):
    """Of one folder, each once; what is no finished file is left out."""
    logs = {f"logs/{n}/{n}.1.1.log.gz" for n in range(3)}
    for key in (*logs, KEY):
        world.take(b"content", key)
    for name in ("logs/0/9.1.1.log", "products/ab/.removing-x"):
        (world.root / name).parent.mkdir(parents=True, exist_ok=True)
        (world.root / name).write_bytes(b"no finished file")
    found = list(world.objects.list("logs"))
    assert sorted(one.key for one in found) == sorted(logs)
    assert {one.size for one in found} == {7}
    assert [one.key for one in world.objects.list("products")] == [KEY]


def test_it_is_removed(world):
    world.take(b"content")
    world.objects.remove(KEY)
    assert world.objects.find(KEY) is None


def test_only_an_old_one_is_removed(world):
    """What was put there since the moment stays."""
    world.take(b"content")
    assert not world.objects.remove_old(KEY, time.time() - 60)
    assert world.objects.find(KEY)
    assert world.objects.remove_old(KEY, time.time() + 60)
    assert world.objects.find(KEY) is None


# -- a bucket -------------------------------------------------------------------------------------


def test_keys_lie_beneath_the_prefix(s3, bucket, tmp_path):
    """What lies beside it is nobody's business."""
    s3.client().put_object(Bucket=bucket.name, Key="products/cd/other", Body=b"other")
    world = World(tmp_path, S3Objects(bucket))
    world.take(b"content")
    assert s3.keys(bucket) == [f"of/tests/{KEY}", "products/cd/other"]
    assert [one.key for one in world.objects.list("products")] == [KEY]


def test_more_than_one_page_of_keys(s3, bucket):
    """With pages of ten, as those of a storage have a thousand."""
    client, objects = s3.client(), S3Objects(bucket)
    for number in range(25):
        client.put_object(Bucket=bucket.name, Key=f"of/tests/products/00/{number}", Body=b"")
    objects._client.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 10}
    )
    assert len({one.key for one in objects.list("products")}) == 25


@pytest.fixture
def door(s3):
    made = Door(s3.port)
    yield made
    made.close()


@pytest.fixture
def broken(s3, door, tmp_path):
    """A bucket behind a door that breaks, without the rest after a fault."""
    times = iter(range(0, 10_000_000, 100))
    bucket = s3.make_bucket(endpoint=door.url)
    return World(tmp_path, S3Objects(bucket, clock=lambda: next(times)), bucket)


@pytest.mark.parametrize("at", [1, 500, 70_000, 400_000])
def test_an_answer_that_breaks_off_is_asked_for_again(broken, door, at):
    content = random.Random(at).randbytes(2_000_000)
    broken.take(content)
    with broken.objects.open(KEY) as file:
        door.cut_after = at
        assert file.read() == content
    assert door.cut_after == 0, "it was cut"


def test_slow_down_is_heeded(broken, door):
    door.refuse("503 Slow Down", "SlowDown", times=2)
    broken.take(b"content")
    door.refuse("503 Slow Down", "SlowDown", times=2)
    with broken.objects.open(KEY) as file:
        assert file.read() == b"content"


def test_an_upload_that_fails_leaves_the_file(broken, door):
    """And is made up for when the storage is back, by the same call."""
    door.shut()
    with pytest.raises(StorageAway, match="does not answer"):
        broken.take(b"content")
    assert broken.spool.read_bytes() == b"content"
    door.open()
    broken.objects.take(KEY, broken.spool)
    assert not broken.spool.exists()


def test_a_file_that_did_not_arrive_stays(broken, s3):
    """Whatever the storage said."""

    def lose(**_):
        for key in s3.keys(broken.bucket):
            s3.client().delete_object(Bucket=broken.bucket.name, Key=key)

    broken.objects._client.meta.events.register("after-call.s3.PutObject", lose)
    with pytest.raises(StorageAway, match="did not arrive"):
        broken.take(b"content")
    assert broken.spool.read_bytes() == b"content"


def test_a_storage_that_goes_away_while_a_file_is_read(broken, door):
    """Is a refusal with what is the matter, and no end of the file."""
    broken.take(bytes(3_000_000))
    with broken.objects.open(KEY) as file:
        file.read(1000)
        door.shut()
        with pytest.raises(StorageAway, match=f"{door.url}.* does not answer"):
            file.read()
    assert "does not answer" in broken.objects.fault
    door.open()
    assert broken.objects.find(KEY)
    assert broken.objects.fault == ""


def test_a_storage_that_is_away_is_left_alone_for_a_while(s3, door, tmp_path):
    """Threads do not queue up for it."""
    now = [0.0]
    bucket = s3.make_bucket(endpoint=door.url)
    objects = S3Objects(bucket, clock=lambda: now[0])
    door.shut()
    with pytest.raises(StorageAway):
        objects.find(KEY)
    door.open()
    before = door.connections
    with pytest.raises(StorageAway, match="does not answer"):
        objects.find(KEY)
    assert door.connections == before
    now[0] += AWAY_SECONDS
    assert objects.find(KEY) is None


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        ({"name": "no-such-bucket"}, "NoSuchBucket", "storage.s3_bucket"),
        ({"secret_key": "not-that-one"}, "SignatureDoesNotMatch", "the secret key is wrong"),
        ({"access_key": "AKIAUNKNOWN"}, "InvalidAccessKeyId", "access key is not known"),
    ],
)
def test_what_is_set_wrongly(s3_with_keys, change, said, hint):
    """Is said, with what to mend, and never the secret."""
    bucket = s3_with_keys.make_bucket()
    S3Objects(bucket).check()
    wrong = type(bucket)(**{**vars(bucket), **change})
    with pytest.raises(StorageAway, match=said) as raised:
        S3Objects(wrong).check()
    assert raised.value.is_fault
    assert hint in raised.value.hint
    assert wrong.secret_key not in f"{raised.value} {raised.value.hint} {wrong!r}"


def test_no_credentials_at_all(s3, bucket, monkeypatch, tmp_path):
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    without = type(bucket)(bucket.name, endpoint=bucket.endpoint)
    with pytest.raises(StorageAway, match="there are no credentials") as raised:
        S3Objects(without).check()
    assert "AWS_ACCESS_KEY_ID" in raised.value.hint


def test_a_bucket_that_is_gone_is_no_missing_file(s3, bucket):
    """Nobody may take its files for removed."""
    objects = S3Objects(bucket)
    s3.client().delete_bucket(Bucket=bucket.name)
    with pytest.raises(StorageAway, match="NoSuchBucket"):
        objects.open(KEY)
    with pytest.raises(StorageAway, match="NoSuchBucket"):
        objects.find(KEY)


def test_a_file_is_read_in_few_requests(broken, door, s3):
    """Reading on gets longer pieces, and the end of a file is one."""
    broken.take(bytes(10_000_000))
    asked = []
    objects = S3Objects(broken.bucket)
    objects._client.meta.events.register("before-send.s3.GetObject", lambda **_: asked.append(1))
    with objects.open(KEY) as file:
        file.read()
    assert len(asked) <= 9
    asked.clear()
    with objects.open(KEY) as file:
        for back in (10, 50_000, 20_000):
            file.seek(-back, io.SEEK_END)
            assert len(file.read(10)) == 10
    assert len(asked) == 2


# -- on the way -----------------------------------------------------------------------------------


@pytest.fixture
def spooled(broken):
    near = DirectoryObjects(broken.root)
    return World(broken.root, SpooledObjects(broken.root, near, broken.objects), broken.bucket)


def test_what_waits_is_read_and_moved(spooled, door, s3):
    """A file that comes while the storage is away is there all the time."""
    door.shut()
    spooled.take(b"content")
    with spooled.objects.open(KEY) as file:
        assert file.read() == b"content"
    assert spooled.objects.find(KEY).size == 7
    assert (spooled.objects.waiting().files, spooled.objects.waiting().size) == (1, 7)
    assert "does not answer" in spooled.objects.waiting().fault
    with pytest.raises(StorageAway):
        spooled.objects.move(lambda _: None)
    door.open()
    moved = []
    spooled.objects.move(moved.append)
    assert [one.key for one in moved] == [KEY]
    assert (spooled.objects.waiting().files, spooled.objects.waiting().fault) == (0, "")
    assert s3.keys(spooled.bucket) == [f"of/tests/{KEY}"]
    with spooled.objects.open(KEY) as file:
        assert file.read() == b"content"


def test_killed_between_upload_and_removal(spooled, s3):
    """With both there it is one file, and the next round ends it."""
    spooled.take(b"content")
    (spooled.root / KEY).write_bytes(b"content")
    assert [one.key for one in spooled.objects.list("products")] == [KEY]
    spooled.objects.move(lambda _: None)
    assert not (spooled.root / KEY).exists()
    assert [one.key for one in spooled.objects.list("products")] == [KEY]


def test_a_file_that_is_just_put_is_not_removed(spooled, broken):
    """Neither by another process, which sees an old one in the bucket; it does not wait either."""
    spooled.take(b"content")
    near = DirectoryObjects(spooled.root)
    other, asked = SpooledObjects(spooled.root, near, S3Objects(broken.bucket)), []

    def remove(**_):
        asked.append(other.remove_old(KEY, time.time() + 60))

    broken.objects._client.meta.events.register("before-send.s3.PutObject", remove)
    spooled.take(b"content")
    assert asked == [False]
    assert other.find(KEY)
    assert other.remove_old(KEY, time.time() + 60)
    assert other.find(KEY) is None


def test_it_is_removed_in_both_places(spooled, door, s3):
    spooled.take(b"content")
    door.shut()
    spooled.take(b"content")
    with pytest.raises(StorageAway):
        spooled.objects.remove(KEY)
    door.open()
    spooled.objects.remove(KEY)
    assert spooled.objects.find(KEY) is None
    assert s3.keys(spooled.bucket) == []
