"""The Reporter of a worker on another machine: what it tells goes to the server over HTTP."""

import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

from ciserver import wire
from ciserver.executor.door import Door
from ciserver.executor.log_sender import LogSender
from ciserver.model.build import (
    PLAIN,
    BuildResult,
    Lease,
    LogPiece,
    Loss,
    Offer,
    Output,
    ProductKind,
    StepResult,
    Work,
)
from ciserver.model.errors import Busy, Invalid, LeaseLost, RemoteFailure
from ciserver.model.report import Counts, ReportKind

_PIECE = 4 << 20
_TRIES = 3
_RENEW_PART = 6  # of the lease is what a renewal may take
_SLOW_SECONDS = 600.0  # to read what a file tells, or to copy it to its place
Answer = TypeVar("Answer")


class HttpReporter:
    """Implements model.ports.Reporter. `folder` is the worker's own, for logs that are on their
    way. A server that is away for less than the lease costs nothing: what is to be said waits.
    """

    def __init__(self, door: Door, folder: Path) -> None:
        self._door = door
        self._logs = LogSender(folder, self._send_log)
        self._renew_seconds = _SLOW_SECONDS
        self._unanswered: deque[str] = deque()  # ids of claims

    def close(self) -> None:
        """Send nothing any more; for when no build runs."""
        self._logs.close()

    def claim(self, offer: Offer) -> Work | None:
        try:
            claim_id = self._unanswered.popleft()
        except IndexError:
            claim_id = secrets.token_hex(16)
        asked = wire.Claim(claim_id, offer.queues, offer.images, offer.labels)
        try:
            answer = self._door.ask(
                wire.Claimed, "POST", "claim", message=asked, patience_seconds=0
            )
        except (RemoteFailure, Busy):
            # What it took, if it took something, is had by asking for the same again.
            self._unanswered.append(claim_id)
            raise
        if answer is None:
            return None
        self._renew_seconds = answer.work.lease_seconds / _RENEW_PART
        masked = tuple(one.decode(errors="surrogateescape") for one in answer.masked)
        return replace(answer.work, secrets=masked)

    def renew(self, lease: Lease) -> bool:
        # The next renewal is near: this one is not asked again, so that others get their turn.
        try:
            answer = self._door.ask(
                wire.Renewed,
                "POST",
                "renew",
                lease=lease,
                patience_seconds=0,
                read_seconds=self._renew_seconds,
            )
        except LeaseLost as error:
            self._logs.lose(lease, error)
            raise
        return answer is not None and answer.cancel

    def advance(
        self, lease: Lease, done: StepResult, starting: int | None, *, sandbox: str
    ) -> None:
        with self._logs.carried(lease) as log:  # a step that has ended has its whole log
            self._tell(lease, "advance", wire.Advance(done, starting, sandbox, log))

    def append_log(self, lease: Lease, step: int, offset: int, chunk: bytes) -> None:
        self._logs.add(lease, step, offset, chunk)

    def _send_log(self, lease: Lease, piece: LogPiece) -> None:
        self._door.ask(
            wire.Uploaded,
            "PUT",
            f"log/{piece.step}",
            lease=lease,
            body=piece.chunk,
            offset=str(piece.offset),
        )

    def add_product(
        self,
        lease: Lease,
        path: str,
        content: IO[bytes],
        *,
        kind: ProductKind = PLAIN,
        name: str = "",
    ) -> None:
        def keep(sha256: str) -> None:
            self._tell(lease, "products", wire.KeepProduct(sha256, path, kind, name))

        self._hand_in(lease, content, keep)

    def set_output(self, lease: Lease, output: Output) -> None:
        self._tell(lease, "output", wire.Tell(output))

    def add_report(
        self, lease: Lease, kind: ReportKind, path: str, content: IO[bytes]
    ) -> tuple[Counts, tuple[str, ...]]:
        def keep(sha256: str) -> wire.ReportKept | None:
            message = wire.KeepReport(sha256, path, kind)
            return self._door.ask(
                wire.ReportKept,
                "POST",
                "reports",
                lease=lease,
                message=message,
                read_seconds=_SLOW_SECONDS,
            )

        kept = self._hand_in(lease, content, keep)
        return (kept.counts, kept.notes) if kept else (Counts(), ())

    def open_cache(self, lease: Lease, key: str) -> IO[bytes] | None:
        return self._door.ask_file("GET", "caches", lease=lease, key=key)

    def save_cache(self, lease: Lease, key: str, content: IO[bytes]) -> None:
        def keep(sha256: str) -> None:
            self._tell(lease, "caches", wire.KeepCache(sha256, key))

        self._hand_in(lease, content, keep)

    def finish(self, lease: Lease, result: BuildResult, steps: tuple[StepResult, ...]) -> None:
        try:
            with self._logs.carried(lease) as log:
                self._tell(lease, "finish", wire.Finish(result, steps, log))
        finally:
            self._logs.forget(lease)

    def give_back(self, lease: Lease, loss: Loss) -> None:
        try:
            # What cannot be sent may be the very reason.
            with suppress(RemoteFailure, Invalid, OSError):
                self._logs.flush(lease)
            self._tell(lease, "give-back", wire.GiveBack(loss))
        finally:
            self._logs.forget(lease)

    def _tell(self, lease: Lease, path: str, message: object) -> None:
        self._door.ask(
            wire.Uploaded,
            "POST",
            path,
            lease=lease,
            message=message,
            read_seconds=_SLOW_SECONDS,
        )

    def _hand_in(self, lease: Lease, content: IO[bytes], keep: Callable[[str], Answer]) -> Answer:
        """Send a file, from where an earlier try was cut off, and have it kept. It begins anew
        where the server lost what it had of it.
        """
        start = content.tell()
        sha256 = _digest(content)
        for left in reversed(range(_TRIES)):
            try:
                self._upload(lease, sha256, content, start)
                return keep(sha256)
            except Invalid:
                if not left:
                    raise
        raise AssertionError  # the last try ends either way

    def _upload(self, lease: Lease, sha256: str, content: IO[bytes], start: int) -> None:
        path = f"uploads/{sha256}"
        known = self._door.ask(wire.Uploaded, "GET", path, lease=lease)
        offset = known.size if known else 0
        content.seek(start + offset)
        piece = content.read(_PIECE)
        while piece or not offset:
            self._door.ask(wire.Uploaded, "PUT", path, lease=lease, body=piece, offset=str(offset))
            offset += len(piece)
            piece = content.read(_PIECE)
            if not offset:
                return  # an empty file is one all the same


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := content.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
