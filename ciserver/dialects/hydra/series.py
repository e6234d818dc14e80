"""Numbers over the builds of a job: series, oldest first, and the newest ones for Prometheus."""

from typing import Any

import falcon

from ciserver.dialects.hydra.show import build_status, epoch
from ciserver.edge.paths import with_slashes
from ciserver.model.job import Address, Ended, Point
from ciserver.service.services import Services

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class JobSeries:
    """Each answer has the newest good builds of the job, as many as the service gives."""

    def __init__(self, services: Services) -> None:
        self._jobs = services.jobs

    def on_get_build_times(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str
    ) -> None:
        address = Address(project, jobset, with_slashes(job))
        found = self._jobs.build_times(req.context.actor, address)
        resp.media = [_point(one) for one in found.points]

    def on_get_sizes(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str
    ) -> None:
        address = Address(project, jobset, with_slashes(job))
        found = self._jobs.sizes(req.context.actor, address)
        resp.media = [_point(one) for one in found.points]

    def on_get_metric(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str,
        jobset: str,
        job: str,
        name: str,
    ) -> None:
        address = Address(project, jobset, with_slashes(job))
        found = self._jobs.metric(req.context.actor, address, with_slashes(name))
        resp.media = [{**_point(one), "unit": one.unit} for one in found.points]

    def on_get_prometheus(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str, job: str
    ) -> None:
        address = Address(project, jobset, with_slashes(job))
        found = self._jobs.ended(req.context.actor, address)
        resp.content_type = _TEXT
        resp.text = _exposition(address, found)


def _point(one: Point) -> dict[str, Any]:
    return {"id": one.build_id, "timestamp": epoch(one.at), "value": _number(one.value)}


def _number(value: float) -> float:
    """Whole where it is, else to the millisecond or its like."""
    return int(value) if value.is_integer() else round(value, 3)


def _exposition(address: Address, found: Ended) -> str:
    told = (
        (
            "hydra_job_completion_time",
            "When the newest build of the job ended, in seconds since 1970",
            epoch(found.build.finished_at),
        ),
        (
            "hydra_job_failed",
            "Whether the newest build of the job is not good (1 means failed)",
            int(bool(build_status(found.build))),
        ),
        (
            "hydra_build_closure_size",
            "Size of all products of the job's newest build in bytes",
            found.size,
        ),
        (
            "hydra_build_output_size",
            "Size of all products of the job's newest build in bytes",
            found.size,
        ),
    )
    labels = ",".join(
        f'{name}="{value.translate(_ESCAPED)}"'
        for name, value in (
            ("project", address.project),
            ("jobset", address.jobset),
            ("job", address.job),
        )
    )
    return "".join(
        f"# HELP {name} {meaning}\n# TYPE {name} gauge\n{name}{{{labels}}} {value}\n"
        for name, meaning, value in told
    )
