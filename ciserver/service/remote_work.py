"""Builds that run on other machines: who may take which, and who may write for which attempt."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

from ciserver.model.account import Actor
from ciserver.model.build import Lease, LogPiece, Offer, Work
from ciserver.model.errors import Forbidden, LeaseLost, NotSignedIn, TooLarge
from ciserver.model.ports import Reporter
from ciserver.model.request import Action
from ciserver.model.worker import Worker
from ciserver.service.audit import Audit
from ciserver.service.remote_sources import RemoteSources
from ciserver.service.reporter import LocalReporter
from ciserver.store.store import Store

_TOKEN = re.compile(r"[0-9a-f]{32}")


class RemoteWork:
    """`reporter` is what the attempts tell; whoever tells it something asks `lease` first. A file
    that comes in may have `most_bytes`; 0: any number. The log of a step may have `most_log_bytes`.
    """

    def __init__(
        self,
        store: Store,
        audit: Audit,
        reporter: LocalReporter,
        sources: RemoteSources,
        *,
        most_bytes: int,
        most_log_bytes: int,
    ) -> None:
        self._store = store
        self._audit = audit
        self._local = reporter
        self.sources = sources
        self._most_bytes = most_bytes
        self._most_log_bytes = most_log_bytes

    @property
    def reporter(self) -> Reporter:
        return self._local

    def claim(self, worker: Worker, claim_id: str, offer: Offer) -> Work | None:
        """Take the best build of the queues, images and labels that a worker offers, or what it
        took before by this id, if it holds that. Raises Forbidden for a queue or label that is not
        the worker's.
        """
        _require("take builds of", worker.name, offer.queues, map(str, worker.queues))
        _require("have the labels", worker.name, offer.labels, worker.labels)
        if not offer.queues:
            return None
        systems = (one.system for one in worker.queues if str(one) in offer.queues)
        checked = replace(
            offer,
            worker=worker.name,
            systems=tuple(dict.fromkeys(systems)),
            projects=tuple(worker.projects),
        )
        work = self._local.claim_elsewhere(checked, _token_of(worker, claim_id))
        return work and replace(work, mirrors=self.sources.mirrors(work))

    def lease(self, build_id: int, attempt: int, token: str) -> Lease:
        """The right to write for an attempt, proven by its token. Raises NotSignedIn without one,
        LeaseLost with an old one, and Forbidden with that of another attempt, which leaves a row.
        """
        if not _TOKEN.fullmatch(token):
            raise NotSignedIn("this is for the worker that holds the attempt")
        lease = Lease(build_id, attempt, token)
        if self._store.workers.holds(lease):
            return lease
        holder = self._store.workers.holder_of(token)
        if holder is None or not self._is_of_another(lease):
            raise LeaseLost(f"attempt {attempt} no longer owns build {build_id}")
        actor = Actor(f"worker {holder}")
        with self._audit.refusals(actor, Action.WORK_ON_BUILD, build=build_id, attempt=attempt):
            raise Forbidden("this is the token of another attempt")

    def _is_of_another(self, lease: Lease) -> bool:
        """Whether the token, which somebody holds, is not for this attempt; else the worker's
        credential is gone.
        """
        try:
            self._store.attempts.check(lease)
        except LeaseLost:
            return True
        return False

    def append_log(self, lease: Lease, piece: LogPiece) -> None:
        """As the reporter does, for steps that the attempt has and within bounds. Raises NotFound,
        TooLarge, LeaseLost.
        """
        self._store.builds.get_step(lease.build_id, lease.attempt, piece.step)
        if piece.offset + len(piece.chunk) > self._most_log_bytes:
            raise TooLarge(f"the log is over {self._most_log_bytes} bytes")
        self._local.append_log(lease, piece.step, piece.offset, piece.chunk)

    # -- files on their way in --------------------------------------------------------------------

    def uploaded(self, lease: Lease, sha256: str) -> int:
        """How much of a file is there."""
        return self._store.incoming.size(lease.build_id, lease.attempt, sha256)

    def upload(self, lease: Lease, sha256: str, offset: int, chunk: bytes) -> int:
        """Put a piece of a file at its offset; answers how much is there then. Raises Invalid for
        a gap, TooLarge.
        """
        where = (lease.build_id, lease.attempt, sha256, offset)
        return self._store.incoming.write(*where, chunk, most=self._most_bytes)

    @contextmanager
    def whole(self, lease: Lease, sha256: str) -> Iterator[IO[bytes]]:
        """A file that came in, to be kept within the block. Raises Invalid unless it is whole."""
        with self._store.incoming.whole(lease.build_id, lease.attempt, sha256) as file:
            yield file

    def ended(self, lease: Lease) -> None:
        """Nothing more comes of this attempt."""
        self._store.incoming.forget(lease.build_id, lease.attempt)

    def sweep(self) -> None:
        """Remove what attempts that were lost had sent; may be called at any time."""
        there = self._store.incoming.attempts()
        for build_id, attempt in there - self._store.workers.leased(there):
            self._store.incoming.forget(build_id, attempt)


def _require(what: str, worker: str, asked: Iterable[str], given: Iterable[str]) -> None:
    """Raises Forbidden."""
    theirs = list(given)
    others = [one for one in asked if one not in theirs]
    if others:
        raise Forbidden(
            f"the worker {worker} may not {what} {', '.join(others)}",
            hint=f"its credential is for {', '.join(theirs) or 'none'}",
        )


def _token_of(worker: Worker, claim_id: str) -> str:
    """The token of the attempt that is claimed by this id: the same for the same claim, so that a
    repeated one finds it, and another for the claim of another worker.
    """
    told = f"{worker.name} {claim_id}".encode()
    return hashlib.blake2b(told, digest_size=16).hexdigest()
