"""A router of the server's own, for one that is not root: a machine within the machine.

A program holds a user namespace, in which the server is root, and in it a network that forwards
as that of a machine does; slirp4netns, an ordinary program, makes the connections that leave it.
Both end when the server does, as their pipes from it then close, and nothing is left.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from typing import IO

from ciserver.executor.network_rules import NameServers
from ciserver.executor.router import PROGRAMS, NoNamespace, check_programs, environment, run

_TUN = Path("/dev/net/tun")
_WAYS = Path("/proc/thread-self/net/fib_trie")
# Nobody has these addresses, which are for documentation: what slirp4netns adds hides no host.
_UPLINK = "192.0.2.0/24"
_OUTSIDE = "192.0.2.2"
_NAMES = IPv4Address("192.0.2.3")
_HOLD = """
mount -t tmpfs -o mode=0700 tmpfs /run && echo 1 >/proc/sys/net/ipv4/ip_forward &&
ip link set lo up && echo ready && exec cat
"""
_NEW = ("--user", "--map-root-user", "--net", "--mount")
_SLIRP = (
    *("slirp4netns", "--configure", f"--cidr={_UPLINK}", "--mtu=65520"),
    *("--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"),
)
_USER_NAMESPACES = "permit user namespaces, as bubblewrap needs them too"
_END_SECONDS = 10


class RootlessRouter:
    """Implements Router."""

    is_shared = False

    def __init__(self) -> None:
        """Raises NoNamespace."""
        check_programs({**PROGRAMS, "slirp4netns": "slirp4netns"})
        _check_tun()
        life, life_end = os.pipe()
        self._life = os.fdopen(life_end, "wb")
        self._programs: list[subprocess.Popen[bytes]] = []
        try:
            self._programs.append(_hold(life))
            self._programs.append(_connect(self._holder, life))
        except (NoNamespace, OSError):
            self.close()
            raise
        finally:
            os.close(life)

    def run(self, *words: str, text: str = "", inside: Path | None = None) -> str:
        network = f"--net={self.seen(inside)}" if inside else "--net"
        return run(*self._enter("--user", "--mount", network), *words, text=text)

    def seen(self, path: Path) -> Path:
        return Path(f"/proc/{self._holder}/root", path.relative_to("/"))

    def way_to(self, namespace: Path) -> tuple[str, ...]:
        return self._enter("--user", f"--net={self.seen(namespace)}")

    def joined(self, namespace: Path) -> Path | None:
        return None  # only who enters the user namespace first has the right to

    def machine(self) -> tuple[IPv4Address, ...]:
        if any(one.poll() is not None for one in self._programs):
            raise NoNamespace("slirp4netns or its network ended; restart the server")
        found = _addresses_in(_WAYS.read_text())
        return tuple(sorted(set(found)))

    def listener(self, gateway: IPv4Address) -> tuple[str, str]:
        own = next(map(str, self.machine()), "")
        return (own, own) if own else ("127.0.0.1", _OUTSIDE)

    def close(self) -> None:
        self._life.close()
        for one in self._programs:
            one.wait(_END_SECONDS)

    @property
    def _holder(self) -> int:
        return self._programs[0].pid

    def _enter(self, *namespaces: str) -> tuple[str, ...]:
        # The holder is waited for at the end only: until then its number is nobody else's.
        target = f"--target={self._holder}"
        return ("nsenter", target, *namespaces, "--preserve-credentials", "--")


def asked_by_slirp(names: NameServers) -> NameServers:
    """Those that are reached from there: slirp4netns asks for one on a loopback address."""
    reached = (_NAMES if one.is_loopback else one for one in names.addresses)
    return NameServers(tuple(dict.fromkeys(reached)), names.others)


def _check_tun() -> None:
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise NoNamespace(
            f"{_TUN} cannot be opened ({error.strerror}), which slirp4netns needs",
            f"load the module tun, and let the server's user read and write {_TUN} (mode 0666)",
        ) from error


def _addresses_in(trie: str) -> Iterator[IPv4Address]:
    """The local ones of the kernel's table of ways, but for loopback addresses."""
    for leaf, kind in pairwise(trie.splitlines()):
        if kind.strip() == "/32 host LOCAL":
            address = IPv4Address(leaf.rpartition(" ")[2])
            if not address.is_loopback:
                yield address


def _hold(life: int) -> subprocess.Popen[bytes]:
    """The program that the namespaces belong to, once they are there. Raises NoNamespace."""
    output, output_end = os.pipe()
    with os.fdopen(output, "rb") as said:
        try:
            holder = _start("unshare", *_NEW, "sh", "-c", _HOLD, stdin=life, output=output_end)
        finally:
            os.close(output_end)
        first = said.readline().decode(errors="replace").strip()
    if first == "ready":
        return holder
    holder.wait(_END_SECONDS)
    raise NoNamespace(f"a user namespace cannot be made: {first}", _USER_NAMESPACES)


def _connect(holder: int, life: int) -> subprocess.Popen[bytes]:
    """Give the holder's network a way out. Raises NoNamespace."""
    ready, ready_end = os.pipe()
    output, output_end = os.pipe()
    numbers = (f"--ready-fd={ready_end}", f"--exit-fd={life}", str(holder), "tap0")
    try:
        slirp = _start(*_SLIRP, *numbers, output=output_end, handed=(ready_end, life))
    finally:
        os.close(ready_end)
        os.close(output_end)
    with os.fdopen(ready, "rb") as waiting:
        is_ready = waiting.read(1) == b"1"
    said = os.fdopen(output, "rb")
    if is_ready:
        threading.Thread(target=_drain, args=(said,), daemon=True).start()
        return slirp
    with said:
        words = said.read().decode(errors="replace").strip().splitlines()
    raise NoNamespace(f"slirp4netns failed: {words[-1] if words else slirp.wait(_END_SECONDS)}")


def _start(
    *words: str, output: int, stdin: int = subprocess.DEVNULL, handed: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=stdin,
        stdout=output,
        stderr=output,
        env=environment(),
        cwd="/",
        pass_fds=handed,
        start_new_session=True,  # it ends with the server, not by the keys of a terminal
    )


def _drain(said: IO[bytes]) -> None:
    """A full pipe would hold up who writes to it."""
    with said:
        while said.read(4096):
            pass
