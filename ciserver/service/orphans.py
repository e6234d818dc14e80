"""Where the files of products and logs and their rows do not agree."""

from collections.abc import Container

from ciserver.model.build import Product
from ciserver.store.files import KeptFile, LogFile
from ciserver.store.store import Store

_AT_ONCE = 500


def compare(store: Store) -> tuple[tuple[Product, ...], tuple[KeptFile, ...]]:
    """Products that stand and have no file, and files that no product has. A file that is so young
    that its product may be about to be written down is left out.
    """
    kept = {one.sha256: one for one in store.files.list_products()}
    orphans = tuple(
        one for one in kept.values() if not one.is_young and not store.keeping.is_known(one.sha256)
    )
    return tuple(_without_file(store, kept)), orphans


def compare_logs(store: Store) -> tuple[tuple[tuple[int, int], ...], tuple[LogFile, ...]]:
    """Attempts, by build and number, of which logs are counted and no file is there, and packed
    logs of attempts that have none. Files are listed first: each has a row before it is packed.
    """
    files = tuple(store.files.list_logs())
    known = store.log_keeping.sizes()
    there = {(one.build_id, one.attempt) for one in files}
    lost = (
        where
        for where, size in known.items()
        if size and where not in there and not _has_logs(store, *where)
    )
    orphans = (one for one in files if one.is_packed and (one.build_id, one.attempt) not in known)
    return tuple(lost), tuple(orphans)


def remove(store: Store) -> int:
    """Remove the files that no row tells of; answers how many."""
    (_, products), (_, logs) = compare(store), compare_logs(store)
    for one in logs:
        store.files.remove_log(one.build_id, one.attempt, one.step)
    return len(logs) + sum(store.files.remove_product(one.sha256) for one in products)


def _has_logs(store: Store, build_id: int, attempt: int) -> bool:
    """Looked at one by one: they may have come since they were listed."""
    steps = store.log_keeping.steps_of(build_id, attempt)
    return any(store.files.log_size(build_id, attempt, one) for one in steps)


def _without_file(store: Store, kept: Container[str]) -> list[Product]:
    # A file may have come since they were listed.
    lost: list[Product] = []
    after = 0
    while standing := store.keeping.list_standing(after, _AT_ONCE):
        lost += (
            one
            for one in standing
            if one.sha256 not in kept and not store.files.has_product(one.sha256)
        )
        after = standing[-1].id
    return lost
