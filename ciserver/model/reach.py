"""Places in private networks that an administrator lets isolated builds reach."""

from ipaddress import IPv4Network

from ciserver.model.frozen import frozen

_LOOPBACK = IPv4Network("127.0.0.0/8")
_HIGHEST_PORT = 65535


@frozen
class Reach:
    """An address or a network, and one port of it or (0) all."""

    network: IPv4Network
    port: int = 0

    @classmethod
    def parse(cls, text: object) -> "Reach":
        """Read 10.1.2.3, 10.1.2.3:443, 192.168.0.0/24 or 192.168.0.0/24:443. Raises ValueError."""
        if isinstance(text, cls):
            return text
        place, colon, port = str(text).partition(":")
        try:
            network = IPv4Network(place)
        except ValueError:
            raise ValueError(
                f"{text!r} is no IPv4 address or network such as 10.1.2.3:443 or 192.168.0.0/24"
            ) from None
        if colon and not (port.isdecimal() and 0 < int(port) <= _HIGHEST_PORT):
            raise ValueError(f"{text!r} has no port from 1 to {_HIGHEST_PORT} after the colon")
        if network.overlaps(_LOOPBACK):
            raise ValueError(f"{text!r} has loopback addresses, which are each build's own")
        return cls(network, int(port) if colon else 0)

    def __str__(self) -> str:
        place = self.network.network_address if self.network.prefixlen == 32 else self.network
        return f"{place}:{self.port}" if self.port else str(place)
