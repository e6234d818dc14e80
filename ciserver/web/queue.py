"""The queue, for our own API: what runs and waits, and pausing it."""

from typing import Any

import falcon

from ciserver.edge.bodies import json_body
from ciserver.model.links import Links
from ciserver.service.services import Services
from ciserver.web import show


class QueueApi:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def on_get_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        links = Links(self._base_url or req.prefix)
        view = self._services.queries.queue(req.context.actor)
        resp.media = show.queue(view, links) | self._paused(req)

    def on_post_pause(self, req: falcon.Request, resp: falcon.Response) -> None:
        """One worker, or without a name the whole queue."""
        given = json_body(req, {"worker": "", "reason": ""})
        self._services.pauses.pause(req.context.actor, paused=True, **given)
        resp.media = self._paused(req)

    def on_post_resume(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = json_body(req, {"worker": ""})
        self._services.pauses.pause(req.context.actor, paused=False, **given)
        resp.media = self._paused(req)

    def _paused(self, req: falcon.Request) -> dict[str, Any]:
        found = self._services.pauses.list_all(req.context.actor)
        return {"paused": [show.pause(one) for one in found]}
