"""The worker's side of the private door: one request after the other, asked again until it is
answered or in vain.
"""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlencode

import structlog
import urllib3

from ciserver import wire
from ciserver.model.build import Lease
from ciserver.model.errors import (
    Busy,
    CiError,
    Forbidden,
    Invalid,
    LeaseLost,
    NotFound,
    NotSignedIn,
    OtherVersion,
    OverQuota,
    RemoteFailure,
    TooLarge,
)

log = structlog.get_logger(__name__)
Message = TypeVar("Message")

PATIENCE_SECONDS = 3600.0  # with a server that is away: an end that nobody heard of is lost work
_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0)  # and then the last again and again
_CRASHES = 5  # of the server, at one and the same request
_BLOCK = 1 << 20
_BUSY = {502, 503, 504}
_BY_CODE: dict[str, type[CiError]] = {one.code: one for one in (OverQuota, OtherVersion)}
_REFUSALS: dict[int, type[CiError]] = {
    400: Invalid,
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: LeaseLost,
    413: TooLarge,
    503: Busy,
}


class Closed(Exception):
    """The worker ends: nothing is asked again."""


class Door:
    """`spool` is a directory of this worker for what comes in, `authorities` a file with the
    certificates of those whose word counts for who the server is, where the machine's own do not.
    Threads may share it.
    """

    def __init__(
        self,
        url: str,
        credential: str,
        *,
        spool: Path,
        authorities: Path | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        read_seconds: float = 60.0,
    ) -> None:
        self._url = url.rstrip("/") + "/worker/v1"
        self._credential = credential
        self._spool = spool
        self._patience_seconds = patience_seconds
        self._read_seconds = read_seconds
        self._closed = threading.Event()
        self._pool = urllib3.PoolManager(
            retries=False, maxsize=32, ca_certs=str(authorities) if authorities else None
        )

    def close(self) -> None:
        """Ask for nothing any more: whoever waits for an answer gets Closed."""
        self._closed.set()

    def ask(
        self,
        kind: type[Message],
        method: str,
        path: str,
        *,
        lease: Lease | None = None,
        message: object = None,
        body: bytes | None = None,
        patience_seconds: float | None = None,
        read_seconds: float | None = None,
        **query: str,
    ) -> Message | None:
        """The answer, which is a message of this kind; None where there is nothing to be said. The
        lease is that of the attempt it is about; without one the credential is the proof.

        A server that is away or busy is asked again, for as long as patience lasts. Raises
        LeaseLost and the other errors that the server raised, and RemoteFailure at the end; Busy
        where there is no patience at all.
        """
        body = wire.write(message) if message is not None else body
        target = self._target(path, lease, query)
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        until = time.monotonic() + patience
        for delay in _delays():
            left = max(0.0, until - time.monotonic())
            with self._patiently(target, method, lease, body, left, read_seconds) as answer:
                try:
                    content = answer.read()
                except urllib3.exceptions.HTTPError as error:
                    self._wait(delay, until, target, str(error))
                    continue
            return wire.read(kind, content) if content else None
        raise AssertionError  # the delays do not end

    def ask_file(
        self,
        method: str,
        path: str,
        *,
        lease: Lease,
        message: object = None,
        read_seconds: float | None = None,
        **query: str,
    ) -> IO[bytes] | None:
        """The answer as a file at its beginning, which the caller closes; None where there is
        nothing. Otherwise as `ask`.
        """
        body = wire.write(message) if message is not None else None
        target, until = self._target(path, lease, query), time.monotonic() + self._patience_seconds
        for delay in _delays():
            left = until - time.monotonic()
            answer = self._patiently(target, method, lease, body, left, read_seconds)
            with answer:
                if answer.status == 204:
                    return None
                file = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115  the caller closes it
                try:
                    shutil.copyfileobj(answer, file, _BLOCK)
                except urllib3.exceptions.HTTPError as error:
                    file.close()
                    self._wait(delay, until, target, str(error))
                    continue
            file.seek(0)
            return file
        raise AssertionError  # the delays do not end

    def _target(self, path: str, lease: Lease | None, query: dict[str, str]) -> str:
        place = f"/builds/{lease.build_id}/attempts/{lease.attempt}" if lease else ""
        return f"{self._url}{place}/{path}" + (f"?{urlencode(query)}" if query else "")

    def _patiently(
        self,
        target: str,
        method: str,
        lease: Lease | None,
        body: bytes | None,
        patience_seconds: float,
        read_seconds: float | None,
    ) -> urllib3.BaseHTTPResponse:
        until = time.monotonic() + patience_seconds
        headers = {
            "Authorization": f"Bearer {lease.token if lease else self._credential}",
            wire.VERSION_HEADER: str(wire.VERSION),
        }
        timeout = urllib3.Timeout(connect=5, read=read_seconds or self._read_seconds)
        crashes = 0
        for delay in _delays():
            if self._closed.is_set():
                raise Closed
            try:
                answer = self._pool.request(
                    method,
                    target,
                    body=body,
                    headers=headers,
                    timeout=timeout,
                    preload_content=False,
                )
            except urllib3.exceptions.HTTPError as error:
                self._wait(delay, until, target, str(error))
                continue
            if answer.status < 300:
                return answer
            with answer:
                refusal = _refusal(answer)
            crashes += answer.status == 500
            if isinstance(refusal, Busy) and not patience_seconds:
                raise refusal
            if answer.status not in _BUSY and not 0 < crashes < _CRASHES:
                raise refusal
            self._wait(delay, until, target, refusal.message)
        raise AssertionError  # the delays do not end

    def _wait(self, seconds: float, until: float, target: str, why: str) -> None:
        """Until the server is asked again. Raises RemoteFailure when patience is at its end."""
        if time.monotonic() + seconds > until:
            raise RemoteFailure(f"the server does not answer: {why}", temporary=True)
        log.debug("asked-again", target=target, why=why)
        if self._closed.wait(seconds):
            raise Closed


def _delays() -> Iterator[float]:
    return chain(_DELAYS, repeat(_DELAYS[-1]))


def _refusal(answer: urllib3.BaseHTTPResponse) -> CiError:
    """The error that the server raised, as far as it can be told from its answer."""
    try:
        error: dict[str, Any] = json.loads(answer.read())["error"]
        message, code, hint = str(error["message"]), str(error["code"]), error.get("hint") or None
    except (ValueError, KeyError, TypeError, urllib3.exceptions.HTTPError):
        return RemoteFailure(f"the server answered {answer.status}", temporary=True)
    kind = _BY_CODE.get(code) or _REFUSALS.get(answer.status)
    # Another conflict is none that the worker could do anything about.
    if kind is None or (kind is LeaseLost and code != LeaseLost.code):
        return RemoteFailure(f"the server refused it: {message}", temporary=False, hint=hint)
    return kind(message, hint=hint)
