"""Jobs, and their logs as files."""

import contextlib
import io
from collections.abc import Callable

import falcon

from ciserver.dialects.srht import given, show
from ciserver.dialects.srht.programs import program, without_session
from ciserver.edge.files import serve_file
from ciserver.model.account import Actor, Right
from ciserver.model.errors import BuildAlreadyFinished, NotFound
from ciserver.model.links import Links
from ciserver.service.services import Services

_SETUP = 0


class Jobs:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def _base(self, req: falcon.Request) -> str:
        return self._base_url or str(req.prefix)

    def _program(self, req: falcon.Request, right: Right) -> Actor:
        return program(self._services.rights, req, right)

    def _show(self, req: falcon.Request, resp: falcon.Response, actor: Actor, job_id: int) -> None:
        view = self._services.queries.build(actor, job_id)
        resp.media = show.job(show.submitted(view), view.job, self._base(req))

    # -- all --------------------------------------------------------------------------------------

    def on_get_jobs(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor = self._program(req, Right.READ)
        page = self._services.lists.own(actor, up_to=given.start(req), limit=show.PAGE)
        made_of = self._services.lists.jobs(one.build for one in page.submitted)
        base = self._base(req)
        results = [show.job(one, made_of[one.build.id], base) for one in page.submitted]
        resp.media = show.page(results, page.next, page.total)

    def on_post_jobs(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor = self._program(req, Right.EVALUATE)
        asked = given.submission(req)
        build = self._services.submissions.submit(actor, asked.what, faults=asked.faults)
        self._show(req, resp, actor, build.id)

    # -- one --------------------------------------------------------------------------------------

    def on_get_job(self, req: falcon.Request, resp: falcon.Response, job_id: str) -> None:
        actor = self._program(req, Right.READ)
        self._show(req, resp, actor, given.job_id(job_id))

    def on_get_manifest(self, req: falcon.Request, resp: falcon.Response, job_id: str) -> None:
        """The one answer that needs no token, where everybody may see the job."""
        recipe = self._services.queries.recipe(without_session(req), given.job_id(job_id))
        if not recipe:
            raise NotFound(f"job {job_id} was made without a manifest")
        resp.content_type = "text/plain; charset=utf-8"
        resp.text = recipe

    def on_get_artifacts(self, req: falcon.Request, resp: falcon.Response, job_id: str) -> None:
        actor, start = self._program(req, Right.READ), given.start(req)
        view = self._services.queries.build(actor, given.job_id(job_id))
        links = Links(self._base(req))
        resp.media = show.page_of(
            view.results, lambda one: show.artifact(one, view.build, links), start
        )

    def on_post_start(self, req: falcon.Request, resp: falcon.Response, job_id: str) -> None:
        actor = self._program(req, Right.EVALUATE)
        self._services.builds.start(actor, given.job_id(job_id))
        resp.media = {}

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, job_id: str) -> None:
        """A job that has ended stays as it is, which is no error to these clients."""
        actor = self._program(req, Right.CANCEL)
        with contextlib.suppress(BuildAlreadyFinished):
            self._services.builds.cancel(actor, given.job_id(job_id))
        resp.media = {}


class Logs:
    """Here a session counts too. `read_id` reads a job's id from the path."""

    def __init__(self, services: Services, read_id: Callable[[str], int]) -> None:
        self._services = services
        self._read_id = read_id

    def on_get_setup(self, req: falcon.Request, resp: falcon.Response, job_id: str) -> None:
        self._serve(req, resp, job_id, _SETUP)

    def on_get_task(
        self, req: falcon.Request, resp: falcon.Response, job_id: str, task: str
    ) -> None:
        self._serve(req, resp, job_id, task)

    def _serve(
        self, req: falcon.Request, resp: falcon.Response, job_id: str, name: int | str
    ) -> None:
        build_id = self._read_id(job_id)
        step = self._services.queries.step(req.context.actor, build_id, name, None)
        if step.started_at is None:
            raise NotFound(f"{step.name} of job {build_id} has not started")
        resp.content_type = "text/plain; charset=utf-8"
        file = self._services.logs.open(build_id, step) or io.BytesIO()
        serve_file(req, resp, file, file.seek(0, io.SEEK_END))
