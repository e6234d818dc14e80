"""The chroots of /api_2: those that there are, and those that a project builds its sources for."""

import falcon

from ciserver.dialects.copr import asked_projects, query, show
from ciserver.dialects.copr.base import Resource, finding
from ciserver.model.account import Right
from ciserver.model.project import Jobset
from ciserver.model.source import SourceSystem


class MockChroots(Resource):
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = query.read(req, {"active_only": query.wish})
        found = self._lists.systems(active_only=given.get("active_only", False))
        resp.media = {
            "chroots": [show.mock_chroot(one) for one in found],
            "_links": {"self": show.link("mock_chroots", **given)},
        }

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        resp.media = show.mock_chroot(self._system(name))


class ProjectChroots(Resource):
    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        jobset = self._jobset(req, query.path_id(project_id, "project with id"))
        resp.media = {
            "chroots": [
                show.project_chroot(jobset.id, one)
                for one in self._services.source_projects.systems(jobset)
            ],
            "_links": {"self": show.link("projects", jobset.id, "chroots")},
        }

    def on_post(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        jobset = self._changed(req, project_id)
        chroot = asked_projects.new_chroot(req)
        self._services.source_projects.add_system(req.context.actor, jobset.id, chroot)
        self._made(req, resp, "projects", jobset.id, "chroots", chroot.system)

    def on_get_one(
        self, req: falcon.Request, resp: falcon.Response, project_id: str, name: str
    ) -> None:
        jobset = self._jobset(req, query.path_id(project_id, "project with id"))
        resp.media = show.project_chroot(jobset.id, self._chroot(jobset, name))

    def on_put_one(
        self, req: falcon.Request, resp: falcon.Response, project_id: str, name: str
    ) -> None:
        """What is given is changed."""
        jobset = self._changed(req, project_id)
        chroot = asked_projects.changed_chroot(req, self._chroot(jobset, name))
        self._services.source_projects.change_system(req.context.actor, jobset.id, chroot)
        resp.media = show.project_chroot(jobset.id, chroot)

    def on_delete_one(
        self, req: falcon.Request, resp: falcon.Response, project_id: str, name: str
    ) -> None:
        """Safe to repeat."""
        jobset = self._changed(req, project_id)
        known = self._system(name)
        self._services.source_projects.remove_system(req.context.actor, jobset.id, known.name)
        resp.status = falcon.HTTP_204

    def _changed(self, req: falcon.Request, project_id: str) -> Jobset:
        """The jobset, which the caller may change."""
        number = query.path_id(project_id, "project with id")
        with finding("project", number):
            return self._lists.jobset(req.context.actor, number, Right.EDIT)

    def _chroot(self, jobset: Jobset, name: str) -> SourceSystem:
        """Raises Invalid for what can be no name of a chroot, NotFound."""
        wanted = query.chroot_name(name)
        with query.told_as(f"the project has no chroot {wanted}", project_id=jobset.id):
            return self._services.source_projects.system(jobset, wanted)
