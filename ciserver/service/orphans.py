"""Where the files of products and their rows do not agree."""

from ciserver.model.build import Product
from ciserver.store.files import KeptFile
from ciserver.store.store import Store

_AT_ONCE = 500


def compare(store: Store) -> tuple[tuple[Product, ...], tuple[KeptFile, ...]]:
    """Products that stand and have no file, and files that no product has. A file that is so young
    that its product may be about to be written down is left out.
    """
    orphans = tuple(
        one
        for one in store.files.list_products()
        if not one.is_young and not store.keeping.is_known(one.sha256)
    )
    return tuple(_without_file(store)), orphans


def remove(store: Store) -> int:
    """Remove the files that no product has; answers how many."""
    _, orphans = compare(store)
    return sum(store.files.remove_product(one.sha256) for one in orphans)


def _without_file(store: Store) -> list[Product]:
    lost: list[Product] = []
    after = 0
    while standing := store.keeping.list_standing(after, _AT_ONCE):
        lost += (one for one in standing if not store.files.has_product(one.sha256))
        after = standing[-1].id
    return lost
