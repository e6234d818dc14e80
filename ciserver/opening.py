"""Opens what a server keeps: its rows, its files and its keys, where the settings say."""

import re
import secrets
import socket
from functools import partial
from pathlib import Path

import structlog

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.git.place import naming_key
from ciserver.machine import scratch_root, storage_root
from ciserver.model.errors import BadConfiguration
from ciserver.store.files import folders_with_files
from ciserver.store.objects import Objects
from ciserver.store.store import Store

_MIRRORS_KEY = "mirrors"
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+|^[._-]+")
log = structlog.get_logger()


def open_store(settings: Settings, data: DataDirectory) -> Store:
    """The rows and the files where the settings say. Raises BadConfiguration where files would be
    left behind.
    """
    root = storage_root(settings, data)
    if root != data.root:
        _take(root, data)
    return Store(
        data.root,
        settings.database.url,
        storage=root,
        keys=_keys_root(settings, data),
        node=node_name(settings),
        bucket=_make_bucket(settings),
    )


def _make_bucket(settings: Settings) -> Objects | None:
    """The bucket for finished logs and products, which nobody asked anything yet."""
    given = settings.storage
    if not given.s3_bucket:
        return None
    try:
        from ciserver.store.s3 import Bucket, S3Objects  # noqa: PLC0415  an extra, and slow
    except ImportError as error:
        raise BadConfiguration(
            f"storage.s3_bucket needs what is not installed: {error}",
            hint="pip install 'ciserver[s3]'",
        ) from error
    return S3Objects(
        Bucket(
            given.s3_bucket,
            endpoint=given.s3_endpoint,
            region=given.s3_region,
            prefix=given.s3_prefix.strip("/"),
            access_key=given.s3_access_key,
            secret_key=given.s3_secret_key,
        )
    )


def node_name(settings: Settings) -> str:
    """What this server is called among those of its database."""
    return settings.server.node or _NO_NAME.sub("-", socket.gethostname())[:63] or "server"


def place_of(data: DataDirectory) -> str:
    """Tells this data directory from those of all machines."""
    return f"{socket.gethostname()}:{data.root}"


def _keys_root(settings: Settings, data: DataDirectory) -> Path:
    """Where the keys lie. Raises BadConfiguration for a directory that cannot be used."""
    root = settings.storage.keys
    if root is None:
        return data.root
    try:
        root.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise BadConfiguration(
            f"storage.keys {root} cannot be made: {error.strerror}",
            hint="mount its disk or make the directory above it, for the server's user",
        ) from error
    return root.resolve()


def mirrors_key(settings: Settings, data: DataDirectory, store: Store) -> bytes:
    """What goes into the names of mirrors, alike on all servers of a database. It is sealed, so it
    also tells whether the key file is the one that belongs to the database. Raises
    BadConfiguration where it is not, and other servers would read what this one sealed.
    """
    root = scratch_root(settings, data) / "mirrors"
    make = partial(naming_key, root) if root.exists() else partial(secrets.token_bytes, 32)
    try:
        return store.keys.get(_MIRRORS_KEY, make)
    except BadConfiguration as error:
        if store.database.is_shared:
            store.database.close()
            raise BadConfiguration(
                f"the key in {store.seal_file} is not the one that the secrets in"
                f" {store.database.place} are sealed with",
                hint="put the secret.key of the other servers, or of a backup, in its place,"
                " or name its directory: storage.keys",
            ) from error
        log.warning("stored-secrets-not-opened", why=error.message, hint=error.hint)
        fresh = make()
        with store.transaction():
            store.keys.put(_MIRRORS_KEY, fresh)
        return fresh


def _take(root: Path, data: DataDirectory) -> None:
    """Use another directory than the server's own for files."""
    if left := folders_with_files(data.root):
        raise BadConfiguration(
            f"storage.directory is {root}, but {data.root} still has files in {', '.join(left)}",
            hint=f"stop all servers, move these folders to {root}, and start again",
        )
    try:
        root.mkdir(mode=0o700, exist_ok=True)  # not its parents: a disk may not be mounted
    except OSError as error:
        raise BadConfiguration(
            f"storage.directory {root} cannot be made: {error.strerror}",
            hint="mount its disk or make the directory above it, for the server's user",
        ) from error


def has_database(settings: Settings, data: DataDirectory) -> bool:
    """Whether there may be rows: a file of SQLite is made at the first start."""
    return bool(settings.database.url) or (data.root / "ciserver.db").exists()
