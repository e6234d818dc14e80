"""Builds."""

import falcon

from ciserver.dialects.hydra import show
from ciserver.edge.bodies import number
from ciserver.model.errors import Invalid, NotFound
from ciserver.service.services import Services


class Builds:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        try:
            wanted = number(build_id)
        except Invalid:
            raise NotFound(f"there is no build {build_id}") from None
        resp.media = show.build(self._services.queries.build(req.context.actor, wanted))
