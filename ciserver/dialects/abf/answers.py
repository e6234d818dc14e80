"""How answers travel: every good one has a tag, and one that the client knows is not sent again."""

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import falcon

from ciserver.dialects.abf.asked import Slice


def answer(req: falcon.Request, resp: falcon.Response, media: dict[str, Any]) -> None:
    """Clients keep what they read, and rely on the tag of whatever they do."""
    content = json.dumps(media).encode()
    tag = hashlib.sha256(content).hexdigest()[:32]
    resp.etag = tag
    resp.set_header("Cache-Control", "max-age=0, private, must-revalidate")
    if req.method == "GET" and any(one in {tag, "*"} for one in req.if_none_match or ()):
        resp.status = falcon.HTTP_304
        return
    resp.content_type = falcon.MEDIA_JSON
    resp.data = content


def link_pages(
    resp: falcon.Response, url: str, asked: Slice, *, more: bool, last: int | None
) -> None:
    """Name the neighbours of a page in the header Link, and the last one where it is known."""
    pages, page = dict[str, int](), asked.page
    if page > 1:
        pages |= {"first": 1, "prev": page - 1 if last is None else min(page - 1, last)}
    if more:
        pages["next"] = page + 1
        if last is not None:
            pages["last"] = last
    links = [
        f"<{url}?{urlencode({'page': number, 'per_page': asked.size, **asked.filters})}>;"
        f' rel="{relation}"'
        for relation, number in pages.items()
    ]
    if links:
        resp.set_header("Link", ", ".join(links))
