"""Stores that builds share: one a name, begun anew when it is too large, gone when nobody wants
it.
"""

import os
from collections.abc import Iterator

import pytest

from ciserver.executor.nix_stores import NixStores

MONTH = 31 * 24 * 3600


class Moments:
    def __init__(self):
        self.time = 1e9

    def __call__(self):
        return self.time


@pytest.fixture
def moments() -> Iterator[Moments]:
    return Moments()


@pytest.fixture
def make(tmp_path, moments):
    return lambda quota=1 << 20: NixStores(tmp_path / "nix", None, quota=quota, now=moments)


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "nix").iterdir())


def fill(store, size=2 << 20):
    (store / "file").write_bytes(os.urandom(size))


def test_a_name_has_one_store(make, tmp_path):
    """Builds side by side, later ones, and those of the next server find the same."""
    stores = make()
    with stores.use("1-trusted") as one, stores.use("1-trusted") as same:
        assert one == same
        fill(one, 10)
        with stores.use("1-untrusted") as other, stores.use("11-trusted") as more:
            assert len({one, other, more}) == 3
    with make().use("1-trusted") as later:
        assert (later, (later / "file").exists()) == (one, True)
    assert (tmp_path / "nix").stat().st_mode & 0o777 == 0o711
    assert one.stat().st_mode & 0o777 == 0o700


def test_one_that_is_too_large_is_replaced(make, tmp_path):
    """Whoever uses it goes on with it; it goes with the last of them."""
    stores = make()
    with stores.use("1-trusted") as first:
        with stores.use("1-trusted") as same:
            fill(same)
        with stores.use("1-trusted") as second:
            assert second != first
        assert (first / "file").exists()
        with stores.use("1-trusted") as again:
            assert again == second
    assert names(tmp_path) == [second.name]


def test_one_that_was_too_large_when_the_server_was_killed(make, tmp_path):
    """The sweep at the start leaves the newest, and removes what a removal left."""
    stores = make()
    with stores.use("1-trusted") as first:
        fill(first)
        with stores.use("1-trusted"):
            pass
        with stores.use("1-trusted") as second:
            (tmp_path / "nix" / "trash-0123").mkdir()
            make().sweep()
            assert names(tmp_path) == [second.name]


def test_generations_are_counted_as_numbers(make, tmp_path):
    """The tenth is newer than the ninth."""
    for number in (9, 10):
        (tmp_path / "nix" / f"1-trusted.{number}").mkdir(parents=True)
    with make().use("1-trusted") as store:
        assert store.name == "1-trusted.10"


def test_what_nobody_used_for_a_month_goes(make, moments, tmp_path):
    """And what somebody uses stays, however long that takes."""
    stores = make()
    with stores.use("1-trusted"):
        with stores.use("2-trusted"):
            pass
        moments.time += MONTH
        with stores.use("3-trusted"):
            pass
        stores.sweep()
        assert names(tmp_path) == ["1-trusted.1", "3-trusted.1"]


def test_a_sweep_of_nothing(make):
    make().sweep()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_one_of_another_user_is_not_used(make, tmp_path):
    """Builds run as somebody else now, who could not write to it."""
    with make().use("1-trusted") as first:
        pass
    os.chown(first, 4711, 4711)
    with make().use("1-trusted") as second:
        assert second.name == "1-trusted.2"
