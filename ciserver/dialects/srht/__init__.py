"""builds.sr.ht: its REST interface for jobs and groups of them, and its logs as files."""

import falcon

from ciserver.dialects.srht.given import job_id
from ciserver.dialects.srht.groups import JobGroups
from ciserver.dialects.srht.pages import UserPages
from ciserver.dialects.srht.refusals import NO_TOKEN, token_of, write_refusal
from ciserver.dialects.srht.resources import Jobs, Logs
from ciserver.edge.bodies import number
from ciserver.edge.paths import is_under
from ciserver.edge.proofs import Proof
from ciserver.edge.refusals import Refusal
from ciserver.model.errors import NotSignedIn
from ciserver.service.services import Services

_JOBS = {
    "/api/jobs": "jobs",
    "/api/jobs/{job_id}": "job",
    "/api/jobs/{job_id}/manifest": "manifest",
    "/api/jobs/{job_id}/artifacts": "artifacts",
    "/api/jobs/{job_id}/start": "start",
    "/api/jobs/{job_id}/cancel": "cancel",
}
_GROUPS = {
    "/api/job-group": "groups",
    "/api/job-group/{group_id}": "group",
    "/api/job-group/{group_id}/start": "start",
    "/api/job-group/{group_id}/cancel": "cancel",
}


class Srht:
    """A DialectMaker makes one of these."""

    prefixes = ("/api/jobs", "/api/job-group", "/logs", "/query")

    def __init__(self, services: Services, base_url: str) -> None:
        self._jobs = Jobs(services, base_url)
        self._groups = JobGroups(services)
        self._logs = Logs(services, job_id)
        self._query_logs = Logs(services, number)
        self._pages = UserPages(services, base_url)

    def add_routes(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        for resource, paths in ((self._jobs, _JOBS), (self._groups, _GROUPS)):
            for path, suffix in paths.items():
                app.add_route(path, resource, suffix=suffix)
                app.add_route(f"{path}/", resource, suffix=suffix)  # as later versions take it
        app.add_route("/logs/{job_id}/log", self._logs, suffix="setup")
        app.add_route("/logs/{job_id}/{task}/log", self._logs, suffix="task")
        app.add_route("/query/log/{job_id}/log", self._query_logs, suffix="setup")
        app.add_route("/query/log/{job_id}/{task}/log", self._query_logs, suffix="task")

        for route in self._pages.routes():
            app.add_route(route.path, route.resource, suffix=route.suffix)

    def proof(self, req: falcon.Request) -> Proof | None:
        """A token. Nothing else changes anything, whatever cookies come along."""
        token = token_of(req)
        if token is None and req.method == "POST" and is_under(req.path, "/api"):
            raise NotSignedIn(NO_TOKEN)
        return token

    def refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        write_refusal(req, resp, refusal)
