"""What commands look at and mend in a data directory, whether a server runs over it or not."""

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import has_database, open_store
from ciserver.model.build import Product
from ciserver.model.storage import ProjectStorage
from ciserver.service import orphans
from ciserver.store.files import KeptFile


def compare_products(
    data: DataDirectory, settings: Settings
) -> tuple[tuple[Product, ...], tuple[KeptFile, ...]]:
    """Products without a file, and files without a product that are not just being written."""
    store = open_store(settings, data)
    try:
        return orphans.compare(store)
    finally:
        store.database.close()


def look_at_storage(
    data: DataDirectory, settings: Settings
) -> tuple[tuple[ProjectStorage, ...], tuple[str, ...]]:
    """Projects that keep as much as they may, and those whose rows do not tell what they keep."""
    store = open_store(settings, data)
    try:
        full = store.storage.list_full(settings.builds.project_quota_mb)
        return full, store.storage.list_wrong()
    finally:
        store.database.close()


def remove_orphaned_products(data: DataDirectory, settings: Settings) -> int:
    """Remove the files without a product, also beside a running server; answers how many."""
    if not has_database(settings, data):
        return 0
    store = open_store(settings, data)
    try:
        return orphans.remove(store)
    finally:
        store.database.close()
