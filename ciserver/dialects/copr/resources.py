"""The resources of /api_2: each reads the request, calls a service and shows what it found."""

from collections.abc import Iterable

import falcon

from ciserver.dialects.copr import asked, asked_projects, query, show
from ciserver.dialects.copr.base import Resource, finding
from ciserver.dialects.copr.words import CANCELED, WANTED
from ciserver.model.account import Right
from ciserver.model.build import Build
from ciserver.model.errors import NotFound
from ciserver.model.project import Jobset, Project
from ciserver.model.request import Action

_TASKS: dict[str, query.Reader] = {
    "owner": str,
    "project_id": query.integer,
    "build_id": query.integer,
    "group": str,
    "state": query.state,
    "limit": query.integer,
    "offset": query.integer,
}
_BUILDS: dict[str, query.Reader] = {
    "owner": str,
    "project_id": query.integer,
    "group": str,
    "is_finished": query.truth,
    "limit": query.integer,
    "offset": query.integer,
}
_PROJECTS: dict[str, query.Reader] = {
    "owner": str,
    "group": str,
    "name": str,
    "search_query": str,
    "limit": query.integer,
    "offset": query.integer,
}


class Root:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = show.root()

    def on_get_moved(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPPermanentRedirect(f"{show.PREFIX}/")


class BuildTasks(Resource):
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The narrowest of build, project, owner and group counts alone."""
        given = query.read(req, _TASKS)
        page = query.page(given)
        found = self._find(req, given, page)
        resp.media = {
            "build_tasks": show.tasks(found, self._links(req)),
            "_links": {"self": show.link("build_tasks", **given | {"limit": page.limit})},
        }

    def _find(self, req: falcon.Request, given: query.Given, page: query.Page) -> tuple[Build, ...]:
        state = given.get("state")
        wanted = WANTED.get(state or "", frozenset())
        if "build_id" in given:
            builds = self._group(req, given["build_id"]).builds
            return page.of(tuple(one for one in builds if not state or one.status in wanted))
        jobsets = self._jobsets(req, given)
        if state and not wanted:
            return ()
        return self._lists.by_group(
            req.context.actor,
            limit=page.limit,
            offset=page.offset,
            jobsets=jobsets,
            statuses=wanted,
        )

    def _jobsets(self, req: falcon.Request, given: query.Given) -> tuple[Jobset, ...] | None:
        """Those that are asked for; None for all."""
        if "project_id" in given:
            try:
                return (self._jobset(req, given["project_id"]),)
            except NotFound:
                return ()
        if "owner" in given:
            return self._lists.jobsets_of_owner(req.context.actor, given["owner"])
        return () if "group" in given else None

    def on_get_one(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, name: str
    ) -> None:
        wanted = query.chroot_name(name)
        group = self._group(req, query.path_id(build_id, "build with id"))
        for one in group.builds:
            if one.system == wanted:
                resp.media = show.task(one, self._links(req))
                return
        raise NotFound(f"build {group.id} has no task for chroot {wanted}", build_id=group.id)


class Builds(Resource):
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = query.read(req, _BUILDS)
        page = query.page(given)
        groups = self._lists.newest_groups(
            req.context.actor,
            limit=page.limit,
            offset=page.offset,
            jobsets=self._jobsets(req, given),
            finished=given.get("is_finished"),
        )
        resp.media = {
            "builds": self._builds(groups),
            "_links": {"self": show.link("builds", **given | {"limit": page.limit})},
        }

    def _jobsets(self, req: falcon.Request, given: query.Given) -> tuple[Jobset, ...] | None:
        """Those that are asked for; None for all. A user without a project that the caller may
        see is as unknown as one that is not there.
        """
        if "project_id" in given:
            return (self._jobset(req, given["project_id"]),)
        if "owner" in given:
            owner = given["owner"]
            found = self._lists.jobsets_of_owner(req.context.actor, owner)
            if not found:
                raise NotFound(f"there is no user {owner} who has projects", username=owner)
            return found
        return () if "group" in given else None

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        wishes = query.read(req, {"show_build_tasks": query.wish})
        wanted = {name: True for name, is_wanted in wishes.items() if is_wanted}
        group = self._group(req, query.path_id(build_id, "build with id"))
        (media,) = self._builds((group.builds,), **wanted)
        if wanted:
            media["build_tasks"] = show.tasks(group.builds, self._links(req))
        resp.media = media

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        sources, actor = self._services.source_builds, req.context.actor
        sources.require_scope(actor)
        with asked.build(req, sources) as (project_id, wanted), finding("project", project_id):
            made = sources.submit(actor, project_id, wanted)
        self._made(req, resp, "builds", made)

    def on_put_one(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """Cancel it; what else may be said of its state is taken and changes nothing."""
        number, actor = query.path_id(build_id, "build with id"), req.context.actor
        with finding("build", number):
            self._services.groups.require(actor, number, Right.CANCEL, Action.CANCEL_BUILD)
            if asked.state(req) == CANCELED:
                self._services.groups.cancel(actor, number)
        self._made(req, resp, "builds", number)

    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        number = query.path_id(build_id, "build with id")
        with finding("build", number):
            self._services.groups.delete(req.context.actor, number)
        resp.status = falcon.HTTP_204


class Projects(Resource):
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = query.read(req, _PROJECTS)
        owners = {one.id: one for one in self._lists.projects(req.context.actor)}
        found = [
            (one, owners[one.project_id])
            for one in sorted(self._lists.jobsets(req.context.actor), key=lambda one: one.id)
            if one.project_id in owners and _is_wanted(one, owners[one.project_id], given)
        ]
        resp.media = {
            "projects": self._projects(query.any_page(given).of(tuple(found))),
            "_links": {"self": show.link("projects", **given)},
        }

    def _projects(self, found: Iterable[tuple[Jobset, Project]], **asked: bool) -> list[show.Json]:
        found = tuple(found)
        settings = self._services.source_projects.settings(one for one, _ in found)
        return [show.project(one, owner, settings[one.id], **asked) for one, owner in found]

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        wishes = query.read(req, {"show_builds": query.wish, "show_chroots": query.wish})
        wanted = {name: True for name, is_wanted in wishes.items() if is_wanted}
        jobset = self._jobset(req, query.path_id(project_id, "project with id"))
        owner = self._lists.project(req.context.actor, jobset.project_id)
        (media,) = self._projects(((jobset, owner),), **wanted)
        if "show_builds" in wanted:
            page = query.page({})
            groups = self._lists.newest_groups(
                req.context.actor, limit=page.limit, jobsets=[jobset]
            )
            media["project_builds"] = self._builds(groups)
        if "show_chroots" in wanted:
            media["project_chroots"] = [
                show.project_chroot(jobset.id, one)
                for one in self._services.source_projects.systems(jobset)
            ]
        resp.media = media

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor = req.context.actor
        self._services.rights.require_project_maker(actor)
        name, wanted = asked_projects.new_project(req)
        made = self._services.source_projects.make(
            actor,
            name,
            description=wanted.description or "",
            homepage=wanted.homepage or "",
            told=wanted.told,
            systems=wanted.chroots,
        )
        self._made(req, resp, "projects", made)

    def on_put_one(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        number, actor = query.path_id(project_id, "project with id"), req.context.actor
        with finding("project", number):
            self._lists.jobset(actor, number, Right.EDIT)
            wanted = asked_projects.changes(req)
            self._services.source_projects.change(
                actor,
                number,
                description=wanted.description,
                homepage=wanted.homepage,
                told=wanted.told,
            )
        resp.status = falcon.HTTP_204

    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        number = query.path_id(project_id, "project with id")
        with finding("project", number):
            self._services.source_projects.remove(req.context.actor, number)
        resp.status = falcon.HTTP_204


def _is_wanted(jobset: Jobset, owner: Project, given: query.Given) -> bool:
    """There are no groups, so nothing is of one."""
    text = f"{jobset.slug}\n{show.description(jobset, owner)}".lower()
    return (
        "group" not in given
        and given.get("owner", jobset.owner) == jobset.owner
        and given.get("name", jobset.slug) == jobset.slug
        and given.get("search_query", "").lower() in text
    )
