"""Redirects that hand on what an address has beyond the part that they are for."""

import re
from typing import NoReturn
from urllib.parse import quote

import falcon

from ciserver.edge.paths import with_slashes
from ciserver.model.errors import NotFound

IN_A_QUERY = "/?:@!$&'()*+,;=%"


def see(req: falcon.Request, where: str, rest: str = "") -> NoReturn:
    """Go to an address of ours, or to what lies there beneath it: the `rest` of the path, with its
    query. It is sent encoded, so that it cannot lead anywhere else. Raises NotFound for one that
    climbs.
    """
    if {".", ".."} & set(re.split(r"[/\\]", with_slashes(rest))):
        raise NotFound(f"there is nothing at {req.path}")
    if rest:
        where += "/" + quote(rest).replace("%252F", "%2F")
    if req.query_string:
        where += "?" + quote(req.query_string, safe=IN_A_QUERY)
    raise falcon.HTTPFound(where)
