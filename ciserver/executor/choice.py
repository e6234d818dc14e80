"""Which sandbox builds run in."""

import os
from pathlib import Path
from typing import Literal

from ciserver.executor.bubblewrap import Bubblewrap
from ciserver.executor.plain import Plain
from ciserver.executor.podman import Podman
from ciserver.executor.sandbox import BuildUser, Sandbox, SandboxBroken

SandboxKind = Literal["auto", "bubblewrap", "podman", "plain"]


def choose(
    kind: SandboxKind,
    *,
    user: BuildUser | None,
    place: Path,
    readable: tuple[Path, ...] = (),
    hidden: tuple[Path, ...] = (),
) -> Sandbox | SandboxBroken:
    """The sandbox to use, tried out, or why there is none. `plain` is never chosen by itself:
    somebody has to say that pushes are trusted; neither is `podman`. `place` takes small files.
    """
    if kind == "plain":
        return Plain(user=user)
    if user is None and os.geteuid() == 0:
        return SandboxBroken(
            "the server runs as root and no user is named to run builds as",
            "create a user without rights and name it in the configuration",
        )
    sandbox: Bubblewrap | Podman
    if kind == "podman":
        sandbox = Podman(user=user, place=place, readable=readable, hidden=hidden)
    else:
        sandbox = Bubblewrap(user=user, readable=readable, hidden=hidden)
    return sandbox.diagnose() or sandbox
