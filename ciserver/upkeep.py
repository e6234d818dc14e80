"""What commands look at and mend in a data directory, whether a server runs over it or not."""

from pathlib import Path

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import storage_root
from ciserver.model.build import Product
from ciserver.model.errors import BadConfiguration, StorageAway
from ciserver.model.storage import ProjectStorage, Waiting
from ciserver.opening import has_database, open_store
from ciserver.service import orphans
from ciserver.store.files import KeptFile, LogFile
from ciserver.store.moving_files import Moved, Tell, to_bucket, to_directory


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


def compare_logs(
    data: DataDirectory, settings: Settings
) -> tuple[tuple[tuple[int, int], ...], tuple[LogFile, ...]]:
    """Attempts, by build and number, without the logs that are kept of them, and packed logs of
    which no row tells.
    """
    store = open_store(settings, data)
    try:
        return orphans.compare_logs(store)
    finally:
        store.database.close()


def look_at_files(
    data: DataDirectory, settings: Settings
) -> tuple[Waiting | None, Path, StorageAway | None]:
    """What waits for the object storage, None where there is none; the directory of files; and why
    the storage does not answer, if it does not.
    """
    root = storage_root(settings, data)
    if not settings.storage.s3_bucket:
        return None, root, None
    store = open_store(settings, data)
    try:
        store.files.check_bucket()
    except StorageAway as away:
        return store.files.waiting(), root, away
    finally:
        store.database.close()
    return store.files.waiting(), root, None


def remove_orphaned_files(data: DataDirectory, settings: Settings) -> int:
    """Remove the files without a row, also beside a running server; answers how many."""
    if not has_database(settings, data):
        return 0
    store = open_store(settings, data)
    try:
        return orphans.remove(store)
    finally:
        store.database.close()


def move_files(data: DataDirectory, settings: Settings, target: str, tell: Tell) -> Moved:
    """Move all finished logs and products to the `bucket` or to the `directory`, and compare what
    arrived; `tell` hears of each. Raises BadConfiguration, StorageAway.
    """
    objects = open_store(settings, data).files.spooled()
    if objects is None:
        raise BadConfiguration(
            "no object storage is set", hint="set storage.s3_bucket and what belongs to it"
        )
    return to_bucket(objects, tell) if target == "bucket" else to_directory(objects, tell)
