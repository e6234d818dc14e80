"""Files without products and products without files are found, and only the first are removed."""

import io
import os

import pytest
from support.factories import done
from support.storages import on_both_storages

from ciserver.model.build import BuildResult
from ciserver.model.status import BuildStatus
from ciserver.service import orphans


@pytest.fixture
def keep(store):
    """Stores a file of this age; answers its SHA-256."""

    def put(content, *, young=False):
        sha256, _ = store.files.keep_product(io.BytesIO(content))
        root = store.dumps.parent / "products"
        path = root / sha256[:2] / sha256
        if not young and path.exists():  # not in a bucket
            os.utime(path, (0, 0))
        return sha256

    return put


@pytest.fixture
def product(store, make):
    def add(sha256):
        build = make.build(BuildStatus.SUCCEEDED)
        with store.transaction():
            store.products.add(build.id, 1, path="out.txt", size=3, sha256=sha256)
        return build

    return add


@on_both_storages
def test_all_agree(store, keep, product):
    product(keep(b"one"))
    assert orphans.compare(store) == ((), ())


def test_a_file_without_a_product(store, keep, product):
    """It is found and removed; what a product has, or may get in a moment, stays."""
    known, lost, young = keep(b"one"), keep(b"lost"), keep(b"young", young=True)
    product(known)
    _, (found,) = orphans.compare(store)
    assert (found.sha256, found.size) == (lost, 4)
    assert orphans.remove(store) == 1
    assert [store.files.has_product(one) for one in (known, lost, young)] == [True, False, True]


@on_both_storages
def test_a_product_without_a_file(store, product):
    build = product("ab" * 32)
    (found,), _ = orphans.compare(store)
    assert (found.build_id, found.name) == (build.id, "out.txt")


def test_what_was_removed_by_rule_has_no_file(store, keep, product, clock):
    """And none that the server is about to remove is an orphan."""
    build = product(keep(b"one"))
    with store.transaction():
        store.keeping.remove(build.id, clock.now(), "a test")
    assert orphans.compare(store) == ((), ())


@pytest.fixture
def logged(make, reporter, services):
    """A build that has ended with a log, which is packed."""
    lease = make.leases[make.build(BuildStatus.RUNNING).id]
    reporter.append_log(lease, 1, 0, b"line\n" * 2_000)
    reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))
    services.log_keeping.sweep()
    return lease


@on_both_storages
def test_logs_and_their_rows(store, make, reporter, logged):
    """What grows belongs to a row; a packed log of no attempt is found and removed."""
    running = make.leases[make.build(BuildStatus.RUNNING).id]
    reporter.append_log(running, 1, 0, b"it grows")
    assert orphans.compare_logs(store) == ((), ())
    store.files.write_log(977, 1, 3, 0, b"line\n" * 2_000)
    store.files.pack_log(977, 1, 3)
    lost, (found,) = orphans.compare_logs(store)
    assert (lost, found.build_id, found.attempt, found.step) == ((), 977, 1, 3)
    assert orphans.remove(store) == 1
    assert orphans.compare_logs(store) == ((), ())
    assert store.files.log_size(logged.build_id, 1, 1) == 10_000


@on_both_storages
def test_logs_without_a_file(store, logged):
    store.files.remove_log(logged.build_id, 1, 1)
    assert orphans.compare_logs(store) == (((logged.build_id, 1),), ())
