"""What Hydra answers: at the addresses of our pages, and beneath /api."""

from collections.abc import Iterator
from typing import Any

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.given import (
    Given,
    body_of,
    inputs,
    is_text,
    jobset_settings,
    parameters_of,
    project_settings,
    query_of,
)
from ciserver.dialects.hydra.words import NO_PARAMETER, NO_PASSWORD, NO_USER_NAME, WRONG_PASSWORD
from ciserver.edge.bodies import number, number_query
from ciserver.edge.sessions import drop_session, keep_session
from ciserver.model.account import Actor, Right
from ciserver.model.errors import Complaint, Forbidden, Invalid, NotFound, NotSignedIn
from ciserver.model.links import Links
from ciserver.model.project import Jobset, JobsetMode, JobsetSettings, ProjectSettings
from ciserver.service.services import Services

PAGE_SIZE = 20
MOST_BUILDS = 1_000
_HIGHEST_PAGE = 2**31 - 1
_CONFIGURATION = "#tabs-configuration"


class Pages:
    """Answers at the addresses of our pages; the responders are named as those of the pages are."""

    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._queries = services.queries
        self._projects = services.projects
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    # -- projects ---------------------------------------------------------------------------------

    def on_get_home(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._queries.list_projects(req.context.actor)
        ordered = sorted(found, key=lambda one: (not one.project.enabled, one.project.name))
        resp.media = [show.project(one) for one in ordered]

    def on_get_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        resp.media = show.project(self._queries.project(req.context.actor, project))

    def on_put_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        """Make it, or replace it. Only administrators say whose it is; from others it is unread."""
        actor, given = req.context.actor, parameters_of(req)
        settings = project_settings(given, self._project_settings(actor, project))
        saved, is_new = self._projects.put_project(
            actor,
            project,
            settings,
            new_name=given.text("name"),
            owner=given.text("owner") if actor.is_admin else "",
            faults=given.faults,
        )
        uri = self._links(req).project(saved.name)
        _saved(resp, uri, {"name": saved.name, "type": "project"}, is_new=is_new)

    def _project_settings(self, actor: Actor, name: str) -> ProjectSettings:
        try:
            return self._services.rights.project(actor, name).settings
        except NotFound:
            return ProjectSettings()

    def on_delete_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        self._projects.remove_project(req.context.actor, project)
        resp.media = {"redirect": self._links(req).home()}

    # -- jobsets ----------------------------------------------------------------------------------

    def on_get_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        actor = req.context.actor
        view = self._queries.jobset(actor, project, jobset)
        may_edit = self._services.rights.may_in(actor, Right.EDIT, project)
        resp.media = show.jobset(view.jobset, view.evaluations.evaluations, may_edit=may_edit)

    def on_put_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Make it, or replace it. One that is to be looked at by the clock is looked at now."""
        actor, given = req.context.actor, parameters_of(req)
        known = self._jobset(actor, project, jobset)
        settings = jobset_settings(given, known.settings if known else JobsetSettings())
        wanted = inputs(given, known.inputs if known else ())
        saved, is_new = self._projects.put_jobset(
            actor,
            project,
            jobset,
            settings,
            wanted,
            new_name=given.text("name"),
            faults=given.faults,
        )
        if self._is_to_be_looked_at(actor, saved):
            self._services.evaluations.request(actor, saved)
        uri = self._links(req).jobset(project, saved.name)
        _saved(resp, uri, {"name": saved.name, "type": "jobset"}, is_new=is_new)

    def _jobset(self, actor: Actor, project: str, name: str) -> Jobset | None:
        try:
            return self._services.rights.jobset(actor, project, name)
        except NotFound:
            return None

    def _is_to_be_looked_at(self, actor: Actor, saved: Jobset) -> bool:
        return (
            saved.enabled
            and saved.project_enabled
            and saved.source is not None
            and saved.settings.check_interval_seconds > 0
            and self._services.rights.may_in(actor, Right.EVALUATE, saved.project)
        )

    def on_delete_jobset(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        self._projects.remove_jobset(req.context.actor, project, jobset)
        resp.media = {"redirect": self._links(req).project(project)}

    # -- evaluations and builds -------------------------------------------------------------------

    def on_get_evaluations(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Those that made builds, or with `?all=1` every one; page by page, the newest first."""
        page, everything = _page(req), req.get_param("all") not in {None, "", "0"}
        found = self._services.lists.evaluations(
            req.context.actor, project, jobset, page=page, size=PAGE_SIZE, built=not everything
        )
        resp.media = {
            "evals": [show.evaluation(one, found.builds[one.id]) for one in found.evaluations],
            **_page_links(page, found.total, "&all=1" if everything else ""),
        }

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        try:
            view = self._queries.evaluation(req.context.actor, number(evaluation_id))
        except (Invalid, NotFound):
            raise NotFound(f"Evaluation {evaluation_id} doesn't exist.") from None
        resp.media = show.evaluation(view.evaluation, [one.id for one in view.builds])

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        try:
            wanted = number(build_id)
        except Invalid:
            raise NotFound(f"there is no build {build_id}") from None
        resp.media = show.build(self._queries.build(req.context.actor, wanted))


class Accounts:
    """Signing in, with answers for programs. `secure` cookies are for a server behind https."""

    def __init__(self, services: Services, *, secure: bool) -> None:
        self._access = services.access
        self._secure = secure

    def on_get_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPMethodNotAllowed(["POST", "OPTIONS"])

    def on_post_login(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = body_of(req)
        name, password = given.get("username"), given.get("password")
        if not name or not is_text(name):
            raise Invalid(NO_USER_NAME)
        if not password or not is_text(password):
            raise Invalid(NO_PASSWORD)
        try:
            session = self._access.sign_in(name, password, source=req.remote_addr)
        except NotSignedIn:
            raise Forbidden(WRONG_PASSWORD) from None
        keep_session(resp, session, secure=self._secure)
        resp.status, resp.location = falcon.HTTP_302, "/current-user"
        resp.media = show.user(self._access.user(self._access.signed_in(session).actor))

    def on_post_logout(self, req: falcon.Request, resp: falcon.Response) -> None:
        if req.context.session:
            self._access.sign_out(req.context.session)
        drop_session(resp)
        resp.status = falcon.HTTP_204

    def on_get_current(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = show.user(self._access.user(req.context.actor))


class Api:
    """What lies beneath /api."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_latest_builds(self, req: falcon.Request, resp: falcon.Response) -> None:
        wanted = number_query(req, "nr")
        if wanted is None:
            raise Invalid(NO_PARAMETER, complaints=[Complaint("nr", "how many builds")])
        query = query_of(req)
        found = self._services.lists.by_end(
            req.context.actor,
            limit=min(wanted, MOST_BUILDS),
            **{name: query.get(name, "") for name in ("project", "jobset", "job", "system")},
        )
        resp.media = [show.latest_build(one) for one in found]

    def on_post_push(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Evaluate jobsets by name, and those that have a repository as an input. What was done
        before a refusal is told with it.
        """
        actor, triggered = req.context.actor, list[str]()
        req.context.partial = {"jobsetsTriggered": triggered}
        given = Given({**query_of(req), **body_of(req)})
        names, values = _words(given, "jobsets"), _words(given, "repos")
        given.check()
        self._services.rights.require_scope(actor, Right.EVALUATE.scope)
        for one in self._pushed(actor, names, values, force=given.has("force")):
            if one.full_name not in triggered:
                self._services.evaluations.request(actor, one)
                triggered.append(one.full_name)
        resp.content_type = "application/json; charset=utf-8"
        resp.media = req.context.partial

    on_put_push = on_post_push

    def _pushed(
        self, actor: Actor, names: list[str], values: list[str], *, force: bool
    ) -> Iterator[Jobset]:
        for name in names:
            project, _, jobset = name.partition(":")
            named = self._services.rights.jobset(actor, project, jobset, Right.EVALUATE)
            if force or (named.enabled and named.project_enabled):
                yield named
        if values:
            newest = sorted(self._services.lists.jobsets(actor), key=lambda one: -one.id)
            yield from (one for one in newest if _is_fed_by(one, values, force=force))


def _is_fed_by(jobset: Jobset, values: list[str], *, force: bool) -> bool:
    is_on = jobset.project_enabled and jobset.settings.mode is JobsetMode.ON
    return (is_on or force) and any(show.input_value(one) in values for one in jobset.inputs)


def _words(given: Given, name: str) -> list[str]:
    return [one.strip() for one in given.text(name).split(",") if one.strip()]


def _saved(resp: falcon.Response, uri: str, made: dict[str, Any], *, is_new: bool) -> None:
    if not is_new:
        resp.media = {"redirect": uri + _CONFIGURATION}
        return
    resp.status, resp.location = falcon.HTTP_201, uri
    resp.media = {**made, "uri": uri, "redirect": uri}


def _page(req: falcon.Request) -> int:
    page = number_query(req, "page")
    if page is None:
        return 1
    if not 1 <= page <= _HIGHEST_PAGE:
        fault = Complaint("page", f"must be 1 to {_HIGHEST_PAGE}")
        raise Invalid("the address cannot be used", complaints=[fault])
    return page


def _page_links(page: int, total: int, rest: str) -> dict[str, str]:
    last = -(-total // PAGE_SIZE)
    links = {"first": 1, "last": last}
    if page > 1:
        links["previous"] = page - 1
    if page < last:
        links["next"] = page + 1
    return {name: f"?page={number}{rest}" for name, number in links.items()}
