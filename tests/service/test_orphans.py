"""Files without products and products without files are found, and only the first are removed."""

import io
import os

import pytest

from ciserver.model.status import BuildStatus
from ciserver.service import orphans


@pytest.fixture
def keep(store):
    """Stores a file of this age; answers its SHA-256."""

    def put(content, *, young=False):
        sha256, _ = store.files.keep_product(io.BytesIO(content))
        root = store.files.dumps.parent / "products"
        if not young:
            os.utime(root / sha256[:2] / sha256, (0, 0))
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
