"""Says how the server is."""

import falcon

from ciserver import __version__
from ciserver.service.services import Services


class Health:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_alive(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"alive": True, **self._which()}

    def on_get_ready(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 when the database answers; anything else is an error answer."""
        self._services.queries.check_ready()
        resp.media = {"ready": True, **self._which()}

    def _which(self) -> dict[str, str]:
        """Which server this is, where there may be several."""
        nodes = self._services.nodes
        return {"node": nodes.name} if nodes.is_shared else {}

    def on_get_version(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"name": "ciserver", "version": __version__}
