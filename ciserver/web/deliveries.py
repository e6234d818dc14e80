"""Deliveries, for our own API."""

import falcon

from ciserver.service.services import Services
from ciserver.web import show
from ciserver.web.paging import page_size


class DeliveryApi:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_deliveries(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._services.queries.deliveries(req.context.actor, limit=page_size(req))
        resp.media = [show.delivery(one) for one in found]

    def on_get_delivery(self, req: falcon.Request, resp: falcon.Response, delivery_id: str) -> None:
        resp.media = show.delivery(*self._services.queries.delivery(req.context.actor, delivery_id))

    def on_post_resend(self, req: falcon.Request, resp: falcon.Response, delivery_id: str) -> None:
        found = self._services.deliveries.resend(req.context.actor, delivery_id)
        resp.status = falcon.HTTP_202
        resp.media = show.delivery(found)
