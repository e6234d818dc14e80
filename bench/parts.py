"""The parts of this program over fresh directories, for what needs no server."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ciserver.config import Database, Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.removal import remove_tree
from ciserver.machine import scratch_root
from ciserver.model.ports import Clock
from ciserver.wiring import Parts, make_parts

PREFIX = "ciserver-bench-"


@contextmanager
def fresh_place() -> Iterator[Path]:
    """A directory that is gone in the end."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as place:
        yield Path(place)


@contextmanager
def parts_over(place: Path, clock: Clock | None = None, database: str = "") -> Iterator[Parts]:
    """All parts over `data` in a directory, and over this database if one is named. What a server
    needs of it stays.
    """
    settings = Settings(database=Database(url=database))
    parts = make_parts(settings, DataDirectory(place / "data"), clock=clock)
    try:
        yield parts
    finally:
        parts.store.database.close()
        forget_scratch(place / "data")


def forget_scratch(data: Path) -> None:
    """Remove what root keeps outside of a data directory."""
    directory = DataDirectory(data)
    scratch = scratch_root(Settings(), directory)
    if scratch != directory.root:
        remove_tree(scratch)
