"""Projects with their members and jobsets, for our own API."""

from dataclasses import asdict, replace
from typing import Any

import falcon

from ciserver.edge.bodies import json_body, json_changes
from ciserver.model.account import Member, Right, Visibility
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.evaluation import Kind
from ciserver.model.links import Links
from ciserver.model.project import (
    DEFAULT_RECIPE,
    DEFAULT_REFRESH_SECONDS,
    DEFAULT_WATCH,
    Credential,
    Input,
    InputType,
    JobsetSettings,
    ScriptDefaults,
)
from ciserver.service.services import Services
from ciserver.web import show

_WATCHED = {
    "name": str,
    "uri": str,
    "refs": list(DEFAULT_WATCH),
    "local": False,
    "username": "",
    "password": "",
    "ssh_key": "",
    "passphrase": "",
}
_CREDENTIAL = ("username", "password", "ssh_key", "passphrase")
_PROJECT = {
    "display_name": str,
    "description": str,
    "homepage": str,
    "enabled": bool,
    "hidden": bool,
    "visibility": Visibility,
    "owner": str,
    "declaration_file": str,
    "declaration_type": InputType,
    "declaration_value": str,
}
_DECLARATION = "declaration_"
_INPUT = {
    "name": str,
    "type": InputType.GIT,
    "uri": "",
    "value": "",
    "ref": "HEAD",
    "watch": list(DEFAULT_WATCH),
    "refresh_seconds": DEFAULT_REFRESH_SECONDS,
}
_GIVEN = {"name": str, "revision": str}
_SCRIPT = asdict(ScriptDefaults())
_JOBSET = {
    **asdict(JobsetSettings()),
    "recipe_path": list(DEFAULT_RECIPE),
    **_SCRIPT,
    "inputs": _INPUT,
}
# What nobody has pushed is no push.
_ASKED_FOR = (Kind.API, Kind.MANUAL, Kind.NIGHTLY, Kind.PGO, Kind.PERIODIC)


