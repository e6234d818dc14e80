"""Networks that are each build's own: namespaces that are made once and used again and again."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import structlog

from ciserver.executor.namespaces import Namespace, Namespaces
from ciserver.executor.network import Network
from ciserver.executor.router import NoNamespace
from ciserver.executor.sandbox import PATH, Sandbox, SandboxBroken, SandboxFailed

_REACHES = (
    "if (: </dev/tcp/{}/{}) 2>/dev/null; then echo it reaches this machine; else echo tried; fi"
)
_REMEDY = 'look at the rules of this machine (nft list ruleset), or set builds.network = "host"'
_PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016)
log = structlog.get_logger(__name__)


class IsolatedNetworks:
    """Implements Networks. A namespace is used by one build at a time; one in which a process of
    the build before is left is used no more.
    """

    isolates = True

    def __init__(self, namespaces: Namespaces) -> None:
        self.about = namespaces.rules.about
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._free: list[Namespace] = []
        self._numbers: set[int] = set()  # of those that there are

    @contextmanager
    def use(self) -> Iterator[Network]:
        """Raises SandboxFailed."""
        namespace = self._take()
        try:
            yield self._network(namespace)
        finally:
            self._give_back(namespace)

    def close(self) -> None:
        self._namespaces.close()

    def diagnose(self, sandbox: Sandbox) -> SandboxBroken | None:
        """Why it does not work, by really running a task, which must not reach this machine."""
        try:
            namespace = self._take()
            try:
                here, reached = self._namespaces.router.listener(namespace.gateway)
                with socket.create_server((here, 0)) as listener:
                    script = _REACHES.format(reached, listener.getsockname()[1])
                    said = _run(sandbox, self._network(namespace), script)
            finally:
                self._give_back(namespace)
        except (SandboxFailed, OSError) as error:
            return SandboxBroken(f"a network of a build's own does not work here: {error}", _REMEDY)
        if said == "tried":
            return None
        return SandboxBroken(f"a build in a network of its own is not held there: {said}", _REMEDY)

    def _network(self, namespace: Namespace) -> Network:
        router = self._namespaces.router
        return Network(
            "isolated",
            self.about,
            namespace=router.joined(namespace.path),
            enter=router.way_to(namespace.path),
            resolver=self._namespaces.rules.names.resolver(namespace.gateway),
        )

    def _take(self) -> Namespace:
        try:
            self._namespaces.refresh()
        except (NoNamespace, OSError) as error:
            raise SandboxFailed(f"builds have no network any more: {error}") from error
        with self._lock:
            if self._free:
                return self._free.pop()
            number = next(one for one in count() if one not in self._numbers)
            self._numbers.add(number)
        try:
            return self._namespaces.make(number)
        except (NoNamespace, OSError) as error:
            # Its number is used no more: who knows how much of it there is.
            raise SandboxFailed(f"no network could be made for the build: {error}") from error

    def _give_back(self, namespace: Namespace) -> None:
        if _gets_empty(namespace):
            with self._lock:
                self._free.append(namespace)
            return
        try:
            self._namespaces.remove(namespace)
        except (NoNamespace, OSError) as error:
            log.warning("network-not-removed", path=str(namespace.path), error=str(error))
            return
        with self._lock:
            self._numbers.discard(namespace.number)


def _gets_empty(namespace: Namespace) -> bool:
    """The sandbox has ended its processes, and the kernel may need a moment for that."""
    for pause in _PAUSES:
        if namespace.is_empty():
            return True
        time.sleep(pause)
    return False


def _run(sandbox: Sandbox, network: Network, script: str) -> str:
    """The last line that a task says. Raises SandboxFailed."""
    with tempfile.TemporaryDirectory(prefix="ciserver-probe-") as folder:
        home = Path(folder, "home")
        Path(folder).chmod(0o711)
        home.mkdir(mode=0o700)
        if sandbox.user:
            os.chown(home, sandbox.user.uid, sandbox.user.gid)
        process = sandbox.start(
            (sandbox.shell, "-c", script),
            home=home,
            tmp=home,
            environment={"PATH": PATH},
            network=network,
            readable=(),
        )
        try:
            process.child.wait()
            os.set_blocking(process.output, True)
            said = os.read(process.output, 65536).decode(errors="replace").strip().splitlines()
        finally:
            sandbox.kill(process)
            process.close()
        return said[-1] if said else "it ended without a word"
