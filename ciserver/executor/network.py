"""Which network a build has, and how a sandbox gives it to the tasks."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal, Protocol

from ciserver.model.frozen import frozen

NetworkKind = Literal["host", "isolated", "none"]


@frozen
class Network:
    """What a sandbox is told. An isolated network is a namespace that was made for the build:
    `enter` are programs that go there and run what follows them, and for a sandbox that goes there
    by itself, `namespace` is its path. `resolver` is what /etc/resolv.conf holds there.
    """

    kind: NetworkKind
    about: str
    namespace: Path | None = None
    enter: tuple[str, ...] = ()
    resolver: bytes = b""


HOST = Network("host", "as on this machine")
NONE = Network("none", "none")
NONE_FOR_UNTRUSTED = Network(
    "none", "none, as this build is untrusted and has none of its own here"
)


class Networks(Protocol):
    """Gives builds whose recipe allows it their network."""

    @property
    def isolates(self) -> bool:
        """Whether each build has one of its own, as what is untrusted must."""

    @property
    def about(self) -> str:
        """What builds have, in a line for people."""

    def use(self) -> AbstractContextManager[Network]:
        """The network of one build, until its end. Raises SandboxFailed."""

    def close(self) -> None:
        """Leave nothing behind; for when no build runs any more. Safe to repeat."""


class OneForAll:
    """Every build has the same: that of the machine, or none. `instead` is why it is not one of
    the build's own, where that was looked for.
    """

    isolates = False

    def __init__(self, network: Network, *, instead: str = "") -> None:
        self._network = network
        self.about = f"{network.about}, as {instead}" if instead else network.about
        self.instead = instead

    @contextmanager
    def use(self) -> Iterator[Network]:
        yield self._network

    def close(self) -> None:
        return


HOST_FOR_ALL = OneForAll(HOST)
