"""Which network builds have that may have one."""

import os
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

from ciserver.executor.isolated import IsolatedNetworks
from ciserver.executor.namespaces import Namespaces
from ciserver.executor.network import HOST, HOST_FOR_ALL, NONE, Networks, OneForAll
from ciserver.executor.network_rules import NameServers, Rules
from ciserver.executor.rootless import RootlessRouter, asked_by_slirp
from ciserver.executor.router import REMEDY, MachineRouter, NoNamespace
from ciserver.executor.sandbox import Sandbox, SandboxBroken
from ciserver.model.reach import Reach

NetworkChoice = Literal["auto", "isolated", "host", "none"]


def choose_networks(
    kind: NetworkChoice,
    sandbox: Sandbox,
    *,
    allowed: tuple[Reach, ...],
    pool: IPv4Network,
    resolver: Path = Path("/etc/resolv.conf"),
) -> Networks | SandboxBroken:
    """The networks to use, tried out, or why there are none. `auto` is a network of a build's own
    where that works, and else that of the machine.
    """
    match kind:
        case "host":
            return HOST_FOR_ALL
        case "none":
            return OneForAll(NONE)
    isolated = _isolate(sandbox, allowed, pool, resolver)
    if kind == "auto" and isinstance(isolated, SandboxBroken):
        return OneForAll(HOST, instead=str(isolated))
    return isolated


def _isolate(
    sandbox: Sandbox, allowed: tuple[Reach, ...], pool: IPv4Network, resolver: Path
) -> IsolatedNetworks | SandboxBroken:
    if not sandbox.closes_network:
        return SandboxBroken(
            f"the sandbox {sandbox.name} gives no build a network of its own",
            'use another one, or set builds.network = "host"',
        )
    names = NameServers.read(resolver.read_text() if resolver.exists() else "")
    try:
        networks = IsolatedNetworks(_make_namespaces(allowed, names, pool, sandbox))
    except NoNamespace as error:
        return error.broken
    except OSError as error:
        return SandboxBroken(f"networks of builds cannot be made: {error}", REMEDY)
    if broken := networks.diagnose(sandbox):
        networks.close()
        return broken
    return networks


def _make_namespaces(
    allowed: tuple[Reach, ...], names: NameServers, pool: IPv4Network, sandbox: Sandbox
) -> Namespaces:
    """Raises NoNamespace."""
    if os.geteuid() == 0:
        return Namespaces(Rules(allowed, names), pool, MachineRouter())
    if not sandbox.enters_network:
        raise NoNamespace(
            f"{sandbox.name} cannot join a network that was made without root",
            'use bubblewrap, run the server as root, or set builds.network = "host"',
        )
    router = RootlessRouter()
    try:
        return Namespaces(Rules(allowed, asked_by_slirp(names)), pool, router)
    except (NoNamespace, OSError):
        router.close()
        raise
