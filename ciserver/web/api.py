"""Our own API, /ci/v1: what the command line speaks, and scripts may."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import falcon

from ciserver import __version__
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.links import Links
from ciserver.model.project import DEFAULT_WATCH, Credential
from ciserver.service.services import Services
from ciserver.web import show
from ciserver.web.bodies import has_left, json_body, number, number_query

WAIT_LIMIT = 20
_PAGE_LIMIT = 500
_LONGEST_LIFE_DAYS = 36_500


class Api:
    """One responder a route, named by what it does; app.py lists the routes."""

    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    # -- projects ---------------------------------------------------------------------------------

    def on_get_projects(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._services.queries.list_projects(req.context.actor)
        resp.media = [show.project(one, self._links(req)) for one in found]

    def on_post_projects(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = json_body(
            req,
            {
                "name": str,
                "uri": str,
                "refs": list(DEFAULT_WATCH),
                "local": False,
                "username": "",
                "password": "",
                "ssh_key": "",
                "passphrase": "",
            },
        )
        given = {
            key: body[key] for key in ("username", "password", "ssh_key", "passphrase") if body[key]
        }
        watched = self._services.projects.watch(
            req.context.actor,
            body["name"],
            body["uri"],
            refs=tuple(body["refs"]),
            credential=Credential(**given) if given else None,
            local=body["local"],
        )
        links = self._links(req)
        resp.status = falcon.HTTP_201
        resp.media = {
            "project": watched.jobset.project,
            "jobset": watched.jobset.name,
            "url": links.project(watched.jobset.project),
            "hook_url": links.hook("generic", watched.jobset.project),
            "hook_secret": watched.hook_secret,
        }

    def on_post_hook_secret(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        value = json_body(req, {"value": ""})["value"]
        secret = self._services.projects.add_hook_secret(req.context.actor, name, value)
        resp.status = falcon.HTTP_201
        resp.media = {"secret": secret}

    def on_get_signing_secret(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        secret = self._services.projects.signing_secret(req.context.actor, name)
        resp.media = {"secret": secret}

    # -- evaluations and builds -------------------------------------------------------------------

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        view = self._services.queries.evaluation(req.context.actor, number(evaluation_id))
        resp.media = show.evaluation_view(view, self._links(req))

    def on_get_builds(self, req: falcon.Request, resp: falcon.Response) -> None:
        limit = min(number_query(req, "limit") or 50, _PAGE_LIMIT)
        page = self._services.queries.builds(
            req.context.actor,
            before=number_query(req, "before"),
            limit=limit,
            project=req.get_param("project", default=""),
            jobset=req.get_param("jobset", default="main"),
        )
        links = self._links(req)
        resp.media = {
            "builds": [show.build(one, links) for one in page.builds],
            "next": page.next,
        }

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        view = self._services.queries.build(req.context.actor, number(build_id))
        resp.media = show.build_view(view, self._links(req))

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        self._change(req, resp, build_id, self._services.builds.cancel)

    def on_post_rerun(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        self._change(req, resp, build_id, self._services.builds.rerun)

    def _change(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, how: Callable[..., Any]
    ) -> None:
        build = how(req.context.actor, number(build_id))
        resp.status = falcon.HTTP_202
        resp.media = show.build(build, self._links(req))

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

    def on_get_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = show.queue(self._services.queries.queue(req.context.actor), self._links(req))

    # -- deliveries -------------------------------------------------------------------------------

    def on_get_deliveries(self, req: falcon.Request, resp: falcon.Response) -> None:
        limit = min(number_query(req, "limit") or 50, _PAGE_LIMIT)
        found = self._services.queries.deliveries(req.context.actor, limit=limit)
        resp.media = [show.delivery(one) for one in found]

    def on_get_delivery(self, req: falcon.Request, resp: falcon.Response, delivery_id: str) -> None:
        resp.media = show.delivery(*self._services.queries.delivery(req.context.actor, delivery_id))

    def on_post_resend(self, req: falcon.Request, resp: falcon.Response, delivery_id: str) -> None:
        found = self._services.deliveries.resend(req.context.actor, delivery_id)
        resp.status = falcon.HTTP_202
        resp.media = show.delivery(found)

    # -- users ------------------------------------------------------------------------------------

    def on_get_users(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._services.access.list_users(req.context.actor)
        resp.media = [show.user(one) for one in found]

    def on_post_users(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = json_body(req, {"name": str, "password": str, "email": "", "admin": False})
        made = self._services.access.add_user(
            req.context.actor,
            body["name"],
            email=body["email"],
            password=body["password"],
            admin=body["admin"],
        )
        resp.status = falcon.HTTP_201
        resp.media = show.user(made)

    def on_post_link(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        self._services.access.require_admin(req.context.actor)
        token = self._services.access.make_sign_in_link(name)
        resp.status = falcon.HTTP_201
        resp.media = {"url": self._links(req).sign_in(token)}

    def on_post_tokens(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        body = json_body(req, {"scopes": list, "expires_in_days": 0})
        if not 0 <= body["expires_in_days"] <= _LONGEST_LIFE_DAYS:
            fault = f"must be 0 (never) to {_LONGEST_LIFE_DAYS}"
            raise Invalid(
                "the token cannot be made", complaints=[Complaint("expires_in_days", fault)]
            )
        life = timedelta(days=body["expires_in_days"])
        expires_at = req.context.now + life if life else None
        text, made = self._services.access.add_token(
            req.context.actor, name, tuple(body["scopes"]), expires_at
        )
        resp.status = falcon.HTTP_201
        resp.media = show.token(made, text)


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
