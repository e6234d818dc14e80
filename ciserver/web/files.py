"""Logs and products as files: whole, by range, and harmless to a browser."""

from typing import IO
from urllib.parse import quote

import falcon

_HARMLESS = "default-src 'none'; sandbox"


def serve_file(
    req: falcon.Request, resp: falcon.Response, file: IO[bytes], size: int, *, etag: str = ""
) -> None:
    """Answer with a file or the range of it that was asked for. `file` is closed by the server."""
    resp.set_header("Content-Security-Policy", _HARMLESS)
    resp.set_header("Accept-Ranges", "bytes")
    if etag:
        resp.etag = etag
        resp.set_header("Cache-Control", "private, max-age=86400")
        if any(one in {etag, "*"} for one in req.if_none_match or ()):
            file.close()
            resp.status = falcon.HTTP_304
            return
    span = _span(req, size)
    if span is None:
        resp.set_stream(file, size)
        return
    start, length = span
    if not length:
        file.close()
        resp.status = falcon.HTTP_416
        resp.set_header("Content-Range", f"bytes */{size}")
        return
    file.seek(start)
    resp.status = falcon.HTTP_206
    resp.set_header("Content-Range", f"bytes {start}-{start + length - 1}/{size}")
    resp.set_stream(file, length)


def _span(req: falcon.Request, size: int) -> tuple[int, int] | None:
    """Start and length of the one range asked for, (_, 0) when it holds nothing, None for all."""
    if req.range is None or req.range_unit != "bytes":
        return None
    first, last = req.range
    if first < 0:
        first, last = max(0, size + first), size - 1
    last = size - 1 if last < 0 else min(last, size - 1)
    return first, max(0, last - first + 1)


def as_download(resp: falcon.Response, name: str) -> None:
    """A product is always saved, never shown: a build writes what it likes."""
    resp.content_type = "application/octet-stream"
    resp.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}")
