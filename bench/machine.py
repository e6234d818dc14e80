"""What a reader must know of the machine to believe a figure."""

import os
import platform
import shutil
import sqlite3
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.buildbot import VERSION
from bench.processes import Wrong, run
from ciserver import __version__

CHECKOUT = Path(__file__).parents[1]


def facts() -> dict[str, object]:
    place = Path(tempfile.gettempdir())
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": _value("/proc/cpuinfo", "model name"),
        "processors": len(os.sched_getaffinity(0)),
        "memory": _value("/proc/meminfo", "MemTotal"),
        "load": os.getloadavg(),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "bubblewrap": _said("bwrap", "--version"),
        "file_system": _said("stat", "--file-system", "--format=%T", str(place)),
        "free_gb": shutil.disk_usage(place).free // 10**9,
        "ciserver": __version__,
        "revision": _said("git", "-C", str(CHECKOUT), "rev-parse", "HEAD"),
        "is_changed": bool(_said("git", "-C", str(CHECKOUT), "status", "--porcelain")),
        "buildbot": VERSION,
    }


def _value(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


def _said(*command: str) -> str:
    with suppress(Wrong, OSError):
        return run(*command).strip()
    return ""
