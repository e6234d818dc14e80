"""A machine and an internet of a test's own, in network namespaces that nothing leaves.

From `Internet()` to `close` the calling thread, and what it starts, is on a machine that has one
link: to a namespace that plays everybody else. Addresses only look public; no packet of them gets
anywhere.
"""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

MACHINE, MACHINE_V6 = "45.67.89.1", "2a0e:67:89::1"
PUBLIC, PUBLIC_V6 = "45.67.90.1", "2a0e:67:90::1"
PRIVATE = (
    *("10.1.2.3", "172.16.5.5", "192.168.7.7", "100.64.1.1"),
    *("169.254.169.254", "168.63.129.16", "203.0.113.5"),
)
NAME_SERVER = "10.0.0.53"
_NEW_NETWORK = 0x40000000
_NEIGHBOUR, _NEIGHBOUR_V6 = "45.67.89.2", "2a0e:67:89::2"
_PROGRAMS = ("ip", "nft", "nsenter", "unshare")
_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str:
    """The programs that have to be installed; empty when they are there."""
    return ", ".join(one for one in _PROGRAMS if shutil.which(one) is None)


def fault() -> str:
    """Why there can be none on this machine, whatever is installed; empty when there can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    command = ["unshare", "--net", "nft", "list", "tables"]
    tried = subprocess.run(command, capture_output=True, check=False)
    return tried.stderr.decode().strip() if tried.returncode else ""


class Internet:
    def __init__(self) -> None:
        self._before = _own_network()
        self._sockets: list[socket.socket] = []
        self.peers: list[str] = []
        _call(_libc.unshare, _NEW_NETWORK)
        self.inode = Path("/proc/thread-self/ns/net").stat().st_ino
        self._elsewhere = _in_thread(_make_network)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        ip(
            "link set lo up",
            f"link add out0 type veth peer name in0 netns /proc/{os.getpid()}/fd/{self._elsewhere}",
            f"addr add {MACHINE}/24 dev out0",
            f"addr add {MACHINE_V6}/64 dev out0 nodad",
            "link set out0 up",
            f"route add default via {_NEIGHBOUR}",
            f"route add default via {_NEIGHBOUR_V6}",
        )
        self.inside(
            lambda: ip(
                "link set lo up",
                f"addr add {_NEIGHBOUR}/24 dev in0",
                f"addr add {_NEIGHBOUR_V6}/64 dev in0 nodad",
                "link set in0 up",
                *(f"addr add {one}/32 dev lo" for one in (PUBLIC, NAME_SERVER, *PRIVATE)),
                f"addr add {PUBLIC_V6}/128 dev lo nodad",
            )
        )
        self.inside(lambda: self.greet("0.0.0.0", 80))
        self.inside(lambda: self.greet(PUBLIC_V6, 80))

    def inside(self, act):
        """Do something as everybody else; answers what it answers."""
        return _in_thread(act, network=self._elsewhere)

    def greet(self, address: str, port: int) -> int:
        """Say hello, from the thread that calls, to whoever comes; answers the port."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=family)
        self._serve(listener, self._say_hello)
        return listener.getsockname()[1]

    def answer_names(self, address: str) -> None:
        """Be a name server for which every name is that of the public host."""
        asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asked.bind((address, 53))
        self._serve(asked, _answer_name)

    def close(self) -> None:
        """Back to the machine that there was before."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        _call(_libc.setns, self._before, _NEW_NETWORK)
        os.close(self._before)
        os.close(self._elsewhere)
        shutil.rmtree(f"/run/ciserver/networks/{self.inode}", ignore_errors=True)

    def _serve(self, listener: socket.socket, serve) -> None:
        self._sockets.append(listener)

        def loop():
            with contextlib.suppress(OSError):
                while True:
                    serve(listener)

        threading.Thread(target=loop, daemon=True).start()

    def _say_hello(self, listener: socket.socket) -> None:
        connection, peer = listener.accept()
        with connection:
            self.peers.append(peer[0])
            connection.sendall(b"hello\n")


def ip(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def said_by(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _answer_name(asked: socket.socket) -> None:
    query, peer = asked.recvfrom(512)
    if not query:
        raise OSError("closed")
    end = query.index(b"\0", 12) + 5
    is_address = query[end - 4 : end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(PUBLIC)
    counts = b"\0\1" + (b"\0\1" if is_address else b"\0\0") + b"\0\0\0\0"
    head = query[:2] + b"\x81\x80" + counts
    asked.sendto(head + query[12:end] + (answer if is_address else b""), peer)


def _make_network() -> int:
    _call(_libc.unshare, _NEW_NETWORK)
    return _own_network()


def _own_network() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _in_thread(act, *, network: int | None = None):
    answers = []

    def run():
        if network is not None:
            _call(_libc.setns, network, _NEW_NETWORK)
        answers.append(act())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]


def _call(function, *words: int) -> None:
    if function(*words):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
