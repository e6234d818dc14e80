"""Pages about evaluations: lists of them, what became of one since another, and what people do
with it.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import falcon

from ciserver.edge.bodies import form_body, number, number_query
from ciserver.edge.dialect import Route
from ciserver.edge.further import see
from ciserver.edge.paths import with_slashes
from ciserver.model.account import Actor, Right
from ciserver.model.build import Build
from ciserver.model.comparison import Change, Comparison, JobResult
from ciserver.model.frozen import frozen
from ciserver.model.status import BuildStatus
from ciserver.model.view import EvaluationView
from ciserver.service.services import Services
from ciserver.web.evaluations import ACTS
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.view import View

MOST_ROWS = 200  # of a section, unless all are asked for
PAGE = 50
_EVALUATION, _BUILD = "/eval/{evaluation_id}", "/build/{build_id}"
_LATEST = "/jobset/{project}/{jobset}/latest-eval"


@frozen
class JobRow:
    """A job on the page: its build, unless it is gone, and what it was before."""

    build: Build | None
    before: JobResult | None
    reused: bool = False


@frozen
class Section:
    """Jobs of one class, of which the page may show only the first; without a class where there
    is nothing to compare with.
    """

    change: Change | None
    rows: tuple[JobRow, ...]
    total: int


class EvaluationPages:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._lists = services.evaluation_lists
        self._acts = services.evaluation_acts
        self._view = view

    def routes(self) -> Iterator[Route]:
        yield Route("/evals", self, "newest")
        yield Route("/jobset/{project}/{jobset}/evals", self, "evaluations")
        yield Route(_EVALUATION, self, "evaluation")
        yield Route(f"{_EVALUATION}/errors", self, "errors")
        for act in ACTS:
            yield Route(f"{_EVALUATION}/{act}", self, act.replace("-", "_"))
        yield Route(f"{_BUILD}/evals", self, "of_build")
        for address, suffix in (
            (_LATEST, "latest"),
            (f"{_EVALUATION}/job/{{job}}", "build_of_job"),
            (f"{_BUILD}/eval", "evaluation_of_build"),
        ):
            yield Route(address, self, suffix)
            yield Route(f"{address}/{{rest:path}}", self, suffix)

    def _show(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(template, page_context(req), **values)

    # -- lists ------------------------------------------------------------------------------------

    def on_get_newest(self, req: falcon.Request, resp: falcon.Response) -> None:
        before = number_query(req, "before")
        found = self._lists.newest(req.context.actor, size=PAGE, before=before)
        self._show(
            *(req, resp, "evaluations.html"),
            evaluations=found.summaries,
            build=None,
            older=None if found.next is None else f"?before={found.next}",
            is_first=before is None,
        )

    def on_get_of_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """Those that have a build."""
        actor, wanted, page = req.context.actor, number(build_id), number_query(req, "page") or 1
        build = self._services.rights.build(actor, wanted)
        found = self._lists.of_build(actor, wanted, size=PAGE, page=page)
        self._show(
            *(req, resp, "evaluations.html"),
            evaluations=found.summaries,
            build=build,
            older=None if found.next is None else f"?page={page + 1}",
            is_first=page == 1,
        )

    def on_get_evaluations(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """The page of the jobset shows them."""
        raise falcon.HTTPFound(self._view.urls.jobset(project, jobset))

    # -- one --------------------------------------------------------------------------------------

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        """With what changed since the one before it, or since what `?compare=` names; of long
        sections all rows with `?full=1`.
        """
        actor, against = req.context.actor, req.get_param("compare", default="").strip()
        found = self._services.queries.evaluation(actor, number(evaluation_id))
        comparison = self._services.comparisons.compare(
            actor, found.evaluation.id, against, logs=True
        )
        most = None if req.get_param("full") == "1" else MOST_ROWS
        self._show(
            *(req, resp, "evaluation.html"),
            view=found,
            comparison=comparison,
            against=against,
            sections=tuple(sections(found, comparison, most)),
            jobsets=self._services.comparisons.others(actor, found.evaluation),
            acts=self._offered(actor, found),
        )

    def on_get_errors(self, req: falcon.Request, resp: falcon.Response, evaluation_id: str) -> None:
        """The page of the evaluation shows them."""
        found = self._services.rights.evaluation(req.context.actor, number(evaluation_id))
        raise falcon.HTTPFound(f"{self._view.urls.evaluation(found.id)}#errors")

    def _offered(self, actor: Actor, view: EvaluationView) -> frozenset[str]:
        """What there is reason for and the actor may do."""
        statuses = {one.status for one in view.builds}
        reasons = {
            "cancel": (
                Right.CANCEL,
                not view.evaluation.status.is_final or any(not one.is_final for one in statuses),
            ),
            "restart-aborted": (Right.RESTART, any(one.is_aborted for one in statuses)),
            "restart-failed": (
                Right.RESTART,
                any(one.is_final for one in statuses - {BuildStatus.SUCCEEDED}),
            ),
            "bump": (Right.BUMP, any(one.is_waiting for one in statuses)),
        }
        return frozenset(
            act
            for act, (right, is_of_use) in reasons.items()
            if is_of_use and self._services.rights.may_change(actor, right, view.evaluation)
        )

    # -- links to one of several ------------------------------------------------------------------

    def on_get_latest(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project: str,
        jobset: str,
        rest: str = "",
    ) -> None:
        """The newest of a jobset of which every build has ended."""
        found = self._lists.newest_ended(req.context.actor, project, jobset)
        see(req, self._view.urls.evaluation(found), rest)

    def on_get_evaluation_of_build(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, rest: str = ""
    ) -> None:
        """The newest that has the build and of which every build has ended."""
        found = self._lists.newest_ended_of_build(req.context.actor, number(build_id))
        see(req, self._view.urls.evaluation(found), rest)

    def on_get_build_of_job(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        evaluation_id: str,
        job: str,
        rest: str = "",
    ) -> None:
        wanted, name = number(evaluation_id), with_slashes(job)
        found = self._lists.build_of_job(req.context.actor, wanted, name)
        see(req, self._view.urls.build(found), rest)

    # -- forms ------------------------------------------------------------------------------------

    def on_post_cancel(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        self._act(req, self._acts.cancel, evaluation_id)

    def on_post_restart_aborted(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        self._act(req, self._acts.restart_aborted, evaluation_id)

    def on_post_restart_failed(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        self._act(req, self._acts.restart_failed, evaluation_id)

    def on_post_bump(self, req: falcon.Request, resp: falcon.Response, evaluation_id: str) -> None:
        self._act(req, self._acts.bump, evaluation_id)

    def _act(
        self, req: falcon.Request, act: Callable[[Actor, int], list[int]], evaluation_id: str
    ) -> None:
        """Programs use these addresses too, and know the 302 of another system from them."""
        check_csrf(req, form_body(req).get("csrf", ""))
        wanted = number(evaluation_id)
        act(req.context.actor, wanted)
        raise falcon.HTTPFound(self._view.urls.evaluation(wanted))


def sections(
    view: EvaluationView, comparison: Comparison | None, most: int | None
) -> Iterable[Section]:
    """Every build in one section. A build of which the job was built anew has no class."""
    reused = {one.id for one in view.reused}
    builds = {one.id: one for one in (*view.builds, *view.reused)}
    for change, jobs in (comparison.changes if comparison else {}).items():
        found = [builds.pop(one.now.build_id, None) if one.now else None for one in jobs]
        rows = tuple(
            JobRow(build, one.before, reused=build is not None and build.id in reused)
            for build, one in zip(found[:most], jobs, strict=False)
        )
        yield Section(change, rows, len(jobs))
    if builds:
        rest = tuple(
            JobRow(one, None, reused=one.id in reused) for one in islice(builds.values(), most)
        )
        yield Section(None, rest, len(builds))
