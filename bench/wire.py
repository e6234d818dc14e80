"""A small HTTP client that costs little beside what it measures, and many of it at once."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from bench.processes import Wrong

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        if not 200 <= self.status < 300:
            raise Wrong(f"answered {self.status}: {self.body[:300]!r}")
        return json.loads(self.body)


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole request, ready to be sent as often as needed."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


class Connection:
    """One connection that is kept, and opened again when the other side closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket, self._rest = None, b""

    def send(self, prepared: bytes) -> Answer:
        """The answer; raises OSError."""
        status, headers = self._begin(prepared)
        body = b"".join(self._pieces(headers, status))
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return Answer(status, headers, body)

    def stream(self, prepared: bytes) -> Iterator[bytes]:
        """The body in pieces, as they come."""
        status, headers = self._begin(prepared)
        if status != 200:
            raise Wrong(f"answered {status}")
        yield from self._pieces(headers, status)

    def _begin(self, prepared: bytes) -> tuple[int, dict[bytes, bytes]]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(prepared)
        first, *lines = self._through(b"\r\n\r\n").split(b"\r\n")
        pairs = (line.partition(b":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return int(first.split()[1]), headers

    def _pieces(self, headers: Mapping[bytes, bytes], status: int) -> Iterator[bytes]:
        if status in {204, 304}:
            return
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            while size := int(self._through(b"\r\n").partition(b";")[0], 16):
                yield self._exactly(size)
                self._through(b"\r\n")
            self._through(b"\r\n")
        elif b"content-length" in headers:
            yield self._exactly(int(headers[b"content-length"]))
        else:
            while piece := self._rest or self._more():
                self._rest = b""
                yield piece
            self.close()

    def _more(self) -> bytes:
        assert self._socket is not None  # noqa: S101  nothing is read before something is sent
        return self._socket.recv(1 << 18)

    def _through(self, mark: bytes) -> bytes:
        while mark not in self._rest:
            piece = self._more()
            if not piece:
                self.close()
                raise ConnectionResetError("the server closed the connection")
            self._rest += piece
        found, _, self._rest = self._rest.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        parts, missing = [self._rest[:size]], size - len(self._rest)
        self._rest = self._rest[size:]
        while missing > 0:
            piece = self._more()
            if not piece:
                raise ConnectionResetError("the server closed the connection")
            parts.append(piece[:missing])
            self._rest = piece[missing:]
            missing -= len(piece)
        return b"".join(parts)


class Sender(Protocol):
    """Sends one prepared thing after the other; each answer is checked. Raises Wrong."""

    def send(self, prepared: Any) -> None: ...

    def close(self) -> None: ...


class HttpSender:
    def __init__(self, port: int, *expected: int) -> None:
        self._connection, self._expected = Connection(port), expected

    def send(self, prepared: bytes) -> None:
        answer = self._connection.send(prepared)
        if answer.status not in self._expected:
            raise Wrong(f"answered {answer.status}: {answer.body[:300]!r}")

    def close(self) -> None:
        self._connection.close()


class EventSender:
    """Takes the first event of a stream that has no end, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, prepared: bytes) -> None:
        self.first(prepared)

    def first(self, prepared: bytes) -> Any:
        """What the first event says, as JSON."""
        with Connection(self._port) as connection:
            piece = next(connection.stream(prepared), b"")
        _, is_there, said = piece.partition(b"data: ")
        if not is_there:
            raise Wrong(f"no event: {piece[:300]!r}")
        return json.loads(said)

    def close(self) -> None:
        """Nothing is kept open."""


@dataclass
class Load:
    """What came of many clients: how long, and the milliseconds of each answer."""

    seconds: float
    took: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.took) / self.seconds


def load(
    sender: Callable[[], Sender], prepared: Callable[[int], Any], clients: int, seconds: float
) -> Load:
    """So many clients at once, each sending the next thing as soon as the last is answered.

    Things are prepared before the clock starts where that is possible: in each client's pause
    otherwise, which is outside of the time of an answer. Raises Wrong when one answer was.
    """
    numbers, lock = iter(range(1, 1 << 40)), threading.Lock()
    took: list[float] = []
    faults: list[BaseException] = []
    ends = time.monotonic() + seconds

    def act() -> None:
        own, one = [], sender()
        try:
            while time.monotonic() < ends and not faults:
                with lock:
                    number = next(numbers)
                thing = prepared(number)
                began = time.perf_counter()
                one.send(thing)
                own.append(1000 * (time.perf_counter() - began))
        except Exception as error:  # noqa: BLE001  it is raised where the figures are taken
            faults.append(error)
        finally:
            one.close()
            took.extend(own)

    began = time.monotonic()
    threads = [threading.Thread(target=act, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults or not took:
        raise Wrong(f"a client failed: {faults[:1]}")
    return Load(time.monotonic() - began, took)
