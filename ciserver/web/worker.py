"""The private door of workers on other machines: /worker/v1.

A worker claims with its credential. For all that it does for a build the proof is the token of the
attempt, which ends with it. What is said is JSON of ciserver/wire.py; logs and files are bytes.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TypeVar

import falcon

from ciserver import __version__, wire
from ciserver.edge.bodies import has_left, number, number_query, raw_body
from ciserver.edge.dialect import Route
from ciserver.model.build import Lease, LogPiece, Offer
from ciserver.model.errors import (
    BadAddress,
    Complaint,
    Invalid,
    NotFound,
    OtherVersion,
    RemoteFailure,
)
from ciserver.model.worker import Worker
from ciserver.service.services import Services

WAIT_LIMIT = 20
CHUNK_LIMIT = 8 << 20
LOG_LIMIT = 2 << 20
_ATTEMPT = "/worker/v1/builds/{build_id}/attempts/{attempt}"
_SHA256 = re.compile(r"[0-9a-f]{64}")
Message = TypeVar("Message")


def worker_routes(services: Services) -> Iterator[Route]:
    door = WorkerDoor(services)
    for name in ("hello", "bell", "claim"):
        yield Route(f"/worker/v1/{name}", door, name)
    attempts = AttemptDoor(services)
    for name in ("renew", "advance", "output", "finish", "give-back", "products", "reports"):
        yield Route(f"{_ATTEMPT}/{name}", attempts, name.replace("-", "_"))
    yield Route(f"{_ATTEMPT}/caches", attempts, "caches")
    yield Route(f"{_ATTEMPT}/log/{{step}}", attempts, "log")
    yield Route(f"{_ATTEMPT}/uploads/{{sha256}}", attempts, "upload")
    sources = SourceDoor(services)
    yield Route(f"{_ATTEMPT}/sources/{{source}}", sources, "source")
    yield Route(f"{_ATTEMPT}/sources/{{source}}/pack", sources, "pack")
    yield Route(f"{_ATTEMPT}/sources/{{source}}/content", sources, "content")


class WorkerDoor:
    """What a worker does by its credential."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_hello(self, req: falcon.Request, resp: falcon.Response) -> None:
        worker = self._worker(req)
        queues = tuple(str(one) for one in worker.queues)
        _say(resp, wire.Hello(worker.name, queues, worker.labels))

    def on_post_bell(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answers when there may be work that there was not when it was last asked, when a build of
        the worker was canceled, or after WAIT_LIMIT seconds.
        """
        worker, asked = self._worker(req), _message(req, wire.Listen)
        taken = [one for one in worker.queues if str(one) in asked.state.queues]
        state = replace(
            asked.state,
            name=worker.name,
            systems=tuple(dict.fromkeys(one.system for one in taken)),
            queues=tuple(str(one) for one in taken),
            labels=tuple(one for one in worker.labels if one in asked.state.labels),
            projects=tuple(worker.projects.values()),
        )
        heard = self._services.fleet.listen(
            state, asked.heard, wait_seconds=WAIT_LIMIT, has_left=has_left(req)
        )
        is_paused = self._services.pauses.is_paused(worker.name)
        _say(resp, wire.Rung(heard.bell, heard.canceled, is_paused))

    def on_post_claim(self, req: falcon.Request, resp: falcon.Response) -> None:
        worker, asked = self._worker(req), _message(req, wire.Claim)
        work = self._services.remote_work.claim(
            worker,
            asked.id,
            Offer(worker.name, (), asked.images, asked.queues, asked.labels),
        )
        if work is None:
            return
        masked = tuple(one.encode(errors="surrogateescape") for one in work.secrets)
        _say(resp, wire.Claimed(replace(work, secrets=()), masked))

    def _worker(self, req: falcon.Request) -> Worker:
        """Raises NotSignedIn, OtherVersion."""
        worker = self._services.workers.recognize(_token(req))
        told = req.get_header(wire.VERSION_HEADER) or ""
        if told != str(wire.VERSION):
            raise OtherVersion(
                f"the worker {worker.name} is not of the version of this server: it speaks"
                f" protocol {told[:20] or '(none)'}, and not {wire.VERSION}",
                hint=f"install ciserver {__version__} on the machine of the worker",
            )
        return worker


class AttemptDoor:
    """What a worker tells of the attempt whose token it has. What has no answer is answered with
    nothing and 200: after a 204 the connection would be closed.
    """

    def __init__(self, services: Services) -> None:
        self._work = services.remote_work
        self._reporter = services.remote_work.reporter

    def _lease(self, req: falcon.Request, build_id: str, attempt: str) -> Lease:
        return self._work.lease(number(build_id), number(attempt, "attempt"), _token(req))

    def on_post_renew(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease = self._lease(req, build_id, attempt)
        _say(resp, wire.Renewed(self._reporter.renew(lease)))

    def on_post_advance(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease, told = self._lease(req, build_id, attempt), _message(req, wire.Advance)
        self._append(lease, told.log)
        self._reporter.advance(lease, told.done, told.starting, sandbox=told.sandbox)

    def on_put_log(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str, step: str
    ) -> None:
        """The same bytes at the same `offset` again change nothing."""
        lease = self._lease(req, build_id, attempt)
        offset = number_query(req, "offset") or 0
        piece = LogPiece(number(step, "step"), offset, raw_body(req, LOG_LIMIT))
        self._append(lease, (piece,))

    def _append(self, lease: Lease, log: Iterable[LogPiece]) -> None:
        for piece in log:
            self._work.append_log(lease, piece)

    def on_get_upload(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str, sha256: str
    ) -> None:
        lease = self._lease(req, build_id, attempt)
        _say(resp, wire.Uploaded(self._work.uploaded(lease, _digest(sha256))))

    def on_put_upload(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str, sha256: str
    ) -> None:
        lease = self._lease(req, build_id, attempt)
        offset, chunk = number_query(req, "offset") or 0, raw_body(req, CHUNK_LIMIT)
        _say(resp, wire.Uploaded(self._work.upload(lease, _digest(sha256), offset, chunk)))

    def on_post_products(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease, told = self._lease(req, build_id, attempt), _message(req, wire.KeepProduct)
        with self._work.whole(lease, told.sha256) as content:
            self._reporter.add_product(lease, told.path, content, kind=told.kind, name=told.name)

    def on_post_output(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease, told = self._lease(req, build_id, attempt), _message(req, wire.Tell)
        self._reporter.set_output(lease, told.output)

    def on_post_reports(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease, told = self._lease(req, build_id, attempt), _message(req, wire.KeepReport)
        with self._work.whole(lease, told.sha256) as content:
            counts, notes = self._reporter.add_report(lease, told.kind, told.path, content)
        _say(resp, wire.ReportKept(counts, notes))

    def on_get_caches(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        """What is kept under `key`; 204 when that is nothing."""
        lease = self._lease(req, build_id, attempt)
        content = self._reporter.open_cache(lease, req.get_param("key", default=""))
        if content is None:
            resp.status = falcon.HTTP_204
        else:
            _send(resp, content)

    def on_post_caches(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease, told = self._lease(req, build_id, attempt), _message(req, wire.KeepCache)
        with self._work.whole(lease, told.sha256) as content:
            self._reporter.save_cache(lease, told.key, content)

    def on_post_finish(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease, told = self._lease(req, build_id, attempt), _message(req, wire.Finish)
        self._append(lease, told.log)
        self._reporter.finish(lease, told.result, told.steps)
        self._work.ended(lease)

    def on_post_give_back(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str
    ) -> None:
        lease, told = self._lease(req, build_id, attempt), _message(req, wire.GiveBack)
        self._reporter.give_back(lease, told.loss)
        self._work.ended(lease)


class SourceDoor:
    """The sources of a build that a worker has claimed, and of no other."""

    def __init__(self, services: Services) -> None:
        self._work = services.remote_work
        self._sources = services.remote_work.sources

    def _which(
        self, req: falcon.Request, build_id: str, attempt: str, source: str
    ) -> tuple[Lease, int]:
        lease = self._work.lease(number(build_id), number(attempt, "attempt"), _token(req))
        return lease, number(source, "source")

    def on_get_source(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str, source: str
    ) -> None:
        which = self._which(req, build_id, attempt, source)
        with _told(resp):
            _say(resp, wire.SourceAnswer(self._sources.listing(*which)))

    def on_post_pack(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str, source: str
    ) -> None:
        which = self._which(req, build_id, attempt, source)
        asked = _message(req, wire.AskPack)
        _send(resp, self._sources.pack(*which, asked.mirror, asked.have))

    def on_get_content(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, attempt: str, source: str
    ) -> None:
        _send(resp, self._sources.upload(*self._which(req, build_id, attempt, source)))


@contextmanager
def _told(resp: falcon.Response) -> Iterator[None]:
    """A source that cannot be had is no fault of the request: it is told as what it is."""
    try:
        yield
    except (BadAddress, Invalid, NotFound, RemoteFailure) as error:
        temporary = isinstance(error, RemoteFailure) and error.temporary
        _say(resp, wire.SourceAnswer(None, error.message, error.hint or "", temporary))


def _token(req: falcon.Request) -> str:
    scheme, _, token = (req.get_header("Authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        fault = Complaint("sha256", "must be 64 hex digits in lower case")
        raise Invalid("the address cannot be used", complaints=[fault])
    return text


def _message(req: falcon.Request, kind: type[Message]) -> Message:
    return wire.read(kind, raw_body(req))


def _say(resp: falcon.Response, message: object) -> None:
    resp.data = wire.write(message)
    resp.content_type = falcon.MEDIA_JSON


def _send(resp: falcon.Response, content: IO[bytes]) -> None:
    """A file as it is, which is closed afterwards."""
    size = content.seek(0, 2)
    content.seek(0)
    resp.content_type = "application/octet-stream"
    resp.set_stream(content, size)
