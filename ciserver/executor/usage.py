"""What processes and directories use, as this machine tells it without any control group."""

import os
import re
import subprocess
import time
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import NamedTuple

_KIB = 1024
_STATUS = re.compile(rb"^(RssAnon|RssShmem|VmSwap|Threads):\s+(\d+)", re.MULTILINE)
_ROLLUP = re.compile(rb"^(Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+)", re.MULTILINE)
_FIRST_LOOK = 0.5
_REST = 10  # times as long as a look took
_LAST_LOOK_SECONDS = 30


class Usage(NamedTuple):
    """`own` bytes are in no file, `shared` ones in files that live in memory."""

    own: int
    shared: int
    threads: int


def measure(pids: Iterable[int]) -> Usage:
    """What these processes hold. Pages that several of them share count for each, so it is never
    too little for what is mapped, and cheap.
    """
    own = shared = threads = 0
    for pid in pids:
        values = _numbers(pid, "status", _STATUS)
        own += values.get(b"RssAnon", 0) + values.get(b"VmSwap", 0)
        shared += values.get(b"RssShmem", 0)
        threads += values.get(b"Threads", 0)
    return Usage(own * _KIB, shared * _KIB, threads)


def measure_exactly(pids: Iterable[int]) -> Usage:
    """The same with every page counted once, which takes the kernel longer."""
    own = shared = threads = 0
    for pid in pids:
        values = _numbers(pid, "smaps_rollup", _ROLLUP)
        if not values:
            simple = measure((pid,))
            own, shared = own + simple.own // _KIB, shared + simple.shared // _KIB
        own += values.get(b"Pss_Anon", 0) + values.get(b"SwapPss", 0)
        shared += values.get(b"Pss_Shmem", 0)
    return Usage(own * _KIB, shared * _KIB, threads)


def in_memory_files(pid: int, places: Iterable[str]) -> int:
    """The bytes of files in the file systems at these places as that process sees them, where
    they are not those of this machine.
    """
    total = 0
    for place in places:
        inside = Path(f"/proc/{pid}/root{place}")
        try:
            if inside.stat().st_dev != Path(place).stat().st_dev:
                found = os.statvfs(inside)
                total += (found.f_blocks - found.f_bfree) * found.f_frsize
        except OSError:
            continue
    return total


class DiskUsage:
    """How much lies in directories that others fill, measured beside what else goes on.

    `du` does it: it follows no link, minds neither depth nor odd names, and takes no time of this
    process. It rests in proportion to how long it took.
    """

    def __init__(self, places: tuple[Path, ...]) -> None:
        self._command = ("du", "-s", "-x", "--block-size=1", "--", *map(str, places))
        self._du: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._next_at = time.monotonic() + _FIRST_LOOK
        self._bytes = 0

    def look(self) -> int:
        """The bytes that were there when `du` last came to its end. Returns at once."""
        now = time.monotonic()
        if self._du is None and now >= self._next_at:
            self._begin(now)
        elif self._du is not None and self._du.poll() is not None:
            self._end(self._du)
            self._next_at = now + _REST * (now - self._began)
        return self._bytes

    def last(self) -> int:
        """The bytes that are there now, when nobody writes any more."""
        self.close()
        self._begin(time.monotonic())
        if self._du is not None:
            try:
                self._du.wait(_LAST_LOOK_SECONDS)
                self._end(self._du)
            except subprocess.TimeoutExpired:
                self.close()
        return self._bytes

    def close(self) -> None:
        """End a measurement that is under way. Safe to repeat."""
        du, self._du = self._du, None
        if du is not None:
            du.kill()
            du.communicate()

    def _begin(self, now: float) -> None:
        self._began = now
        self._du = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _end(self, du: subprocess.Popen[bytes]) -> None:
        said, _ = du.communicate()
        self._du = None
        sizes = [int(line.split(b"\t")[0]) for line in said.splitlines()]
        if sizes:
            self._bytes = sum(sizes)


def _numbers(pid: int, name: str, pattern: re.Pattern[bytes]) -> dict[bytes, int]:
    try:
        with FileIO(f"/proc/{pid}/{name}") as file:
            content = file.readall()
    except OSError:
        return {}
    return {name: int(number) for name, number in pattern.findall(content)}
