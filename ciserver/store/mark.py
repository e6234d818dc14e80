"""A mark in a directory, by which two servers see whether they share it."""

import secrets
from pathlib import Path

_FILE = "storage.id"


def mark_of(root: Path) -> str:
    """Made by whoever asks first; the directory has to be there."""
    path, making = root / _FILE, root / f".{_FILE}.{secrets.token_hex(8)}"
    if not path.exists():
        making.write_text(secrets.token_hex(16))
        try:
            path.hardlink_to(making)  # whole, or somebody else's is there
        except FileExistsError:
            pass
        finally:
            making.unlink()
    return path.read_text()
