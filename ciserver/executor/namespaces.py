"""Network namespaces, each behind a pair of links to a router.

A server has a block of the pool of addresses to itself: the namespaces, links and rules of a block
have its number in their names, and a lock says whose it is. What is in a block that nobody holds
was left by a server that was killed.
"""

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO

from ciserver.executor.network_rules import Rules
from ciserver.executor.processes import any_in_network
from ciserver.executor.router import NoNamespace, Router
from ciserver.model.frozen import frozen

BLOCK_PREFIX = 22
_PAIR = 2
_PLACE = Path("/run/ciserver/networks")
_IPV6 = Path("/proc/sys/net/ipv6")
_LOCALS = "/proc/sys/net/ipv4/conf/{}/route_localnet"


@frozen
class Namespace:
    """`path` is where the router sees it."""

    number: int
    path: Path
    gateway: IPv4Address
    inode: int

    def is_empty(self) -> bool:
        """No process is in it."""
        return not any_in_network(self.inode)


class Namespaces:
    """Makes and removes those of one block."""

    def __init__(self, rules: Rules, pool: IPv4Network, router: Router) -> None:
        """Take a free block, and remove what killed servers left. Raises NoNamespace."""
        self.rules, self.router = rules, router
        self._place = _PLACE / str(Path("/proc/thread-self/ns/net").stat().st_ino)
        router.seen(self._place).mkdir(parents=True, exist_ok=True)
        self._lock, self._name, self._block = self._take_block(pool)
        self._machine = router.machine()
        self._set_rules()

    def refresh(self) -> None:
        """Hold builds off addresses that the machine got since. Raises NoNamespace."""
        machine = self.router.machine()
        if machine != self._machine:
            self._machine = machine
            self._set_rules()

    def make(self, number: int) -> Namespace:
        """The namespace of that number. Raises NoNamespace."""
        first = self._block.network_address + number * _PAIR
        if first not in self._block:
            raise NoNamespace(f"{self._block} has no room for more builds at once")
        path, link = self._folder / str(number), f"{self._links}{number}"
        seen = self.router.seen(path)
        seen.touch(mode=0o600)
        self.router.run("unshare", f"--net={path}", "true")
        self._ip(
            f"link add {link} type veth peer name eth0 netns {path}",
            *_without_ipv6(link),
            f"addr add {first}/31 dev {link}",
            f"link set {link} up",
        )
        if self.rules.names.behind_gateway:
            Path(_LOCALS.format(link)).write_text("1")
        self._ip(
            "link set lo up",
            *_without_ipv6("eth0"),
            f"addr add {first + 1}/31 dev eth0",
            "link set eth0 up",
            f"route add default via {first}",
            inside=path,
        )
        return Namespace(number, path, first, seen.stat().st_ino)

    def remove(self, namespace: Namespace) -> None:
        """Cut it off at once; it is gone when its last process is."""
        self._remove(self._links, [namespace.path])

    def close(self) -> None:
        """Remove all of them and the rules, and give the block back. Safe to repeat."""
        if not self._lock.closed:
            if self.router.is_shared:
                self._clear(self._folder)
            self._lock.close()
            self.router.close()

    @property
    def _folder(self) -> Path:
        return self._place / self._name

    @property
    def _links(self) -> str:
        return _links(self._name)

    @property
    def _table(self) -> str:
        return _table(self._name)

    def _take_block(self, pool: IPv4Network) -> tuple[IO[str], str, IPv4Network]:
        for folder in self.router.seen(self._place).iterdir():
            with suppress(BlockingIOError), _hold(folder):
                self._clear(self._place / folder.name)
        taken = tuple(self._routed())
        for number, block in enumerate(pool.subnets(new_prefix=BLOCK_PREFIX)):
            if any(block.overlaps(one) for one in taken):
                continue
            folder = self.router.seen(self._place / str(number))
            folder.mkdir(exist_ok=True)
            with suppress(BlockingIOError):
                return _hold(folder), str(number), block
        raise NoNamespace(
            f"every part of the addresses {pool} is in use",
            "name others in builds.network_pool",
        )

    def _set_rules(self) -> None:
        table = self.rules.table(self._table, self._links, self._block, machine=self._machine)
        self.router.run("nft", "-f", "-", text=table)

    def _routed(self) -> Iterator[IPv4Network]:
        """The networks that the router has a way to."""
        routes = self.router.run("ip", "-json", "-4", "route", "show", "table", "all")
        for route in json.loads(routes):
            if re.fullmatch(r"[0-9./]+", route["dst"]):
                yield IPv4Network(route["dst"])

    def _clear(self, folder: Path) -> None:
        seen = self.router.seen(folder)
        names = (one.name for one in seen.iterdir() if one.name.isdecimal())
        self._remove(_links(folder.name), [folder / one for one in names])
        table = f"table inet {_table(folder.name)}"
        self.router.run("nft", "-f", "-", text=f"{table}\ndelete {table}\n")

    def _remove(self, links: str, paths: list[Path]) -> None:
        """Links go first: what is left in a namespace is cut off at once."""
        words = (f"link delete {links}{path.name}" for path in paths)
        with suppress(NoNamespace):  # some were never made
            self.router.run("ip", "-force", "-batch", "-", text="\n".join(words))
        for path in paths:
            with suppress(NoNamespace):
                self.router.run("umount", str(path))
            self.router.seen(path).unlink()

    def _ip(self, *lines: str, inside: Path | None = None) -> None:
        self.router.run("ip", "-batch", "-", text="\n".join(lines), inside=inside)


def _without_ipv6(link: str) -> tuple[str, ...]:
    """Of its own accord the kernel gives it no address."""
    return (f"link set {link} addrgenmode none",) if _IPV6.exists() else ()


def _links(name: str) -> str:
    return f"ci{name}-"


def _table(name: str) -> str:
    return f"ciserver_{name}"


def _hold(folder: Path) -> IO[str]:
    """Keep a block to this process until it is closed, or ends. Raises BlockingIOError."""
    lock = (folder / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise
    return lock
