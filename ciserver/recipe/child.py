"""Running a program that evaluates what strangers wrote: it ends in time, with all it started."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path

from ciserver.model.frozen import frozen

_ROOT = str(Path(__file__).parents[2])
# The environment and the working directory have no say in what is imported.
_START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_CHUNK = 1 << 16
_SAID_BYTES = 1 << 16


@frozen
class Ended:
    """How a program ended: `code` is negative for the signal that ended it. `late` and `too_long`
    say that it was killed for its time or its output.
    """

    output: bytes
    said: str  # the last of what it wrote to standard error
    code: int
    late: bool = False
    too_long: bool = False


def our_program(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this room as a program."""
    name = f"ciserver.recipe.{module}"
    return [sys.executable, "-I", "-c", _START, _ROOT, name, *arguments]


def run(
    command: Sequence[str],
    given: bytes = b"",
    *,
    seconds: float,
    most_bytes: int,
    environment: Mapping[str, str] | None = None,
    directory: Path = Path("/"),
    merged: bool = False,
) -> Ended:
    """Run a program with this standard input, and nothing of our own environment, for at most so
    long and for at most so much output. Nothing of its process group is left then. `merged`: what
    it writes to standard error is among its output, in order.
    """
    with (
        _memory_file(given) as stdin,
        subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            env=dict(environment or {}),
            cwd=directory,
            start_new_session=True,
        ) as child,
    ):
        try:
            watch = _Watch(child, most_bytes)
            late = not watch.until_end(time.monotonic() + seconds)
        finally:
            # It is not waited for yet, so nobody else can have its number.
            os.killpg(child.pid, signal.SIGKILL)
        watch.drain()
        code = child.wait()
    said = bytes(watch.said).decode("utf-8", "replace")
    too_long = len(watch.output) > most_bytes
    return Ended(bytes(watch.output[:most_bytes]), said, code, late, too_long)


class _Watch:
    """Reads what a program writes until it ends, which also counts where others hold its pipes."""

    def __init__(self, child: subprocess.Popen[bytes], most_bytes: int) -> None:
        self.output, self.said = bytearray(), bytearray()
        self._most_bytes = most_bytes
        pipes = ((child.stdout, self.output), (child.stderr, self.said))
        self._pipes = {pipe.fileno(): store for pipe, store in pipes if pipe}
        self._pid = child.pid

    def until_end(self, deadline: float) -> bool:
        """False when the time is over before the program or its allowance has ended."""
        end = os.pidfd_open(self._pid)
        try:
            with selectors.DefaultSelector() as ready:
                for one in (*self._pipes, end):
                    ready.register(one, selectors.EVENT_READ)
                while (left := deadline - time.monotonic()) > 0:
                    fired = [key.fd for key, _ in ready.select(left)]
                    for one in fired:
                        if one != end and not self._take(one):
                            ready.unregister(one)
                    if end in fired or len(self.output) > self._most_bytes:
                        return True
        finally:
            os.close(end)
        return False

    def drain(self) -> None:
        """What is still in the pipes when nobody writes any more."""
        for one in self._pipes:
            while len(self.output) <= self._most_bytes and self._take(one):
                pass

    def _take(self, pipe: int) -> bool:
        read = os.read(pipe, _CHUNK)
        self._pipes[pipe] += read
        del self.said[:-_SAID_BYTES]
        return bool(read)


def _memory_file(content: bytes) -> FileIO:
    file = FileIO(os.memfd_create("given"), "r+")
    file.write(content)
    file.seek(0)
    return file
