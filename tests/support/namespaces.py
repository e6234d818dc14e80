"""Network namespaces and the cables between them, which only root can make.

They have no names: the kernel removes each with the last process in it and the file that holds it
open, however a test ends. Nothing reaches the network of the machine.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which
from typing import Self

_NEW_NET = 0x40000000
_HERE = "/proc/thread-self/ns/net"
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int) -> None:
    if getattr(_LIBC, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def why_none() -> str:
    """Why this process can make none; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if which("ip") is None:
        return "network namespaces need the program ip, of the package iproute2"
    try:
        with Namespace() as made:
            made.ip("link", "add", "name", "probe", "type", "bridge")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces here: {error}"
    return ""


class Namespace:
    """A network of its own."""

    def __init__(self) -> None:
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", _NEW_NET)
            self._file = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
            _call("setns", before, _NEW_NET)
        finally:
            os.close(before)
        self.ip("link", "set", "lo", "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._file}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within the block the thread is there, with what it starts and connects."""
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        _call("setns", self._file, _NEW_NET)
        try:
            yield
        finally:
            _call("setns", before, _NEW_NET)
            os.close(before)

    def ip(self, *words: str) -> None:
        with self.entered():
            subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Network:
    """A server's namespace, and others that reach it at `address` by a cable each."""

    address = "10.99.0.1"

    def __init__(self) -> None:
        self.server = Namespace()
        self._others: list[Namespace] = []
        # With an address of its own: else it has that of a cable, which is then heard when cut.
        words = ("address", "02:00:00:00:00:01", "type", "bridge")
        self.server.ip("link", "add", "name", "switch", *words)
        self.server.ip("address", "add", f"{self.address}/16", "dev", "switch")
        self.server.ip("link", "set", "switch", "up")

    def join(self) -> "Cable":
        """One more namespace."""
        other = Namespace()
        self._others.append(other)
        number = len(self._others)
        ours, theirs = f"cable{number}", f"10.99.{1 + number // 250}.{1 + number % 250}"
        peer = ("peer", "name", "eth0", "netns", other.path)
        self.server.ip("link", "add", "name", ours, "type", "veth", *peer)
        self.server.ip("link", "set", ours, "master", "switch", "up")
        other.ip("address", "add", f"{theirs}/16", "dev", "eth0")
        other.ip("link", "set", "eth0", "up")
        return Cable(self.server, other, ours)

    def close(self) -> None:
        for one in (*self._others, self.server):
            one.close()


class Cable:
    """Between the server and the namespace `far`."""

    def __init__(self, server: Namespace, far: Namespace, name: str) -> None:
        self._server, self.far, self._name = server, far, name

    def cut(self) -> None:
        """What is sent is lost without a word, on both sides."""
        self._server.ip("link", "set", self._name, "nomaster")

    def mend(self) -> None:
        self._server.ip("link", "set", self._name, "master", "switch")
