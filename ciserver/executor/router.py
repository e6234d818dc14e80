"""Where the links and rules of builds are: on this machine itself, for a server that is root."""

import shutil
import subprocess
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from ciserver.executor.sandbox import PATH, SandboxBroken

REMEDY = 'mend it, or set builds.network = "host"'
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux"}
_FORWARDS = Path("/proc/sys/net/ipv4/ip_forward")


class NoNamespace(Exception):
    """Why there can be none, for SandboxBroken."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.broken = SandboxBroken(reason, remedy or REMEDY)


class Router(Protocol):
    """Forwards what builds send, and holds the rules about it."""

    @property
    def is_shared(self) -> bool:
        """Whether others use it too, so that everything has to be removed piece by piece."""

    def run(self, *words: str, text: str = "", inside: Path | None = None) -> str:
        """The output of a program there, or in the namespace inside. Raises NoNamespace."""

    def seen(self, path: Path) -> Path:
        """How the server sees a file that is at the path there."""

    def way_to(self, namespace: Path) -> tuple[str, ...]:
        """The programs that go to a namespace and run what follows them."""

    def joined(self, namespace: Path) -> Path | None:
        """The path at which any program of the server's user may go there, if there is one."""

    def machine(self) -> tuple[IPv4Address, ...]:
        """The addresses of the machine that builds would reach through it, as of now. Raises
        NoNamespace when it forwards no more.
        """

    def listener(self, gateway: IPv4Address) -> tuple[str, str]:
        """An address where the server can listen, and the one by which a build behind the gateway
        would reach it, were it not for the rules.
        """

    def close(self) -> None:
        """Leave nothing of it behind. Safe to repeat."""


class MachineRouter:
    """Implements Router, by the machine's own network."""

    is_shared = True

    def __init__(self) -> None:
        """Raises NoNamespace where it cannot forward."""
        check_programs(PROGRAMS)
        if _FORWARDS.read_text().strip() != "1":
            raise NoNamespace(
                "this machine does not forward packets, which networks of builds need",
                "allow it (sysctl net.ipv4.ip_forward=1, and a file in /etc/sysctl.d to keep it)",
            )

    def run(self, *words: str, text: str = "", inside: Path | None = None) -> str:
        return run(*(self.way_to(inside) if inside else ()), *words, text=text)

    def seen(self, path: Path) -> Path:
        return path

    def way_to(self, namespace: Path) -> tuple[str, ...]:
        return ("nsenter", f"--net={namespace}", "--")

    def joined(self, namespace: Path) -> Path | None:
        return namespace

    def machine(self) -> tuple[IPv4Address, ...]:
        return ()  # they are its own

    def listener(self, gateway: IPv4Address) -> tuple[str, str]:
        return str(gateway), str(gateway)

    def close(self) -> None:
        return


def check_programs(programs: dict[str, str]) -> None:
    """Raises NoNamespace with the packages of those that are missing."""
    missing = [one for one in programs if shutil.which(one, path=PATH) is None]
    if missing:
        packages = " ".join(dict.fromkeys(programs[one] for one in missing))
        raise NoNamespace(f"{', '.join(missing)} is not installed", f"install {packages}")


def environment() -> dict[str, str]:
    return {"PATH": PATH, "LC_ALL": "C.UTF-8"}


def run(*words: str, text: str = "") -> str:
    """Its output. Raises NoNamespace."""
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, check=False, env=environment()
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise NoNamespace(f"{_program(words)} failed: {said[0]}")
    return done.stdout


def _program(words: tuple[str, ...]) -> str:
    """The one that is meant, not the one that goes there."""
    return words[words.index("--") + 1] if "--" in words else words[0]
