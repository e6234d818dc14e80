"""Where mirrors lie on the disk: making one once, locking it, who may read it."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

_FOLDERS = ("objects/info", "objects/pack", "refs/heads", "refs/tags")
_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\tlogAllRefUpdates = false
\tsharedRepository = 0640
"""


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file; ends with the process, however that ends. Excludes threads as well.

    Gives the open file's descriptor.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def writing(folder: Path, lock: Path) -> Iterator[None]:
    """Hold a mirror's lock, and first free what a writer that was killed had locked in it.

    The lock file has a word in it while somebody writes: whoever finds one knows of the death.
    """
    with locked(lock) as descriptor:
        if os.fstat(descriptor).st_size:
            _free(folder)
        os.pwrite(descriptor, b"writing\n", 0)
        yield  # without `finally`: whoever fails may have left a lock as well
        os.ftruncate(descriptor, 0)


def _free(folder: Path) -> None:
    """Remove the lock files with which git guards refs and settings against other writers."""
    for left in (*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")):
        left.unlink(missing_ok=True)


def make_folder(folder: Path, group_id: int | None) -> None:
    """Make a directory that the group may read; what is made in it later has the same group."""
    folder.mkdir(parents=True, exist_ok=True)
    if group_id is None:
        folder.chmod(0o750)
    else:
        os.chown(folder, -1, group_id)
        folder.chmod(0o2750)


def make_mirror(folder: Path, group_id: int | None) -> None:
    """Make an empty mirror; it has its name only when it is complete. The caller has the lock."""
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    for name in ("", "objects", "refs", *_FOLDERS):
        make_folder(making / name, group_id)
    (making / "HEAD").write_text("ref: refs/heads/none\n")
    (making / "config").write_text(_CONFIG)
    for name in ("HEAD", "config"):
        (making / name).chmod(0o640)
    making.rename(folder)


def used_file(folder: Path) -> Path:
    """What has the time of the last use of a mirror."""
    return folder.with_suffix(".used")


def remove_unused(folder: Path, since: datetime) -> bool:
    """Remove a mirror that nobody used since then; it is whole or gone for whoever looks. False
    when somebody did. The caller has the lock.
    """
    used = used_file(folder)
    if not used.exists():
        used.touch(mode=0o600)
    # Whoever opened it meanwhile touched the file before.
    if used.stat().st_mtime >= since.timestamp():
        return False
    leaving = folder.with_suffix(".leaving")
    shutil.rmtree(leaving, ignore_errors=True)
    folder.rename(leaving)
    used.unlink()
    shutil.rmtree(leaving)
    return True


def share_packs(folder: Path) -> None:
    """Let the group read new packs, whatever the umask of this process is."""
    with os.scandir(folder / "objects" / "pack") as entries:
        for entry in entries:
            mode = entry.stat().st_mode
            if not mode & 0o040:
                with suppress(FileNotFoundError):
                    Path(entry.path).chmod(0o440)


def naming_key(root: Path) -> bytes:
    """The secret of this root that goes into the names of mirrors; made once.

    A sandbox sees the names, and a credential is part of what is named.
    """
    path = root / "naming-key"
    with locked(root / "naming-key.lock"):
        if not path.exists():
            making = path.with_suffix(".making")
            making.write_bytes(b"")
            making.chmod(0o600)
            making.write_bytes(secrets.token_bytes(32))
            making.rename(path)
        return path.read_bytes()
