"""What the servers of one database tell each other: short texts, heard at once by all the others.

PostgreSQL carries them. They are sent after the transaction that they are about, together with
whatever else is to be said at that moment: within it, each commit would wait for a lock of the
whole database server. A text that is lost is made up for by looking, so none is ever waited for.
"""

import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_CHANNEL = "ciserver"
_MOST_BYTES = 7_000  # PostgreSQL takes somewhat less than 8,000
_AGAIN_SECONDS = 1.0
_BREATH_SECONDS = 0.03  # between two sendings
_LONGEST_SECONDS = 3_600.0
# A server of the database that is gone without a word is noticed within half a minute.
_CONNECTION: dict[str, Any] = {
    "application_name": "ciserver bells",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class Notices:
    """One connection and one thread. `hear` is called with each text of others; `missed` when some
    may have been lost: at the start, and when the connection was. Both must return at once.
    """

    def __init__(self, url: str, hear: Callable[[str], None], missed: Callable[[], None]) -> None:
        self._url = url
        self._hear = hear
        self._missed = missed
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}  # what is to be said, and from when on it may be
        self._sent: dict[str, tuple[float, float]] = {}  # of rare texts: when, and how rare
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Say what is still to be said, and end."""
        self._closing = True
        os.eventfd_write(self._bell, 1)
        self._thread.join(timeout_seconds)

    def tell(self, text: str, every_seconds: float = 0.0) -> None:
        """Tell all others; the same text at most every so often, and the last time in the end.
        Returns at once.
        """
        now = time.monotonic()
        with self._lock:
            sent, _ = self._sent.get(text, (now - every_seconds, 0.0))
            if every_seconds:
                self._sent[text] = sent, every_seconds
            self._due.setdefault(text, sent + every_seconds)
        os.eventfd_write(self._bell, 1)

    def _run(self) -> None:
        from psycopg import Error, connect  # noqa: PLC0415  an extra

        is_away = False
        while not self._closing:
            try:
                with connect(self._url, autocommit=True, **_CONNECTION) as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    if is_away:
                        log.info("notices-heard-again")
                    is_away = False
                    self._missed()
                    self._converse(connection)
            except Error as error:
                if not is_away:
                    log.warning("notices-not-heard", why=str(error).strip())
                is_away = True
                self._pause()

    def _pause(self) -> None:
        end = time.monotonic() + _AGAIN_SECONDS
        while not self._closing and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _converse(self, connection: Any) -> None:
        """Say and hear, until this is closed or the connection lost."""
        connection.add_notify_handler(
            lambda one: self._heard(connection, one.pid, one.payload)  # what comes while we say
        )
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            while not self._closing:
                left = self._say(connection)
                ready = {key.fd for key, _ in selector.select(left)}
                if self._bell in ready:
                    os.eventfd_read(self._bell)
                if connection.fileno() in ready:
                    self._listen(connection)
            self._say(connection, at_last=True)

    def _listen(self, connection: Any) -> None:
        connection.pgconn.consume_input()
        while one := connection.pgconn.notifies():
            self._heard(connection, one.be_pid, one.extra.decode())

    def _heard(self, connection: Any, sender: int, payload: str) -> None:
        if sender != connection.info.backend_pid:
            for text in payload.split("\n"):
                self._hear(text)

    def _say(self, connection: Any, *, at_last: bool = False) -> float:
        """Send what may be sent now; answers in how many seconds more may be."""
        texts = self._take(time.monotonic(), at_last=at_last)
        for payload in _packed(texts):
            connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, payload))
        if texts and not at_last:
            time.sleep(_BREATH_SECONDS)  # what is told meanwhile goes together
        with self._lock:
            first = min(self._due.values(), default=None)
        return _LONGEST_SECONDS if first is None else max(0.0, first - time.monotonic())

    def _take(self, now: float, *, at_last: bool) -> list[str]:
        with self._lock:
            texts = [text for text, at in self._due.items() if at_last or at <= now]
            for one in texts:
                del self._due[one]
            self._sent = {
                text: (now if text in texts else sent, rare)
                for text, (sent, rare) in self._sent.items()
                if text in self._due or text in texts or sent + rare > now
            }
        return texts


def _packed(texts: list[str]) -> Iterator[str]:
    """As few payloads as they fit in."""
    payload = ""
    for one in texts:
        if payload and len(payload) + len(one) >= _MOST_BYTES:
            yield payload
            payload = ""
        payload = f"{payload}\n{one}" if payload else one
    if payload:
        yield payload
