"""What ^C and SIGTERM leave behind, while threads are busy with killing and starting: nothing."""

import ctypes
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.processes import descendants, signal_all
from ciserver.machine import scratch_root

_SET_CHILD_SUBREAPER = 36
_ROUNDS = 500


def leave_no_trace_of(place: Path, *, stays: bool) -> None:
    """From now on these signals end everything that was started, and remove the place unless it
    stays.
    """

    def leave(number: int, _frame: object) -> None:
        _end_all()
        forget_scratch(place)
        if not stays:
            shutil.rmtree(place, ignore_errors=True)
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def forget_scratch(place: Path) -> None:
    """What servers and workers that are root keep outside of their directories."""
    for config in place.glob("*/*/ciserver.toml"):
        scratch = scratch_root(Settings(), DataDirectory(config.parent))
        if scratch != config.parent.resolve():
            shutil.rmtree(scratch, ignore_errors=True)


def _end_all() -> None:
    """Whatever outlives its parent becomes our child, until none is left."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A database that is killed without this leaves shared memory.
    signal_all(descendants(os.getpid()), signal.SIGQUIT)
    for _ in range(_ROUNDS):
        time.sleep(0.02)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = descendants(os.getpid())
        if not left:
            return
        signal_all(left, signal.SIGKILL)
