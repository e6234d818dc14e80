"""How answers leave: what waitress calls a channel, and the tasks of one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import WSGITask

IN_TURN = 1 << 20  # bytes


class _Answer(WSGITask):  # type: ignore[misc]  # waitress has no types
    def write(self, data: bytes) -> None:
        if self.wrote_header:
            super().write(data)
            return
        with self.channel.together():
            super().write(data)


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection. What is answered goes to its socket at once, as far as that takes it.

    waitress keeps it first, and while it does so its loop sees something that could be sent: until
    the thread that sends it goes on the loop turns without a pause, and lets that thread have the
    interpreter only when it is made to, after 5 ms.
    """

    task_class = _Answer

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._held: list[bytes] | None = None
        self._room: int | None = None  # None: without an end
        self._has_kept = False  # whether some of the answer was left to waitress

    def handle_write(self) -> None:
        """At most so much in turn: who takes all that there is would hold up all others."""
        self._room = IN_TURN
        try:
            super().handle_write()
        finally:
            self._room = None

    def send(self, data: bytes, do_close: bool = True) -> int:
        room = self._room
        if room is None:
            return int(super().send(data, do_close=do_close))
        sent = int(super().send(data[:room], do_close=do_close)) if room else 0
        self._room = room - sent
        return sent

    def service(self) -> None:
        request = self.requests[0]
        if request.error is None and request.command not in self.server.at_once:
            self.server.task_dispatcher.hand_over()
        self._has_kept = False
        self.server.served.channel = self
        super().service()

    def has_changed(self) -> bool:
        """Whether who looks may have to look at it in another way than since it was asked. It need
        not where all of the answer went to the socket, and the next request is waited for.
        """
        is_asked = bool(self.requests or self.request)
        return is_asked or self._has_kept or self.close_when_flushed or self.will_close

    def check_client_disconnected(self) -> bool:
        """Asked by requests that are going to wait; to be known, somebody else has to look."""
        self.server.task_dispatcher.hand_over()
        return not self.connected

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written within leaves as one: a head with what is first of its body."""
        held: list[bytes] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
        self.write_soon(b"".join(held))

    def write_soon(self, data: Any) -> int:
        if self._held is not None:
            self._held.append(data)
            return len(data)
        sent = 0
        if isinstance(data, bytes):
            with self.outbuf_lock, suppress(OSError):  # which is found again with the rest
                if self.connected and not self.total_outbufs_len:
                    sent = self.send(data, do_close=False)
        self._has_kept |= sent < len(data)
        rest: int = super().write_soon(data[sent:] if sent else data)
        return sent + rest
