"""The audit trail, for our own API."""

import falcon

from ciserver.edge.bodies import number, number_query
from ciserver.model.account import Actor
from ciserver.model.request import JobRequest
from ciserver.service.services import Services
from ciserver.web import show
from ciserver.web.paging import page_size


class RequestApi:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_requests(self, req: falcon.Request, resp: falcon.Response) -> None:
        found, following = requests_from(
            self._services, req.context.actor, number_query(req, "offset") or 0, page_size(req)
        )
        resp.media = {"requests": [show.request(one) for one in found], "next": following}

    def on_get_request(self, req: falcon.Request, resp: falcon.Response, request_id: str) -> None:
        resp.media = show.request(
            self._services.requests.get(req.context.actor, number(request_id))
        )


def requests_from(
    services: Services, actor: Actor, offset: int, size: int
) -> tuple[tuple[JobRequest, ...], int | None]:
    """A slice of the trail, newest first, and where the next one begins."""
    found = services.requests.list_newest(actor, limit=size + 1, offset=offset)
    return found[:size], offset + size if len(found) > size else None
