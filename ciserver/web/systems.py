"""The systems that builds are made for, for our own API."""

from collections.abc import Iterable
from typing import Any

import falcon

from ciserver.edge.bodies import json_changes
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.overview import Machine
from ciserver.model.view import System
from ciserver.service.services import Services

_CHANGES: dict[str, type] = {"labels": dict, "images": list, "active": bool}


class SystemApi:
    def __init__(self, services: Services) -> None:
        self._systems = services.systems
        self._status = services.status

    def on_get_systems(self, req: falcon.Request, resp: falcon.Response) -> None:
        machines = self._status.machines(req.context.actor)
        resp.media = [_shown(one, machines) for one in self._systems.list_all()]

    def on_post_systems(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = json_changes(req, {"name": str, **_CHANGES})
        if "name" not in given:
            fault = Complaint("name", "must be given, such as x86_64-linux")
            raise Invalid("the request cannot be used", complaints=[fault])
        made = self._systems.add(req.context.actor, given.pop("name"), **given)
        resp.status = falcon.HTTP_201
        resp.media = self._one(req, made)

    def on_get_system(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        resp.media = self._one(req, self._systems.get(name))

    def on_patch_system(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Only what is given changes."""
        given = json_changes(req, _CHANGES)
        resp.media = self._one(req, self._systems.change(req.context.actor, name, **given))

    def on_delete_system(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        self._systems.remove(req.context.actor, name)
        resp.media = {"removed": name}

    def _one(self, req: falcon.Request, system: System) -> dict[str, Any]:
        return _shown(system, self._status.machines(req.context.actor))


def _shown(system: System, machines: Iterable[Machine]) -> dict[str, Any]:
    return {
        "id": system.id,
        "name": system.name,
        "active": system.active,
        "labels": dict(system.labels),
        "images": system.images,
        "workers": workers_for(system, machines),
    }


def workers_for(system: System, machines: Iterable[Machine]) -> list[str]:
    """The workers that can run builds for a system."""
    return [one.worker.name for one in machines if system.name in one.worker.systems]
