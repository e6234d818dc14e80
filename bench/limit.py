"""The limit: what this machine does when nothing is asked of it but the thing itself."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.ours import answers
from bench.processes import free_port, spawns_per_second, started, until

NAME = "limit"
HELLO = """
import sys, falcon, waitress

class Hello:
    def on_get(self, req, resp):
        resp.media = {"hello": "there"}

    def on_post(self, req, resp):
        req.bounded_stream.read()
        resp.media = {"hello": "there"}

app = falcon.App()
app.add_route("/", Hello())
waitress.serve(app, listen=f"127.0.0.1:{sys.argv[1]}", threads=64)
"""
BUBBLEWRAP = ("bwrap", "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "/bin/true")


def bubblewraps_per_second(at_once: int, seconds: float) -> float:
    return spawns_per_second(at_once, seconds, BUBBLEWRAP)


@contextmanager
def hello(place: Path) -> Iterator[int]:
    """The smallest application of the same stack; answers its port."""
    port = free_port()
    with started([sys.executable, "-c", HELLO, str(port)], place / "hello.log") as process:
        until(lambda: answers(process, port, "/"), 20, "hello")
        yield port


def piped_mb_per_second(script: str, place: Path) -> float:
    """What a script prints, taken from a pipe and written to a file."""
    began, size = time.monotonic(), 0
    with (place / "piped").open("wb", buffering=0) as kept:
        process = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE)
        assert process.stdout is not None  # noqa: S101  it was asked for
        with process.stdout as output:
            while piece := os.read(output.fileno(), 1 << 20):
                size += kept.write(piece)
        process.wait()
    return size / 1e6 / (time.monotonic() - began)
