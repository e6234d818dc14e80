"""Pages of jobs, lists of all builds of a place, links to its newest good build, and badges."""

from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import quote

import falcon

from ciserver.edge.badge import serve_badge
from ciserver.edge.bodies import form_body, number_query
from ciserver.edge.dialect import Route
from ciserver.edge.paths import with_slashes
from ciserver.model.errors import Complaint, Invalid, NotFound
from ciserver.model.job import Address
from ciserver.model.links import Links
from ciserver.service.services import Services
from ciserver.web.badge import badge
from ciserver.web.charts import chart
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.view import View

PAGE = 20
METRICS = 8  # that a page has charts of
_BADGE_SECONDS = 60
_JOBSET, _JOB = "/jobset/{project}/{jobset}", "/job/{project}/{jobset}/{job}"
_IN_A_QUERY = "!$%&'()*+,-./:;=?@_~"


class JobPages:
    def __init__(self, services: Services, view: View, base_url: str) -> None:
        self._services = services
        self._jobs = services.jobs
        self._view = view
        self._base_url = base_url

    def routes(self) -> Iterator[Route]:
        yield Route(_JOB, self, "job")
        yield Route(f"{_JOB}/starred", self, "starred")
        for place in (_JOBSET, _JOB):
            yield Route(f"{place}/badge.svg", self, "badge")
        for place in ("", "/project/{project}", _JOBSET, _JOB):
            yield Route(f"{place}/all", self, "all")
            for name, suffix in (
                ("latest", "latest"),
                ("latest-for/{system}", "latest_for"),
                ("latest-finished", "latest_finished"),
            ):
                yield Route(f"{place}/{name}", self, suffix)
                yield Route(f"{place}/{name}/{{rest:path}}", self, suffix)

    def _show(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(template, page_context(req), **values)

    # -- a job ------------------------------------------------------------------------------------

    def on_get_job(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str
    ) -> None:
        actor, address = req.context.actor, Address(project, jobset, with_slashes(job))
        before = number_query(req, "before")
        found = self._jobs.job(actor, address, before=before, limit=PAGE)
        place = Links(self._base_url or req.prefix).job(project, jobset, address.job)
        self._show(
            req,
            resp,
            "job.html",
            job=found,
            charts=[chart(one) for one in self._jobs.charts(actor, found, metrics=METRICS)],
            further_metrics=found.metrics[METRICS:],
            badge=f"{place}/badge.svg",
            address=place,
        )

    def on_post_starred(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str
    ) -> None:
        """Put a star at the job, or take it away."""
        form = form_body(req)
        check_csrf(req, form.get("csrf", ""))
        star = form.get("star", "")
        if star not in {"0", "1"}:
            raise Invalid(
                "the star cannot be set", complaints=[Complaint("star", "must be 1 or 0")]
            )
        address = Address(project, jobset, with_slashes(job))
        self._jobs.star(req.context.actor, address, starred=star == "1")
        raise falcon.HTTPSeeOther(self._view.urls.job(project, jobset, address.job))

    # -- all builds of a place --------------------------------------------------------------------

    def on_get_all(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str = "",
        jobset: str = "",
        job: str = "",
    ) -> None:
        address = Address(project, jobset, with_slashes(job))
        found = self._jobs.builds(
            req.context.actor, address, before=number_query(req, "before"), limit=PAGE
        )
        self._show(req, resp, "job_builds.html", place=address, found=found)

    # -- links to the newest good build -----------------------------------------------------------

    def on_get_latest(
        self, req: falcon.Request, resp: falcon.Response, rest: str = "", **place: str
    ) -> None:
        self._see(req, self._jobs.latest(req.context.actor, _address(place)), rest)

    def on_get_latest_for(
        self, req: falcon.Request, resp: falcon.Response, system: str, rest: str = "", **place: str
    ) -> None:
        """Of one system."""
        found = self._jobs.latest(req.context.actor, _address(place), system=system)
        self._see(req, found, rest)

    def on_get_latest_finished(
        self, req: falcon.Request, resp: falcon.Response, rest: str = "", **place: str
    ) -> None:
        """Of an evaluation of which every build has ended."""
        found = self._jobs.latest(req.context.actor, _address(place), finished=True)
        self._see(req, found, rest)

    def _see(self, req: falcon.Request, build_id: int, rest: str) -> NoReturn:
        """Go to the build, or to what lies there beneath it: what the address has after the link
        is handed on, and cannot lead anywhere else.
        """
        if {".", ".."} & set(with_slashes(rest).split("/")):
            raise NotFound(f"there is nothing at {req.path}")
        where = self._view.urls.build(build_id)
        if rest:
            where += "/" + quote(rest).replace("%252F", "%2F")
        if req.query_string:
            where += "?" + quote(req.query_string, safe=_IN_A_QUERY)
        raise falcon.HTTPFound(where)

    # -- badges -----------------------------------------------------------------------------------

    def on_get_badge(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str = ""
    ) -> None:
        """Kept for a minute by whoever shows it; what only some may see, by nobody in between."""
        actor, address = req.context.actor, Address(project, jobset, with_slashes(job))
        scope = "private" if actor.name else "public"
        picture = badge(self._jobs.health(actor, address))
        serve_badge(req, resp, picture, f"{scope}, max-age={_BADGE_SECONDS}")


def _address(place: dict[str, str]) -> Address:
    return Address(
        place.get("project", ""), place.get("jobset", ""), with_slashes(place.get("job", ""))
    )
