"""What still runs of the builds of a server or worker."""

import contextlib
from pathlib import Path

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.sandbox import MARKER
from ciserver.machine import work_root


def build_processes(server):
    """[(pid, words of its command line)] of whatever belongs to a build of this server: by the
    marker of plain processes, or by the work directory that a sandbox is bound to.
    """
    root = work_root(Settings(), DataDirectory(server.data))
    marker = f"{MARKER}={root}/".encode()
    bound = f"{root.parent.name}/{root.name}/build-".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if (
                bound in (entry / "mountinfo").read_bytes()
                or marker in (entry / "environ").read_bytes()
                or any(bound in word for word in words)
            ):
                found.append((int(entry.name), words))
    return found
