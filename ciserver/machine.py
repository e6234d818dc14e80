"""What the machine and the settings give a server: system, sandbox, limits, room."""

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.choice import choose
from ciserver.executor.limits import Limits
from ciserver.executor.sandbox import BuildUser, Sandbox, SandboxBroken, find_build_user
from ciserver.executor.workdir import remove_tree
from ciserver.git.address import Addresses

_CACHE = Path("/var/cache/ciserver")
_OWNER = "data-directory"


def build_user(settings: Settings) -> BuildUser | None:
    """Whom builds run as: only a server that runs as root can and must choose."""
    return find_build_user(settings.builds.user) if os.geteuid() == 0 else None


def scratch_root(settings: Settings, data: DataDirectory) -> Path:
    """Where mirrors and work trees lie, which can be made again: in the data directory. A server
    that runs as root keeps them in /var/cache: its builds are another user's, who must get there
    and must not get into the data directory.
    """
    if build_user(settings) is None:
        return data.root
    directory = _CACHE / hashlib.sha256(bytes(data.root)).hexdigest()[:16]
    if not directory.exists():
        for one in (_CACHE, directory):
            one.mkdir(exist_ok=True)
            one.chmod(0o711)
        (directory / _OWNER).write_bytes(bytes(data.root))
    return directory


def forget_abandoned_scratch() -> None:
    """Remove what belonged to data directories that are gone."""
    for owner in _CACHE.glob(f"*/{_OWNER}"):
        with suppress(FileNotFoundError):  # another server that starts now removes it, too
            if not Path(os.fsdecode(owner.read_bytes())).exists():
                remove_tree(owner.parent)


def work_root(settings: Settings, data: DataDirectory) -> Path:
    """The directory of work trees, which builds pass through and cannot list."""
    root = settings.builds.work_directory or scratch_root(settings, data) / "work"
    if not root.exists():
        root.mkdir(parents=True)
        root.chmod(0o711)
    return root


def native_system() -> str:
    return f"{platform.machine()}-{platform.system().lower()}"


def choose_sandbox(
    settings: Settings, data: DataDirectory, *, hidden: tuple[Path, ...] = ()
) -> Sandbox | SandboxBroken:
    """The sandbox of the settings, tried out. `hidden` is covered beside the data directory."""
    return choose(
        settings.builds.sandbox,
        user=build_user(settings),
        readable=settings.builds.readable,
        hidden=(data.root, scratch_root(settings, data), *hidden),
    )


def make_addresses(settings: Settings, data: DataDirectory) -> Addresses:
    work = settings.builds.work_directory
    own = (data.root, scratch_root(settings, data), *((work,) if work else ()))
    return Addresses(
        local_roots=settings.git.local_roots,
        forbidden=own,
        allow_http=settings.git.allow_http,
        allow_git=settings.git.allow_git,
    )


def make_limits(settings: Settings) -> Limits:
    return Limits(
        timeout_seconds=settings.builds.timeout_minutes * 60,
        silence_seconds=settings.builds.silence_minutes * 60,
        log_bytes=settings.builds.log_limit_mb * 1024 * 1024,
        memory_mb=settings.builds.memory_mb,
        pids=settings.builds.pids,
        disk_mb=settings.builds.disk_mb,
        products_bytes=settings.builds.products_mb * 1024 * 1024,
    )
