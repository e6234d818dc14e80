"""Stops new builds before the disk is full: what runs may finish, what waits says why."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

MINIMUM_BYTES = 100 * 1024 * 1024


class Pausable(Protocol):
    def pause(self, reason: str) -> None: ...

    def resume(self) -> None: ...


class DiskGuard:
    """Watches the disks of the data directory and of the work trees."""

    def __init__(self, paths: Iterable[Path], engine: Pausable) -> None:
        self._paths = tuple(paths)
        self._engine = engine
        self._full: Path | None = None

    def check(self) -> None:
        """Pause the engine while one of them is nearly full."""
        full = next((path for path in self._paths if _is_nearly_full(path)), None)
        if full and full != self._full:
            self._engine.pause(f"the disk of {full} is nearly full; make room there")
        if self._full and not full:
            self._engine.resume()
        self._full = full


def _is_nearly_full(path: Path) -> bool:
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize < MINIMUM_BYTES
