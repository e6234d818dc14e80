"""Finished logs and products in a bucket: from the build that makes them until they are removed."""

import io

import pytest
from support.factories import ADMIN, Factory, done
from support.s3 import Door

from ciserver.config import Builds, Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import ANONYMOUS
from ciserver.model.build import BuildResult
from ciserver.model.errors import BadConfiguration, StorageAway
from ciserver.model.status import BuildStatus
from ciserver.service import orphans
from ciserver.wiring import make_parts

TEXT = b"".join(b"line %d of a log\n" % number for number in range(100_000))


@pytest.fixture
def door(s3):
    made = Door(s3.port)
    yield made
    made.close()


@pytest.fixture
def bucket(s3, door):
    return s3.make_bucket(endpoint=door.url)


@pytest.fixture
def parts(tmp_path, clock, bucket):
    """A server whose bucket is behind a door, and that keeps logs for 30 days."""
    settings = Settings(builds=Builds(keep_logs_days=30), storage=bucket.as_settings())
    made = make_parts(settings, DataDirectory(tmp_path / "data"), clock=clock)
    yield made
    made.store.database.close()


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def built(make, reporter):
    """A build of one jobset that logged and made something."""
    jobset = make.jobset()

    def build(content=b"content", text=TEXT):
        lease = make.leases[make.build(BuildStatus.RUNNING, jobset=jobset).id]
        reporter.append_log(lease, 1, 0, text)
        reporter.add_product(lease, "out.txt", io.BytesIO(content))
        reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))
        return make.store.builds.get(lease.build_id)

    return build


@pytest.fixture
def deleted(services, store, built):
    """A deleted build, which nothing holds, with a log and a product in the bucket; answers their
    keys, too.
    """
    build = built()
    for _ in range(4):
        built(b"newer", b"newer\n")
    services.log_keeping.sweep()
    services.builds.delete(ADMIN, build.id)
    (product,) = store.products.list_of_build(build.id)
    key = f"products/{product.sha256[:2]}/{product.sha256}"
    return build, {f"logs/0/{build.id}.1.1.log.gz", key}, product


@pytest.fixture
def keys(s3, bucket):
    """What lies in the bucket, without the prefix of all."""
    return lambda: [one.removeprefix("of/tests/") for one in s3.keys(bucket)]


@pytest.fixture
def kept(parts):
    """The finished files in the directory."""

    def find():
        root = parts.store.dumps.parent
        found = (*(root / "logs").rglob("*.log*"), *(root / "products").rglob("*"))
        return sorted(one.name for one in found if one.is_file())

    return find


@pytest.fixture
def read(services, store):
    def read(build):
        (product,) = store.products.list_of_build(build.id)
        step = services.queries.step(ANONYMOUS, build.id, 1, None)
        with services.queries.open_product(product) as file:
            content = file.read()
        with services.logs.open(build.id, step) as file:
            return content, file.read()

    return read


def test_a_build_leaves_its_files_in_the_bucket(services, built, keys, kept, read):
    """The product before its row, the log when it is packed, however short; both are read there."""
    build = built(text=b"short\n")
    (product,) = keys()
    assert product.startswith("products/")
    assert kept() == [f"{build.id}.1.1.log"]
    services.log_keeping.sweep()
    assert keys() == [f"logs/0/{build.id}.1.1.log.gz", product]
    assert kept() == []
    assert read(build) == (b"content", b"short\n")


def test_they_go_by_rule(services, store, deleted, keys):
    """The log at the next look; the product is young, and goes when it is not."""
    _, mine, product = deleted
    assert mine <= set(keys())
    services.log_keeping.sweep()
    services.keeping.sweep()
    assert store.products.list_of_build(product.build_id)[0].removed_at
    assert mine & set(keys()) == {f"products/{product.sha256[:2]}/{product.sha256}"}
    assert store.files.remove_product(product.sha256, young_seconds=-60)
    assert not mine & set(keys())


def test_no_build_fails_while_the_storage_is_away(
    services, store, built, keys, kept, read, door, clock
):
    """Its files wait in the directory, are read there, and go to the bucket afterwards."""
    door.shut()
    build = built()
    assert build.status is BuildStatus.SUCCEEDED
    services.log_keeping.sweep()
    assert len(kept()) == 2
    assert read(build) == (b"content", TEXT)
    services.stored_files.sweep()
    waiting = services.stored_files.waiting()
    assert (waiting.files, "does not answer" in waiting.fault) == (1, True)
    door.open()
    clock.forward(hours=1)
    store.files.spooled().far._away_until = 0.0
    services.stored_files.sweep()
    services.log_keeping.sweep()
    assert (len(keys()), kept()) == (2, [])
    assert services.stored_files.waiting().files == 0
    assert read(build) == (b"content", TEXT)


def test_what_cannot_be_removed_now_is_removed_later(services, store, deleted, keys, door, clock):
    """Rows first; the files are found again by them."""
    build, mine, _ = deleted
    door.shut()
    services.keeping.sweep()
    services.log_keeping.sweep()
    assert store.log_keeping.removed_at(build.id, 1)
    assert mine <= set(keys())
    door.open()
    store.files.spooled().far._away_until = 0.0
    clock.forward(hours=2)
    services.log_keeping.sweep()
    assert [one.partition("/")[0] for one in mine & set(keys())] == ["products"]


def test_rows_and_objects_are_compared(store, built, s3, bucket):
    """As those of a directory are."""
    build = built()
    assert orphans.compare(store) == ((), ())
    (product,) = store.products.list_of_build(build.id)
    key = f"of/tests/products/{product.sha256[:2]}/{product.sha256}"
    s3.client().delete_object(Bucket=bucket.name, Key=key)
    assert orphans.compare(store) == ((product,), ())


def test_a_start_while_it_is_away(services, door, parts):
    """The server starts, and says so; with a bucket that is not there it does not."""
    door.shut()
    services.stored_files.prepare()
    door.open()
    parts.store.files.spooled().far._away_until = 0.0
    door.refuse("404 Not Found", "NoSuchBucket")
    with pytest.raises(BadConfiguration, match="NoSuchBucket") as raised:
        services.stored_files.prepare()
    assert "storage.s3_bucket" in raised.value.hint


def test_reading_while_it_is_away(services, built, door, read):
    """Says what is the matter, and is no missing file."""
    build = built()
    services.log_keeping.sweep()
    door.shut()
    with pytest.raises(StorageAway, match="does not answer"):
        read(build)