class ProjectApi:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._projects = services.projects
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    # -- projects ---------------------------------------------------------------------------------

    def on_get_projects(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._services.queries.list_projects(req.context.actor)
        resp.media = [show.project(one, self._links(req)) for one in found]

    def on_post_projects(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = json_body(req, _WATCHED)
        given = {key: body[key] for key in _CREDENTIAL if body[key]}
        watched = self._projects.watch(
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

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        found = self._services.queries.project(req.context.actor, name)
        resp.media = show.project(found, self._links(req))

    def on_patch_project(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Only what is given changes."""
        given = json_changes(req, _PROJECT)
        owner = given.pop("owner", "")
        before = self._services.rights.project(req.context.actor, name).settings
        parts = {one.removeprefix(_DECLARATION) for one in given if one.startswith(_DECLARATION)}
        changed = {one: given.pop(_DECLARATION + one) for one in parts}
        settings = replace(before, **given, declaration=replace(before.declaration, **changed))
        self._projects.put_project(req.context.actor, name, settings, owner=owner)
        self.on_get_project(req, resp, name)

    def on_delete_project(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        self._projects.remove_project(req.context.actor, name)
        resp.media = {"removed": name}

    def on_post_hook_secret(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        value = json_body(req, {"value": ""})["value"]
        secret = self._projects.add_hook_secret(req.context.actor, name, value)
        resp.status = falcon.HTTP_201
        resp.media = {"secret": secret}

    def on_get_signing_secret(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        resp.media = {"secret": self._projects.signing_secret(req.context.actor, name)}

    # -- storage ----------------------------------------------------------------------------------

    def on_get_storage(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        resp.media = show.storage(self._services.storage.of_project(req.context.actor, name))

    def on_put_storage(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """`quota_mb` from now on; 0: no limit."""
        quota_mb = json_body(req, {"quota_mb": int})["quota_mb"]
        changed = self._services.storage.set_quota(req.context.actor, name, quota_mb)
        resp.media = show.storage(changed)

    def on_delete_storage(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The quota of the server from now on."""
        changed = self._services.storage.set_quota(req.context.actor, name, None)
        resp.media = show.storage(changed)

    # -- members ----------------------------------------------------------------------------------

    def on_get_members(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        found = self._projects.members(req.context.actor, name)
        resp.media = [show.member(one) for one in found]

    def on_get_member(
        self, req: falcon.Request, resp: falcon.Response, name: str, user: str
    ) -> None:
        members = {one.user: one for one in self._projects.members(req.context.actor, name)}
        if user not in members:
            raise NotFound(f"{user} is no member of project {name}")
        resp.media = show.member(members[user])

    def on_put_member(
        self, req: falcon.Request, resp: falcon.Response, name: str, user: str
    ) -> None:
        """Exactly these rights from now on; an empty list ends the membership."""
        wanted = json_body(req, {"rights": list})["rights"]
        unknown = [one for one in wanted if one not in set(Right)]
        if unknown:
            known = f"known are {', '.join(Right)}"
            raise Invalid(
                "the member cannot be set",
                complaints=[
                    Complaint("rights", f"unknown right {one}; {known}") for one in unknown
                ],
            )
        rights = frozenset(Right(one) for one in wanted)
        self._projects.set_member(req.context.actor, name, user, rights)
        resp.media = show.member(Member(user, rights))

    # -- jobsets ----------------------------------------------------------------------------------

    def on_get_jobset(
        self, req: falcon.Request, resp: falcon.Response, name: str, jobset: str
    ) -> None:
        """With whom it mails to, for those who may change it."""
        actor = req.context.actor
        found = self._services.rights.jobset(actor, name, jobset)
        resp.media = show.jobset(found, self._links(req))
        if self._services.rights.may_in(actor, Right.EDIT, name):
            resp.media["mail_to"] = found.settings.mail_to

    def on_put_jobset(
        self, req: falcon.Request, resp: falcon.Response, name: str, jobset: str
    ) -> None:
        """Make it, or replace it: what is not given has its default."""
        body = json_body(req, _JOBSET)
        inputs = tuple(_input(one) for one in body.pop("inputs"))
        script = ScriptDefaults(**{key: body.pop(key) for key in _SCRIPT})
        settings = JobsetSettings(
            **{**body, "recipe_path": tuple(body["recipe_path"]), "script": script}
        )
        made, is_new = self._services.jobsets.put(req.context.actor, name, jobset, settings, inputs)
        resp.status = falcon.HTTP_201 if is_new else falcon.HTTP_200
        resp.media = show.jobset(made, self._links(req)) | {"mail_to": settings.mail_to}

    def on_delete_jobset(
        self, req: falcon.Request, resp: falcon.Response, name: str, jobset: str
    ) -> None:
        self._services.jobsets.remove(req.context.actor, name, jobset)
        resp.media = {"removed": f"{name}:{jobset}"}

    def on_post_pause(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Its builds wait; pushes are still evaluated."""
        self._pause(req, resp, project, jobset, paused=True)

    def on_post_resume(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._pause(req, resp, project, jobset, paused=False)

    def _pause(
        self, req: falcon.Request, resp: falcon.Response, project: str, name: str, *, paused: bool
    ) -> None:
        actor = req.context.actor
        self._services.pauses.pause_jobset(actor, project, name, paused=paused)
        found = self._services.rights.jobset(actor, project, name)
        resp.media = show.jobset(found, self._links(req))

    def on_post_evaluate(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Now; `inputs` are pinned at exactly these revisions, the others at their newest."""
        body = json_body(req, {"revision": "", "kind": Kind.API, "inputs": _GIVEN})
        if body["kind"] not in _ASKED_FOR:
            fault = f"must be one of {', '.join(_ASKED_FOR)}"
            raise Invalid("the request cannot be used", complaints=[Complaint("kind", fault)])
        made = self._services.evaluation_acts.request(
            req.context.actor,
            project,
            jobset,
            [(one["name"], one["revision"]) for one in body["inputs"]],
            kind=body["kind"],
            revision=body["revision"],
        )
        resp.status = falcon.HTTP_202
        resp.media = {"evaluation": made, "url": self._links(req).evaluation(made)}


def _input(given: dict[str, Any]) -> Input:
    return Input(**{**given, "watch": tuple(given["watch"])})
