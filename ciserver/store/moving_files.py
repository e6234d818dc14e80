"""Moving all finished files to the bucket or back, and comparing what arrived."""

import gzip
import zlib
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import IO

from ciserver.model.errors import CiError
from ciserver.model.frozen import frozen
from ciserver.store.objects import FINISHED, Kept
from ciserver.store.spooled_objects import SpooledObjects

_CHUNK = 1024 * 1024
Tell = Callable[[Kept], None]


@frozen
class Moved:
    """`damaged` are keys of files that stayed where they were: they are not what was kept."""

    files: int
    size: int
    damaged: tuple[str, ...]


def to_bucket(objects: SpooledObjects, tell: Tell) -> Moved:
    """Each file leaves the directory when the bucket has it and what is read there has the same
    SHA-256. May be killed at any time; what is left goes the next time. Raises StorageAway.
    """
    files, size, damaged = 0, 0, list[str]()
    for one in objects.list_waiting():
        with objects.near.open(one.key) as content:
            if not is_sound(one.key, content):
                damaged.append(one.key)
                continue
            content.seek(0)
            wanted = _digest(content)
        objects.copy_out(one.key)
        with objects.far.open(one.key) as content:
            if _digest(content) != wanted:
                raise CiError(
                    f"what arrived of {one.key} is not what was sent",
                    hint="it is still in the directory; move again, and report this if it stays so",
                )
        objects.near.remove(one.key)
        files, size = files + 1, size + one.size
        tell(one)
    return Moved(files, size, tuple(damaged))


def to_directory(objects: SpooledObjects, tell: Tell) -> Moved:
    """Each file is compared before it has its name; one that the directory has already is left out.
    Nothing is removed from the bucket. May be killed at any time, and goes on the next time. Raises
    StorageAway.
    """
    files, size, damaged = 0, 0, list[str]()
    for folder in FINISHED:
        for one in objects.far.list(folder):
            if objects.near.find(one.key):
                continue
            if not objects.copy_in(one.key, partial(is_sound, one.key)):
                damaged.append(one.key)
                continue
            files, size = files + 1, size + one.size
            tell(one)
    return Moved(files, size, tuple(damaged))


def is_sound(key: str, content: IO[bytes]) -> bool:
    """Whether a file is what was kept: a product has the SHA-256 that it is called, a packed log
    the checksums within it.
    """
    if key.startswith("products/"):
        return _digest(content) == key.rpartition("/")[2]
    try:
        with gzip.open(content) as log:
            while log.read(_CHUNK):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def _digest(content: IO[bytes]) -> str:
    digest = sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
