"""Says how the server is."""

import falcon

from ciserver import __version__
from ciserver.service.services import Services


class Health:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_alive(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"alive": True}

    def on_get_ready(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 when the database answers; anything else is an error answer."""
        self._services.queries.check_ready()
        resp.media = {"ready": True}

    def on_get_version(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"name": "ciserver", "version": __version__}
