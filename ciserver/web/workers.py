"""The credentials of workers on other machines, for our own API."""

from typing import Any

import falcon

from ciserver.edge.bodies import json_body, json_changes
from ciserver.model.worker import Worker
from ciserver.service.services import Services
from ciserver.web.show import moment


class WorkerApi:
    def __init__(self, services: Services) -> None:
        self._workers = services.workers

    def on_get_workers(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = [_shown(one) for one in self._workers.list_all(req.context.actor)]

    def on_post_workers(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = json_body(req, {"name": str, "queues": [], "labels": [], "projects": []})
        name = given.pop("name")
        lists = {key: tuple(value) for key, value in given.items()}
        credential = self._workers.add(req.context.actor, name, **lists)
        resp.status = falcon.HTTP_201
        resp.media = {"name": name, "credential": credential}

    def on_patch_worker(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """What is given takes the place of what was there."""
        given = json_changes(req, {"queues": list, "labels": list, "projects": list})
        lists = {key: tuple(value) for key, value in given.items()}
        resp.media = _shown(self._workers.change(req.context.actor, name, **lists))

    def on_post_credential(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Another one, which takes the place of the one before when it is used."""
        credential = self._workers.renew(req.context.actor, name)
        resp.status = falcon.HTTP_201
        resp.media = {"name": name, "credential": credential}

    def on_delete_worker(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        self._workers.remove(req.context.actor, name)
        resp.media = {"removed": name}


def _shown(one: Worker) -> dict[str, Any]:
    return {
        "name": one.name,
        "queues": [str(queue) for queue in one.queues],
        "labels": list(one.labels),
        "projects": sorted(one.projects.values()),
        "created_at": moment(one.created_at),
        "last_seen_at": moment(one.last_seen_at),
    }
