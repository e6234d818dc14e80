"""Temporary files in memory: most of what a test waits for is a disk that makes rows durable."""

import os
import tempfile
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 << 30


def keep_temporary_files_in_memory() -> None:
    """From now on, here and in programs that are started, unless TMPDIR says where they belong or
    this machine has no memory to spare.
    """
    if "TMPDIR" not in os.environ and _is_fit(_SHARED_MEMORY):
        os.environ["TMPDIR"] = str(_SHARED_MEMORY)
        tempfile.tempdir = None  # asked again


def _is_fit(place: Path) -> bool:
    """Whether it has room, and lets programs run: hooks are some."""
    if not os.access(place, os.W_OK):
        return False
    about = os.statvfs(place)
    return about.f_bavail * about.f_frsize > _ROOM_BYTES and not about.f_flag & os.ST_NOEXEC
