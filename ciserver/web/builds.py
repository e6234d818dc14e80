"""Builds with their logs, for our own API."""

from typing import Any

import falcon

from ciserver.edge.bodies import has_left, json_body, number, number_query
from ciserver.model.account import Visibility
from ciserver.model.build import Build
from ciserver.model.links import Links
from ciserver.service.keeping import Outlook
from ciserver.service.services import Services
from ciserver.service.submissions import ManifestSubmission
from ciserver.web import show
from ciserver.web.paging import page_size

WAIT_LIMIT = 20
_SUBMISSION: dict[str, Any] = {
    "manifest": str,
    "note": "",
    "tags": [],
    "visibility": Visibility.PUBLIC,
    "readers": [],
    "writers": [],
    "hold": False,
    "secrets": True,
}


class BuildApi:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._builds = services.builds
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    # -- read -------------------------------------------------------------------------------------

    def on_get_builds(self, req: falcon.Request, resp: falcon.Response) -> None:
        page = self._services.queries.builds(
            req.context.actor,
            before=number_query(req, "before"),
            limit=page_size(req),
            project=req.get_param("project", default=""),
            jobset=req.get_param("jobset", default="main"),
        )
        links = self._links(req)
        resp.media = {
            "builds": [show.build(one, links) for one in page.builds],
            "next": page.next,
        }

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        found = self._services.queries.build_record(req.context.actor, number(build_id))
        outlook = self._services.keeping.outlook(found.build) if found.products else Outlook()
        resp.media = show.build_record(found, self._links(req)) | {
            "removable_at": show.moment(outlook.removable_at),
            "kept_why": outlook.why,
        }

    def on_get_log(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, step: str
    ) -> None:
        """Bytes from `offset` on; with `wait` (seconds) it answers when there are some.
        X-Log-Next is the offset to go on from, X-Log-Complete says that nothing will follow.
        """
        found = self._services.queries.step(
            req.context.actor, number(build_id), number(step), number_query(req, "attempt")
        )
        chunk = self._services.logs.read(
            found.build_id,
            found.attempt,
            found.number,
            offset=number_query(req, "offset") or 0,
            wait_seconds=min(number_query(req, "wait") or 0, WAIT_LIMIT),
            has_left=has_left(req),
        )
        resp.content_type = "application/octet-stream"
        resp.data = chunk.content
        resp.set_header("X-Log-Next", str(chunk.offset + len(chunk.content)))
        resp.set_header("X-Log-Complete", "true" if chunk.complete else "false")

    # -- made and changed -------------------------------------------------------------------------

    def on_post_builds(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Submit a manifest; with `hold` the build waits until somebody starts it."""
        body = json_body(req, _SUBMISSION)
        given = ManifestSubmission(
            body["manifest"],
            note=body["note"],
            tags=tuple(body["tags"]),
            visibility=body["visibility"],
            readers=tuple(body["readers"]),
            writers=tuple(body["writers"]),
            execute=not body["hold"],
            secrets=body["secrets"],
        )
        made = self._services.submissions.submit(req.context.actor, given)
        self._answer(req, resp, made, falcon.HTTP_201)

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        changed = self._builds.cancel(req.context.actor, number(build_id))
        self._answer(req, resp, changed, falcon.HTTP_202)

    def on_post_rerun(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        changed = self._builds.rerun(req.context.actor, number(build_id))
        self._answer(req, resp, changed, falcon.HTTP_202)

    def on_post_start(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        changed = self._builds.start(req.context.actor, number(build_id))
        self._answer(req, resp, changed, falcon.HTTP_202)

    def on_post_rebuild(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """New builds of the same; `count` of them."""
        body = json_body(req, {"priority": 0, "count": 1})
        actor = req.context.actor
        made = self._builds.rebuild(
            actor, number(build_id), priority=body["priority"], count=body["count"]
        )
        links = self._links(req)
        resp.status = falcon.HTTP_202
        resp.media = {
            "builds": [show.build(self._services.rights.build(actor, one), links) for one in made]
        }

    def on_post_bump(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """To the front of the queue."""
        self._answer(req, resp, self._builds.bump(req.context.actor, number(build_id)))

    def on_post_priority(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        priority = json_body(req, {"priority": int})["priority"]
        changed = self._builds.reprioritize(req.context.actor, number(build_id), priority)
        self._answer(req, resp, changed)

    def on_post_keep(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        changed = self._builds.keep(req.context.actor, number(build_id), kept=True)
        self._answer(req, resp, changed)

    def on_post_unkeep(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        changed = self._builds.keep(req.context.actor, number(build_id), kept=False)
        self._answer(req, resp, changed)

    def on_post_delete(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        self._builds.delete(req.context.actor, number(build_id))
        resp.media = {"deleted": number(build_id)}

    def _answer(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        build: Build,
        status: str = falcon.HTTP_200,
    ) -> None:
        resp.status = status
        resp.media = show.build(build, self._links(req))
