"""What several answers share: pages, and what a PUT made."""

from typing import Any

import falcon

from ciserver.edge.bodies import number_query
from ciserver.model.errors import Complaint, Invalid

PAGE_SIZE = 20
_HIGHEST_PAGE = 2**31 - 1
_CONFIGURATION = "#tabs-configuration"


def saved(resp: falcon.Response, uri: str, made: dict[str, Any], *, is_new: bool) -> None:
    if not is_new:
        resp.media = {"redirect": uri + _CONFIGURATION}
        return
    resp.status, resp.location = falcon.HTTP_201, uri
    resp.media = {**made, "uri": uri, "redirect": uri}


def page_of(req: falcon.Request) -> int:
    page = number_query(req, "page")
    if page is None:
        return 1
    if not 1 <= page <= _HIGHEST_PAGE:
        fault = Complaint("page", f"must be 1 to {_HIGHEST_PAGE}")
        raise Invalid("the address cannot be used", complaints=[fault])
    return page


def page_links(page: int, total: int, rest: str) -> dict[str, str]:
    last = -(-total // PAGE_SIZE)
    links = {"first": 1, "last": last}
    if page > 1:
        links["previous"] = page - 1
    if page < last:
        links["next"] = page + 1
    return {name: f"?page={number}{rest}" for name, number in links.items()}
