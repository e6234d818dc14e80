"""A limit in time for a whole conversation, not for each byte of it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Deadline:
    """One limit for all that is said on a connection, from connecting to the last byte."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    @property
    def has_passed(self) -> bool:
        return time.monotonic() >= self._at

    @property
    def remaining_seconds(self) -> float:
        return max(self._at - time.monotonic(), 0.001)

    def check(self) -> None:
        if self.has_passed:
            raise TimeoutError

    @contextmanager
    def cutting(self, sock: socket.socket) -> Iterator[None]:
        """Shut the connection down when the time is up.

        A timeout of the socket counts anew for each byte that comes, so a server that drips would
        hold us for ever. The twin is needed because TLS takes the socket itself over.
        """
        with socket.fromfd(sock.fileno(), sock.family, sock.type) as twin:
            timer = threading.Timer(self.remaining_seconds, _shut_down, (twin,))
            timer.daemon = True  # a server that stops does not wait for a receiver
            timer.start()
            try:
                yield
            finally:
                timer.cancel()
                timer.join()


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        sock.shutdown(socket.SHUT_RDWR)
