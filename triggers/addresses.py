"""Which addresses the server may call on somebody else's wish.

A project owner chooses where a webhook goes, and the server stands inside a network that the owner
may not see. So only public addresses are called; an administrator allows others by name.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)

from ciserver.model.errors import BadConfiguration, Complaint
from ciserver.model.frozen import frozen

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PUBLIC_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

# A table of our own: the answers of `is_private` and `is_global` differ between Python releases.
_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local or cloud metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmark"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::/96", "IPv4-compatible"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)


def refusal(address: Address) -> str:
    """What kind of address it is that must not be called; empty when it is a public one."""
    real = _behind(address)
    for network, kind in _REFUSED:
        if real in network:
            return kind
    if isinstance(real, IPv6Address) and real not in _PUBLIC_V6:
        return "not public"
    return ""


def _behind(address: Address) -> Address:
    """Where packets end: a NAT64 gateway hands them to the IPv4 address within."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@frozen
class AllowList:
    """What an administrator allows although it is not public."""

    names: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "AllowList":
        """Read host names, addresses and CIDR networks. Raises BadConfiguration with every
        entry that is none of them.
        """
        names: set[str] = set()
        networks: list[Network] = []
        complaints: list[Complaint] = []
        for entry in entries:
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                if _is_name(entry):
                    names.add(canonical(entry))
                else:
                    complaints.append(_not_an_entry(entry))
        if complaints:
            raise BadConfiguration(
                "outgoing.allow has entries that cannot be used",
                complaints=complaints,
                hint="write host names, addresses or networks such as 10.1.0.0/16",
            )
        return cls(frozenset(names), tuple(networks))

    def admits(self, host: str, address: Address) -> bool:
        if canonical(host) in self.names:
            return True
        return any(
            one in network for network in self.networks for one in (address, _behind(address))
        )


def canonical(host: str) -> str:
    return host.lower().rstrip(".")


def _is_name(entry: str) -> bool:
    return bool(entry) and all(one.isalnum() or one in "-._" for one in entry)


def _not_an_entry(entry: str) -> Complaint:
    return Complaint("outgoing.allow", f"{entry!r} is no host name, address or network")
