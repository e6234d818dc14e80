"""Logs and products as files: whole, by range, and harmless to a browser."""

import io
import re
from datetime import datetime
from typing import IO, Any, NamedTuple
from urllib.parse import quote

import falcon

HARMLESS = "default-src 'none'; sandbox"
# What a page may do that a build wrote: run its scripts, as nobody, out of reach of our pages.
ISOLATED = "sandbox allow-scripts"
_RANGE = re.compile(
    r"bytes=(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{0,18})|-(?P<tail>[0-9]{1,18}))"
)


class Span(NamedTuple):
    """A stretch of a file; without a length there is nothing in it."""

    start: int
    length: int


class Stretch(io.RawIOBase):
    """A span of a file as a file of its own: it ends where the span ends, though the file grows."""

    def __init__(self, file: IO[bytes], span: Span) -> None:
        self._file = file
        self._span = span
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._span.length)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._span.start + self._at)
        content = self._file.read(max(0, min(len(view), self._span.length - self._at)))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def serve_file(
    req: falcon.Request,
    resp: falcon.Response,
    file: IO[bytes],
    size: int,
    *,
    etag: str = "",
    modified: datetime | None = None,
    policy: str = HARMLESS,
) -> None:
    """Answer with a file or the range of it that was asked for. `file` is closed by the server."""
    resp.set_header("Content-Security-Policy", policy)
    resp.set_header("Accept-Ranges", "bytes")
    if modified:
        resp.last_modified = modified
    if etag:
        resp.etag = etag
        resp.set_header("Cache-Control", "private, max-age=86400")
    if _is_known(req, etag, modified):
        file.close()
        resp.status = falcon.HTTP_304
        resp.delete_header("Content-Type")  # of what is not sent
        return
    span = span_of(req, size) if _wants_range(req, resp) else None
    if span is None:
        span = Span(0, size)
    elif not span.length:
        file.close()
        resp.status = falcon.HTTP_416
        resp.set_header("Content-Range", f"bytes */{size}")
        return
    else:
        resp.status = falcon.HTTP_206
        last = span.start + span.length - 1
        resp.set_header("Content-Range", f"bytes {span.start}-{last}/{size}")
    resp.set_stream(Stretch(file, span), span.length)


def _is_known(req: falcon.Request, etag: str, modified: datetime | None) -> bool:
    """Whether the client has it already; where it names content, its time does not count."""
    if req.get_header("If-None-Match") is not None:
        return bool(etag) and any(one in {etag, "*"} for one in req.if_none_match or ())
    since = req.get_header("If-Modified-Since")
    try:
        known = falcon.http_date_to_dt(since) if since else None
    except ValueError:
        return False
    return known is not None and modified is not None and modified.replace(microsecond=0) <= known


def _wants_range(req: falcon.Request, resp: falcon.Response) -> bool:
    """Whether a range is one of what there is now: it may be meant to complete what was there."""
    condition = req.get_header("If-Range")
    return condition is None or condition in {
        resp.get_header("ETag"),
        resp.get_header("Last-Modified"),
    }


def first_byte(req: falcon.Request) -> int | None:
    """Where the range that was asked for begins; None for everything and for a tail."""
    asked = _RANGE.fullmatch(req.get_header("Range") or "")
    return int(asked["first"]) if asked and asked["first"] else None


def span_of(req: falcon.Request, size: int) -> Span | None:
    """The one range asked for; None for everything. What is not one range of bytes is ignored, as
    the standard allows: the whole file is always a right answer.
    """
    asked = _RANGE.fullmatch(req.get_header("Range") or "")
    if asked is None:
        return None
    if asked["tail"]:
        start, end = max(0, size - int(asked["tail"])), size
    else:
        start = int(asked["first"])
        end = min(size, int(asked["last"]) + 1) if asked["last"] else size
        if asked["last"] and int(asked["last"]) < start:
            return None
    return Span(start, max(0, end - start))


def as_download(resp: falcon.Response, name: str) -> None:
    """A product is always saved, never shown: a build writes what it likes."""
    resp.content_type = "application/octet-stream"
    resp.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}")
