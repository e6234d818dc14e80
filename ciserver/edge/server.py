"""The HTTP server: waitress, whose connections are looked at by the threads that serve requests."""

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from ciserver.edge.channels import Channel
from ciserver.edge.threads import PATIENCE, RequestThreads

_NOT_OURS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class _FurtherAddress(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Another address of the name that a server listens on: who connects here is a client of it."""

    def __init__(self, server: "Server", address: Any, **how: Any) -> None:
        self._server = server
        super().__init__(
            server.application,
            dispatcher=server.task_dispatcher,
            adj=server.adj,
            sockinfo=address,
            **how,
        )
        self.trigger.close()  # the server's is the one that is pulled

    def channel_class(self, _: Any, *connection: Any, **how: Any) -> Channel:
        return self._server.channel_class(self._server, *connection, **how)


class _Served(threading.local):
    """The connection that a thread serves."""

    channel: Channel


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Listens from the start, on all addresses of its name that this machine has and on one port,
    and answers while it is run. `how` are settings of waitress.

    Requests of the methods `at_once` wait for nothing. All others, which change something, are
    going to wait for the disk, and others should not wait with them.
    """

    channel_class = Channel
    at_once = frozenset({"GET", "HEAD", "OPTIONS"})
    rest_seconds = 5.0  # for what is left of answers at the end

    def __init__(
        self, application: Any, *, threads: int, patience: float = PATIENCE, **how: Any
    ) -> None:
        settings = Adjustments(**how)
        named = dict.fromkeys(settings.listen)
        first, *further = [one for one in named if _is_ours(one)] or named
        sockets: dict[int, Any] = {}
        self._sleeps = False
        self.served = _Served()
        self._left: Callable[[], None] | None = None
        super().__init__(
            application,
            map=sockets,
            dispatcher=RequestThreads(
                threads, self._look, self._wake, self._leave, patience=patience
            ),
            adj=settings,
            sockinfo=first,
        )
        self._further = [
            _FurtherAddress(self, self._with_port(one), map=sockets) for one in further
        ]

    def answer(self, application: Any, *, waits: bool, left: Callable[[], None]) -> None:
        """From now on by this application, which may wait for other programs whatever is asked, and
        is `left` by each thread that ends.
        """
        self.application, self._left = application, left
        if waits:
            self.at_once = frozenset()

    def close(self) -> None:
        """Listen no more, and hang up on all clients: nobody would answer them."""
        for client in [*self.active_channels.values()]:
            client.handle_close()
        for one in self._further:
            one.close()
        super().close()

    def run(self) -> None:
        """Until the task dispatcher is shut down, or the thread is told to exit. What was answered
        by then is sent, as long as clients take it within some seconds.
        """
        with suppress(SystemExit, KeyboardInterrupt):
            self.task_dispatcher.run()
        self.task_dispatcher.shutdown()
        until = time.monotonic() + self.rest_seconds
        while self._has_rest() and time.monotonic() < until:
            self._look()

    def pull_trigger(self) -> None:
        """Called by the connection that this thread serves, which may have changed: who is not
        asleep will see that without being told.
        """
        if self._sleeps and self.served.channel.has_changed():
            self._wake()

    def _wake(self) -> None:
        self.trigger.pull_trigger()

    def _leave(self) -> None:
        if self._left:
            self._left()

    def _look(self) -> None:
        """Wait until something can be read or sent, and do that; what became whole is a task."""
        self._sleeps = True
        wasyncore.loop(self.adj.asyncore_loop_timeout, use_poll=True, map=self._map, count=1)
        self._sleeps = False

    def _has_rest(self) -> bool:
        return any(one.total_outbufs_len for one in [*self.active_channels.values()])

    def _with_port(self, address: Any) -> Any:
        """Where any port will do, the one that the first address was given."""
        family, kind, protocol, (host, port, *rest) = address
        return family, kind, protocol, (host, port or int(self.effective_port), *rest)


def _is_ours(address: Any) -> bool:
    """Whether the machine has it: `localhost` may have one of IPv6 where that is turned off."""
    family, kind, protocol, (host, _, *rest) = address
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.bind((host, 0, *rest))
    except OSError as error:
        return error.errno not in _NOT_OURS
    return True
