"""The program podman, and the containers of one server: found by their label, and ended when the
server is no longer there to do it.
"""

import hashlib
import os
import pwd
import subprocess
import threading
import weakref
from pathlib import Path
from secrets import token_hex

import structlog

from ciserver.executor.sandbox import PATH

_WORK, _SERVER = "ciserver.work", "ciserver.server"
_CALL_SECONDS = 60
# Reads until this process has ended, however that came about, and then runs the rest.
_GUARD = 'exec 3<&0 </dev/null >/dev/null 2>&1; { read -r _ <&3; exec "$@" 3<&-; } &'
log = structlog.get_logger(__name__)


class Containers:
    """Those of this process. podman has no daemon: a container outlives whoever started it, and so
    somebody has to look after it.
    """

    def __init__(self) -> None:
        self._server = f"{_SERVER}={token_hex(16)}"
        self._lock = threading.Lock()
        self._is_guarded = False

    def labels(self, work_root: Path) -> tuple[str, ...]:
        """What a container for a build beneath that directory is given, to be found by."""
        return ("--label", _of(work_root), "--label", self._server)

    def guard(self) -> None:
        """From now on, when this process ends, a program outside of it removes its containers.
        Safe to repeat. Raises OSError.
        """
        with self._lock:
            if self._is_guarded:
                return
            reading, writing = os.pipe2(os.O_CLOEXEC)
            weakref.finalize(self, os.close, writing)
            removal = _removal("--filter", f"label={self._server}")
            command = ("/bin/sh", "-c", _GUARD, "sh", *removal)
            try:
                subprocess.run(
                    command, stdin=reading, env=environment(), start_new_session=True, check=True
                )
            except subprocess.CalledProcessError as error:
                raise OSError(f"the guard of containers did not start: {error}") from error
            finally:
                os.close(reading)
            self._is_guarded = True


def sweep(work_root: Path) -> None:
    """At the start of a server: end and remove the containers that a killed one left, which worked
    beneath the same directory.
    """
    _remove("--filter", f"label={_of(work_root)}")


def remove(name: str) -> None:
    """The container ends and is gone, if it is there."""
    _remove("--ignore", name)


def call(*words: str) -> subprocess.CompletedProcess[str]:
    """Run podman to its end, which is bounded."""
    try:
        return subprocess.run(
            ("podman", *words),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", str(error))


def environment() -> dict[str, str]:
    """What podman needs to find its storage: nothing else of the server's gets there."""
    entry = pwd.getpwuid(os.geteuid())
    session = Path("/run/user", str(entry.pw_uid))
    runtime = {"XDG_RUNTIME_DIR": str(session)} if session.is_dir() else {}
    return {"PATH": PATH, "HOME": entry.pw_dir, "USER": entry.pw_name, **runtime}


def last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else "it failed without a word"


def _of(work_root: Path) -> str:
    return f"{_WORK}={hashlib.sha256(os.fsencode(work_root)).hexdigest()[:32]}"


def _remove(*which: str) -> None:
    done = call(*_removal(*which)[1:])
    if done.returncode:
        log.warning("container-not-removed", which=which[-1], why=last_line(done.stderr))


def _removal(*which: str) -> tuple[str, ...]:
    return ("podman", "--log-level=error", "rm", "--force", "--time=0", *which)
