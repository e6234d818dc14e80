"""Processes that are measured: started, waited for, looked at, and all of them ended."""

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

Found = TypeVar("Found")
_SET_CHILD_SUBREAPER = 36
CALIBRATION_SECONDS = 0.5
_orphans = threading.Lock()  # held by who looks at them until they are waited for


class Wrong(Exception):
    """A measurement that cannot be believed, with the reason."""


class Lacking(Exception):
    """A system does not have what a row is about."""


def until(condition: Callable[[], Found], seconds: float, what: str, every: float = 0.02) -> Found:
    """The first true answer; raises Wrong after the limit."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(every)
    raise Wrong(f"not within {seconds:g} s: {what}")


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raises Wrong in the main thread when what is done takes longer."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Wrong(f"stopped after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def steady_clock() -> Iterator[None]:
    """Raises Wrong when somebody set the clock meanwhile: builds tell the time by it."""
    before = time.time() - time.monotonic()
    yield
    if abs(time.time() - time.monotonic() - before) > 0.001:
        raise Wrong("the clock was set while it was read")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program in a session of its own, ended in the end, whatever it takes."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def adopt_orphans(look_every: float = 1.0) -> None:
    """Whatever outlives what we start becomes our child, so that nothing can be left unseen. What
    sandboxes leave is waited for by a thread that looks from time to time.
    """
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    own = _depth(os.getpid())

    def look() -> None:
        while True:
            time.sleep(look_every)
            _reap_sandboxes(own)

    threading.Thread(target=look, name="orphans", daemon=True).start()


def _reap_sandboxes(own: int) -> None:
    """Wait for children that have ended and were the first of a PID namespace of their own. Each
    build in bubblewrap leaves one, and whoever looks through /proc would have to pass them all.
    What we start, and may wait for ourselves, is in our namespace and is not touched.
    """
    with _orphans:
        for pid in children(os.getpid()):
            with suppress(OSError):
                if _depth(pid) > own:
                    os.waitpid(pid, os.WNOHANG)


def _depth(pid: int) -> int:
    """In how many PID namespaces, one within the other, a process has a number."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((len(line.split()) - 1 for line in lines if line.startswith("NSpid:")), 0)


def end_orphans() -> list[str]:
    """Kill what is left of the systems; answers their command lines."""
    left = []
    with _orphans:
        for pid in children(os.getpid()):
            name = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if name:  # else it has ended already
                left.append(name)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return left + end_orphans() if left else left


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def family(pid: int) -> Iterator[int]:
    yield pid
    for child in children(pid):
        yield from family(child)


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) / 1024
    return 0.0  # it has ended


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a program prints; raises Wrong with what it said when it fails."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise Wrong(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def spawns_per_second(
    at_once: int = 1,
    seconds: float = CALIBRATION_SECONDS,
    command: Sequence[str] = ("/bin/true",),
) -> float:
    """How often a program can be started and waited for."""
    began, ends = time.monotonic(), time.monotonic() + seconds
    broken = threading.Event()

    def spawn() -> int:
        count = 0
        while time.monotonic() < ends:
            pid = os.posix_spawnp(command[0], [*command], os.environ)
            if os.waitpid(pid, 0)[1]:
                broken.set()
            count += 1
        return count

    with ThreadPoolExecutor(at_once) as threads:
        count = sum(one.result() for one in [threads.submit(spawn) for _ in range(at_once)])
    if broken.is_set():
        raise Wrong(f"{' '.join(command)} fails")
    return count / (time.monotonic() - began)
