"""What isolated builds may reach, as rules for nft. Nothing here runs anything.

Everything public may be reached, private addresses and the machine itself may not, but for the
DNS ports of its name servers and what an administrator allows. There is no IPv6.
"""

from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from ciserver.model.frozen import frozen
from ciserver.model.reach import Reach

# As for webhooks: a table of our own, as it has to be looked at before a kernel believes it.
REFUSED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",  # metadata of a cloud at a public address
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_NETWORKS = tuple(map(IPv4Network, REFUSED))
_NO_IPV6 = "meta nfproto ipv6 drop"
# At once: the kernel sends one word a second about other refusals.
_REFUSE = ("meta l4proto tcp reject with tcp reset", "reject with icmpx admin-prohibited")
_GOES_ON = ("ct state established,related accept", "ct state invalid drop")
_FAULTS = "icmp type { destination-unreachable, time-exceeded, parameter-problem } accept"
_DNS = "meta l4proto { tcp, udp } th dport 53"


@frozen
class NameServers:
    """Those of a resolv.conf that have an IPv4 address, and its other lines. One on a loopback
    address is out of reach for others: queries to the gateway are handed to it.
    """

    addresses: tuple[IPv4Address, ...]
    others: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> "NameServers":
        addresses: list[IPv4Address] = []
        others: list[str] = []
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "nameserver":
                try:
                    addresses.append(IPv4Address(rest.strip()))
                except AddressValueError:
                    continue
            elif word in {"search", "domain", "options"}:
                others.append(line.strip())
        return cls(tuple(addresses), tuple(others))

    @property
    def behind_gateway(self) -> IPv4Address | None:
        return next((one for one in self.addresses if one.is_loopback), None)

    @property
    def in_reach(self) -> tuple[IPv4Address, ...]:
        return tuple(one for one in self.addresses if not one.is_loopback)

    def resolver(self, gateway: IPv4Address) -> bytes:
        """The resolv.conf of a build behind that gateway."""
        names = dict.fromkeys(gateway if one.is_loopback else one for one in self.addresses)
        return "".join(f"{one}\n" for one in (*_servers(names), *self.others)).encode()


@frozen
class Rules:
    allowed: tuple[Reach, ...]
    names: NameServers

    @property
    def about(self) -> str:
        but = f", but for {', '.join(map(str, self.allowed))}" if self.allowed else ""
        return f"isolated (public IPv4 addresses, no private ones{but})"

    def table(
        self, name: str, links: str, block: IPv4Network, *, machine: tuple[IPv4Address, ...]
    ) -> str:
        """The table of that name, in place of an earlier one, for builds that have the addresses
        of the block, on links whose names begin so. `machine` are addresses of the machine where
        they are not those of the router itself.
        """
        ours, inside = f'iifname "{links}*"', f'oifname "{links}*"'
        private = f"ip daddr {{ {', '.join(_refused(machine))} }}"
        way_out = (_NO_IPV6, "jump may", f"{private} goto refuse", "accept")
        way_here = (_NO_IPV6, *self._to_loopback(), "jump may", "goto refuse")
        way_in = (*_GOES_ON, _FAULTS, "goto refuse")
        lines = (
            f"table inet {name}",
            f"delete table inet {name}",
            f"table inet {name} {{",
            *_chain("may", self._may()),
            *_chain("refuse", _REFUSE),
            *_chain("leave", way_out),
            *_chain("enter_machine", way_here),
            *_chain("enter_build", way_in),
            *_hook("forward", "filter", (f"{inside} goto enter_build", f"{ours} goto leave")),
            *_hook("input", "filter", (f"{ours} goto enter_machine",)),
            *self._hand_to_loopback(ours, block),
            *_hook("postrouting", "srcnat", (f"ip saddr {block} masquerade",), kind="nat"),
            "}",
        )
        return "".join(f"{line}\n" for line in lines)

    def _may(self) -> Iterator[str]:
        for server in self.names.in_reach:
            yield f"ip daddr {server} {_DNS} accept"
        for one in self.allowed:
            port = f" meta l4proto {{ tcp, udp }} th dport {one.port}" if one.port else ""
            yield f"ip daddr {one.network}{port} accept"

    def _to_loopback(self) -> Iterator[str]:
        if server := self.names.behind_gateway:
            yield f"ip daddr {server} ct status dnat {_DNS} accept"

    def _hand_to_loopback(self, ours: str, block: IPv4Network) -> Iterator[str]:
        """Resolvers on a loopback address answer those only who ask from one."""
        if server := self.names.behind_gateway:
            asks = f"{ours} ip daddr {block} {_DNS} dnat ip to {server}"
            yield from _hook("prerouting", "dstnat", (asks,), kind="nat")
            yield from _hook(
                "input_nat",
                "100",
                (f"{ours} ip daddr {server} snat ip to 127.0.0.1",),
                kind="nat",
                at="input",
            )


def _refused(machine: tuple[IPv4Address, ...]) -> Iterator[str]:
    yield from REFUSED
    for one in machine:
        if not any(one in network for network in _NETWORKS):  # nft wants each address once
            yield str(one)


def _servers(addresses: dict[IPv4Address, None]) -> Iterator[str]:
    return (f"nameserver {one}" for one in addresses)


def _chain(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"chain {name} {{"
    yield from lines
    yield "}"


def _hook(
    name: str, priority: str, lines: tuple[str, ...], *, kind: str = "filter", at: str = ""
) -> Iterator[str]:
    begin = f"type {kind} hook {at or name} priority {priority}; policy accept;"
    return _chain(name, (begin, *lines))
