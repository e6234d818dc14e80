"""The interface of Hydra, the build system of NixOS: at the addresses of our pages, for who asks
for JSON there, and beneath /api.

A project is a project, a jobset a jobset, an eval an evaluation, a build a build of ours.
"""

import falcon

from ciserver.dialects.hydra.accounts import Accounts
from ciserver.dialects.hydra.api import Api
from ciserver.dialects.hydra.builds import Builds
from ciserver.dialects.hydra.evaluations import Evaluations
from ciserver.dialects.hydra.forges import Forges
from ciserver.dialects.hydra.jobs import Jobs
from ciserver.dialects.hydra.jobsets import Jobsets
from ciserver.dialects.hydra.projects import Projects
from ciserver.dialects.hydra.status import Status
from ciserver.dialects.hydra.words import (
    DECLARATION,
    DECLARATIVE,
    FIELD,
    NO_PAGE,
    SIGN_IN,
    WITHIN_INPUT,
)
from ciserver.edge.dialect import Route
from ciserver.edge.formats import wants_json
from ciserver.edge.proofs import Proof, usual_proof
from ciserver.edge.refusals import Refusal
from ciserver.model.errors import Complaint
from ciserver.service.services import Services

_CURRENT_USER = "/current-user"
_OF_PAGES = {"GET", "HEAD", "POST", "OPTIONS"}


class Hydra:
    prefixes = ("/api", _CURRENT_USER)

    def __init__(self, services: Services, base_url: str) -> None:
        self._accounts = Accounts(services, secure=base_url.startswith("https://"))
        self._api = Api(services)
        self._forges = Forges(services)
        projects, jobsets = Projects(services, base_url), Jobsets(services, base_url)
        self.shared = (
            Route("/", projects, "home"),
            Route("/project/{project}", projects, "project"),
            Route("/jobset/{project}/{jobset}", jobsets, "jobset"),
            Route("/jobset/{project}/{jobset}/errors", jobsets, "errors"),
            Route("/login", self._accounts, "login"),
            Route("/logout", self._accounts, "logout"),
            *Builds(services).routes(),
            *Evaluations(services, base_url).routes(),
            *Jobs(services).routes(),
            *Status(services).routes(),
        )

    def add_routes(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        app.add_route(_CURRENT_USER, self._accounts, suffix="current")
        app.add_route("/api/push", self._api, suffix="push")
        app.add_route("/api/latestbuilds", self._api, suffix="latest_builds")
        app.add_route("/api/queue", self._api, suffix="queue")
        app.add_route("/api/nrqueue", self._api, suffix="nr_queue")
        app.add_route("/api/nrbuilds", self._api, suffix="nr_builds")
        app.add_route("/api/jobsets", self._api, suffix="jobsets")
        app.add_route("/api/scmdiff", self._api, suffix="scm_diff")
        app.add_route("/api/push-github", self._forges, suffix="github")
        app.add_route("/api/push-gitea", self._forges, suffix="gitea")

    def speaks(self, req: falcon.Request) -> bool:
        """Whoever asks for JSON, and whoever uses a method that no page has."""
        return req.method not in _OF_PAGES or wants_json(req)

    def proof(self, req: falcon.Request) -> Proof | None:
        """Hydra knows sessions only; an API token is one more way."""
        return usual_proof(req)

    def refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        """A message, the faults one by one, and what was done before. Hydra has neither 401 nor
        409.
        """
        resp.set_header("Vary", "Accept")
        if refusal.kind == "unauthenticated":
            resp.status = falcon.HTTP_403
            resp.delete_header("WWW-Authenticate")
        elif refusal.kind == "conflict":
            resp.status = falcon.HTTP_400
        body = {**getattr(req.context, "partial", {}), "error": _message(req, refusal)}
        if refusal.complaints:
            body["errors"] = [
                {"field": _field(one.field), "message": one.message} for one in refusal.complaints
            ]
        resp.media = body


def _message(req: falcon.Request, refusal: Refusal) -> str:
    if refusal.complaints:
        return "; ".join(map(_sentence, refusal.complaints))
    if refusal.kind == "unauthenticated" and req.get_header("Authorization") is None:
        return SIGN_IN
    if refusal.kind == "not_found" and req.uri_template is None:
        return NO_PAGE
    return f"{refusal.message}; {refusal.hint}" if refusal.hint else refusal.message


def _field(name: str) -> str:
    """Hydra's name for a field; what an input follows is a part of its value."""
    if name.startswith("inputs."):
        for part in WITHIN_INPUT:
            name = name.removesuffix(part)
    if name.startswith(DECLARATION):
        return DECLARATIVE + name.removeprefix(DECLARATION)
    return FIELD.get(name, name)


def _sentence(one: Complaint) -> str:
    return f"{_field(one.field)}: {one.message}" if one.field else one.message
