"""The credentials of workers on other machines, for our own API."""

import falcon

from ciserver.edge.bodies import json_body
from ciserver.service.services import Services
from ciserver.web.show import moment


class WorkerApi:
    def __init__(self, services: Services) -> None:
        self._workers = services.workers

    def on_get_workers(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = [
            {
                "name": one.name,
                "queues": [str(queue) for queue in one.queues],
                "created_at": moment(one.created_at),
                "last_seen_at": moment(one.last_seen_at),
            }
            for one in self._workers.list_all(req.context.actor)
        ]

    def on_post_workers(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = json_body(req, {"name": str, "queues": []})
        name, queues = given["name"], tuple(given["queues"])
        credential = self._workers.add(req.context.actor, name, queues)
        resp.status = falcon.HTTP_201
        resp.media = {"name": name, "credential": credential}

    def on_delete_worker(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        self._workers.remove(req.context.actor, name)
        resp.media = {"removed": name}
