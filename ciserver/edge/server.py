"""The HTTP server: waitress, whose connections are looked at by the threads that serve requests."""

from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from ciserver.edge.channels import Channel
from ciserver.edge.threads import PATIENCE, RequestThreads


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Listens from the start, and answers while it is run. `how` are settings of waitress.

    Requests of the methods `at_once` wait for nothing. All others, which change something, are
    going to wait for the disk, and others should not wait with them.
    """

    channel_class = Channel
    at_once = frozenset({"GET", "HEAD", "OPTIONS"})

    def __init__(
        self, application: Any, *, threads: int, patience: float = PATIENCE, **how: Any
    ) -> None:
        settings = Adjustments(**how)
        self._sleeps = False
        self._left: Callable[[], None] | None = None
        super().__init__(
            application,
            map={},
            dispatcher=RequestThreads(
                threads, self._look, self._wake, self._leave, patience=patience
            ),
            adj=settings,
            sockinfo=settings.listen[0],
        )

    def answer(self, application: Any, *, waits: bool, left: Callable[[], None]) -> None:
        """From now on by this application, which may wait for other programs whatever is asked, and
        is `left` by each thread that ends.
        """
        self.application, self._left = application, left
        if waits:
            self.at_once = frozenset()

    def run(self) -> None:
        """Until the task dispatcher is shut down, or the thread is told to exit."""
        try:
            self.task_dispatcher.run()
        except (SystemExit, KeyboardInterrupt):
            self.task_dispatcher.shutdown()

    def pull_trigger(self) -> None:
        """Something has to be looked at: who is not asleep will see it without being told."""
        if self._sleeps:
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
