"""Groups of jobs."""

import falcon

from ciserver.dialects.srht import given, show
from ciserver.dialects.srht.programs import program
from ciserver.model.account import Actor, Right
from ciserver.service.services import Services


class JobGroups:
    """A group is there for whoever made it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def _program(self, req: falcon.Request, right: Right) -> Actor:
        return program(self._services.rights, req, right)

    def on_post_groups(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor, asked = self._program(req, Right.EVALUATE), given.group(req)
        made = self._services.job_groups.join(actor, asked.what, faults=asked.faults)
        resp.media = show.group(made)

    def on_get_group(self, req: falcon.Request, resp: falcon.Response, group_id: str) -> None:
        actor, number = self._program(req, Right.READ), given.job_id(group_id)
        resp.media = show.group(self._services.job_groups.group(actor, number))

    def on_post_start(self, req: falcon.Request, resp: falcon.Response, group_id: str) -> None:
        actor, number = self._program(req, Right.EVALUATE), given.job_id(group_id)
        resp.media = show.group(self._services.job_groups.start(actor, number))

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, group_id: str) -> None:
        actor, number = self._program(req, Right.CANCEL), given.job_id(group_id)
        resp.media = show.group(self._services.job_groups.cancel(actor, number))
