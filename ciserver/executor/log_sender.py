"""Logs on their way to a server elsewhere: first to this disk, then over there, in order."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ciserver.model.build import Lease, LogPiece
from ciserver.model.errors import LeaseLost

_CHUNK = 1 << 20
_CARRIED = 1 << 16  # may go with another message
_BREATH_SECONDS = 0.02  # what is written meanwhile goes together


@dataclass(eq=False)
class _Log:
    """The bytes of a step that are on this disk, and how many of them are over there."""

    lease: Lease
    step: int
    file: Path
    there: int = 0
    sent: int = 0
    due: float = 0.0
    is_held: bool = False  # it is sent right now, or goes with another message
    fault: Exception | None = None

    @property
    def is_waiting(self) -> bool:
        return self.fault is None and self.sent < self.there

    def piece(self) -> LogPiece:
        """What is to be sent next. Raises LeaseLost where it is not there any more."""
        try:
            with self.file.open("rb") as file:
                file.seek(self.sent)
                chunk = file.read(min(_CHUNK, self.there - self.sent))
        except FileNotFoundError:
            raise LeaseLost("the attempt is over here") from None
        return LogPiece(self.step, self.sent, chunk)


class LogSender:
    """One thread sends for all attempts, a moment after the first bytes came, so that little of
    what is written, or none where a message carries it, is a request of its own. The thread begins
    with the first bytes and ends with `close`.

    `send` comes back when the server has a piece of an attempt; what it raises is raised to whoever
    adds to or waits for that attempt.
    """

    def __init__(self, folder: Path, send: Callable[[Lease, LogPiece], None]) -> None:
        self._folder = folder
        self._send = send
        self._changed = threading.Condition()
        self._logs: dict[tuple[Lease, int], _Log] = {}
        self._thread: threading.Thread | None = None
        self._closing = False

    def add(self, lease: Lease, step: int, offset: int, chunk: bytes) -> None:
        """Keep bytes at their offset, and send them soon; the same again changes nothing. Raises
        what sending of this attempt raised, and OSError when the disk is full.
        """
        with self._changed:
            one = self._log(lease, step)
            self._raise_fault(lease)
        with one.file.open("r+b" if one.file.exists() else "xb") as file:
            file.seek(offset)
            file.write(chunk)
        with self._changed:
            if not one.is_waiting:
                one.due = time.monotonic() + _BREATH_SECONDS
            one.there = max(one.there, offset + len(chunk))
            self._ensure_thread()
            self._changed.notify_all()

    def flush(self, lease: Lease) -> None:
        """Wait until the server has all bytes of the attempt. Raises what sending raised."""
        with self._changed:
            self._send_all(lease)

    @contextmanager
    def carried(self, lease: Lease) -> Iterator[tuple[LogPiece, ...]]:
        """What the server lacks of the attempt, to be sent with a message within the block; where
        that is much, it is sent before. Raises what sending raised.
        """
        with self._changed:
            while any(one.is_held for one in self._of(lease)):
                self._changed.wait()
            if sum(one.there - one.sent for one in self._of(lease)) > _CARRIED:
                self._send_all(lease)
            self._raise_fault(lease)
            mine = [one for one in self._of(lease) if one.is_waiting]
            for one in mine:
                one.is_held = True
        sent: tuple[LogPiece, ...] = ()
        try:
            pieces = tuple(one.piece() for one in mine)
            yield pieces
            sent = pieces
        except LeaseLost as error:
            self.lose(lease, error)
            raise
        finally:
            with self._changed:
                for one in mine:
                    one.is_held = False
                for one, piece in zip(mine, sent, strict=False):
                    one.sent += len(piece.chunk)
                self._changed.notify_all()

    def _send_all(self, lease: Lease) -> None:
        """Called with the lock."""
        for one in self._of(lease):
            one.due = 0.0
        self._changed.notify_all()
        while any(one.is_waiting for one in self._of(lease)) and not self._closing:
            self._changed.wait()
        self._raise_fault(lease)

    def lose(self, lease: Lease, fault: LeaseLost) -> None:
        """The server wants no more of the attempt: whoever adds to it is told so."""
        with self._changed:
            for one in self._of(lease):
                one.fault = fault
                one.file.unlink(missing_ok=True)
            self._changed.notify_all()

    def forget(self, lease: Lease) -> None:
        """The attempt is over for this worker: what was not sent is not sent."""
        with self._changed:
            gone = [self._logs.pop((one.lease, one.step)) for one in self._of(lease)]
            self._changed.notify_all()
        for one in gone:
            one.file.unlink(missing_ok=True)

    def close(self) -> None:
        """End the thread; whoever waits goes on."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._closing = True
            self._changed.notify_all()
        if thread:
            thread.join()

    def _log(self, lease: Lease, step: int) -> _Log:
        key = (lease, step)
        if key not in self._logs:
            name = f"{lease.build_id}.{lease.attempt}.{step}.log"
            self._logs[key] = _Log(lease, step, self._folder / name)
        return self._logs[key]

    def _of(self, lease: Lease) -> list[_Log]:
        return [one for one in self._logs.values() if one.lease == lease]

    def _raise_fault(self, lease: Lease) -> None:
        for one in self._of(lease):
            if one.fault is not None:
                raise one.fault

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._loop, name="log-sender", daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while (one := self._next()) is not None:
            try:
                self._send_some(one)
            except LeaseLost as error:
                self.lose(one.lease, error)
            except Exception as error:  # noqa: BLE001  raised where the attempt runs
                with self._changed:
                    one.fault = error
                    self._changed.notify_all()

    def _next(self) -> _Log | None:
        """A log with something to send, each in turn, which is held; None at the end."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                first = None
                for key, one in self._logs.items():
                    if not one.is_waiting or one.is_held:
                        continue
                    if one.due <= now:
                        self._logs[key] = self._logs.pop(key)
                        one.is_held = True
                        return one
                    first = min(one.due, first or one.due)
                self._changed.wait(first and first - now)  # with nothing to send: for ever
        return None

    def _send_some(self, one: _Log) -> None:
        sent = 0
        try:
            piece = one.piece()
            self._send(one.lease, piece)
            sent = len(piece.chunk)
        finally:
            with self._changed:
                one.is_held = False
                one.sent += sent
                self._changed.notify_all()
