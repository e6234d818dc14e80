"""How much of a list is asked for."""

import falcon

from ciserver.edge.bodies import number_query

PAGE_LIMIT = 500


def page_size(req: falcon.Request) -> int:
    """What the query says in `limit`, within bounds."""
    return min(number_query(req, "limit") or 50, PAGE_LIMIT)
