"""Jobs, the builds of a place, and what is said of them elsewhere: shields and stars."""

from typing import Any

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.answers import PAGE_SIZE
from ciserver.dialects.hydra.given import parameters_of
from ciserver.dialects.hydra.series import JobSeries
from ciserver.dialects.hydra.words import SHIELD, SHIELD_LABEL
from ciserver.edge.bodies import number_query
from ciserver.edge.dialect import Route
from ciserver.edge.paths import with_slashes
from ciserver.model.job import Address, JobHistory
from ciserver.service.services import Services

_JOBSET, _JOB = "/jobset/{project}/{jobset}", "/job/{project}/{jobset}/{job}"


class Jobs:
    def __init__(self, services: Services) -> None:
        self._jobs = services.jobs
        self._series = JobSeries(services)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("/all", self, "all"),
            Route("/project/{project}/all", self, "all"),
            Route(f"{_JOBSET}/all", self, "all"),
            Route(f"{_JOBSET}/shield", self, "shield"),
            Route(_JOB, self, "job"),
            Route(f"{_JOB}/all", self, "all"),
            Route(f"{_JOB}/shield", self, "shield"),
            Route(f"{_JOB}/star", self, "star"),
            Route(f"{_JOB}/build-times", self._series, "build_times"),
            Route(f"{_JOB}/closure-sizes", self._series, "sizes"),
            Route(f"{_JOB}/output-sizes", self._series, "sizes"),
            Route(f"{_JOB}/metric/{{name}}", self._series, "metric"),
            Route(f"{_JOB}/prometheus", self._series, "prometheus"),
        )

    def on_get_job(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str
    ) -> None:
        found = self._jobs.job(
            req.context.actor,
            Address(project, jobset, with_slashes(job)),
            before=number_query(req, "before"),
            limit=PAGE_SIZE,
        )
        _link_next(resp, found.next)
        resp.media = _job(found)

    def on_get_all(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str = "",
        jobset: str = "",
        job: str = "",
    ) -> None:
        """Builds, the newest first; older ones come `before` a build."""
        found = self._jobs.builds(
            req.context.actor,
            Address(project, jobset, with_slashes(job)),
            before=number_query(req, "before"),
            limit=PAGE_SIZE,
        )
        _link_next(resp, found.next)
        resp.media = [show.latest_build(one) for one in found.builds]

    def on_get_shield(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str = ""
    ) -> None:
        """What shields.io makes a badge of."""
        health = self._jobs.health(req.context.actor, Address(project, jobset, with_slashes(job)))
        color, message = SHIELD[health]
        resp.media = {
            "schemaVersion": 1,
            "label": SHIELD_LABEL,
            "color": color,
            "message": message,
        }

    def on_post_star(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str
    ) -> None:
        given = parameters_of(req)
        star = given.number("star", -1)
        if star not in {0, 1}:
            given.fault("star", "must be 1 or 0")
        given.check()
        address = Address(project, jobset, with_slashes(job))
        self._jobs.star(req.context.actor, address, starred=star == 1)
        resp.media = {"success": 1}


def _job(found: JobHistory) -> dict[str, Any]:
    return {
        "project": found.project,
        "jobset": found.jobset,
        "job": found.name,
        "starred": int(found.starred),
        "systems": {
            one.name: {"latest": show.latest_build(one.newest), "latestgood": one.good}
            for one in found.systems
        },
        "metrics": list(found.metrics),
        "builds": [show.latest_build(one) for one in found.builds],
    }


def _link_next(resp: falcon.Response, before: int | None) -> None:
    if before is not None:
        resp.append_link(f"?before={before}", "next")
