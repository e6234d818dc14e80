"""What the resources of /api_2 have in common."""

from contextlib import AbstractContextManager

import falcon

from ciserver.dialects.copr import query, show
from ciserver.model.build import Build
from ciserver.model.links import Links
from ciserver.model.project import Jobset
from ciserver.model.view import GroupView, System
from ciserver.service.services import Services


class Resource:
    def __init__(self, services: Services, base_url: str) -> None:
        self._lists = services.lists
        self._services = services
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    def _made(self, req: falcon.Request, resp: falcon.Response, *place: object) -> None:
        resp.status = falcon.HTTP_201
        resp.location = show.location(self._links(req), *place)

    def _group(self, req: falcon.Request, build_id: int) -> GroupView:
        with finding("build", build_id):
            return self._lists.group(req.context.actor, build_id)

    def _jobset(self, req: falcon.Request, project_id: int) -> Jobset:
        with finding("project", project_id):
            return self._lists.jobset(req.context.actor, project_id)

    def _system(self, name: str) -> System:
        """Raises Invalid for what can be no name of a chroot, NotFound."""
        with query.told_as(f"there is no chroot {query.chroot_name(name)}"):
            return self._services.systems.get(name)

    def _builds(self, groups: tuple[tuple[Build, ...], ...], **asked: bool) -> list[show.Json]:
        """Groups as builds; the builds of a group are of one job."""
        jobs = self._lists.jobs(one[0] for one in groups)
        products = self._lists.products(one for group in groups for one in group)
        return [show.build(one, jobs[one[0].id], products, **asked) for one in groups]


def finding(kind: str, number: int) -> AbstractContextManager[None]:
    """What is not there, or not for the caller, is told by its number."""
    return query.told_as(f"there is no {kind} with id {number}", **{f"{kind}_id": number})
