"""Evaluations, which Hydra calls evals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import falcon

from ciserver.dialects.hydra import show, show_evaluations
from ciserver.dialects.hydra.answers import PAGE_SIZE, page_links, page_of
from ciserver.dialects.hydra.given import is_text, parameters_of
from ciserver.edge.bodies import number, number_query
from ciserver.edge.dialect import Route
from ciserver.model.account import Actor
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.links import Links
from ciserver.model.view import EvaluationSummaries
from ciserver.service.services import Services

_EVALUATION = "/eval/{evaluation_id}"


class Evaluations:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._lists = services.evaluation_lists
        self._acts = services.evaluation_acts
        self._base_url = base_url

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("/jobset/{project}/{jobset}/evals", self, "evaluations"),
            Route("/evals", self, "newest"),
            Route("/build/{build_id}/evals", self, "of_build"),
            Route(_EVALUATION, self, "evaluation"),
            Route(f"{_EVALUATION}/errors", self, "evaluation"),
            Route(f"{_EVALUATION}/builds", self, "builds"),
            Route(f"{_EVALUATION}/store-paths", self, "store_paths"),
            Route(f"{_EVALUATION}/cancel", self, "cancel"),
            Route(f"{_EVALUATION}/restart-aborted", self, "restart_aborted"),
            Route(f"{_EVALUATION}/restart-failed", self, "restart_failed"),
            Route(f"{_EVALUATION}/bump", self, "bump"),
        )

    # -- lists ------------------------------------------------------------------------------------

    def on_get_evaluations(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Those that have builds, or with `?all=1` every one; page by page, the newest first."""
        page, everything = page_of(req), req.get_param("all") not in {None, "", "0"}
        found = self._services.lists.evaluations(
            req.context.actor, project, jobset, page=page, size=PAGE_SIZE, built=not everything
        )
        resp.media = {
            "evals": [
                show_evaluations.evaluation(one, found.builds[one.id]) for one in found.evaluations
            ],
            **page_links(page, found.total, "&all=1" if everything else ""),
        }

    def on_get_newest(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Those of all jobsets that have builds."""
        found = self._lists.newest(
            req.context.actor,
            size=PAGE_SIZE,
            page=page_of(req),
            before=number_query(req, "before"),
        )
        if found.next is not None:
            resp.append_link(f"?before={found.next}", "next")
        resp.media = _overviews(found)

    def on_get_of_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """Those that have a build."""
        page = page_of(req)
        found = self._lists.of_build(req.context.actor, number(build_id), size=PAGE_SIZE, page=page)
        if found.next is not None:
            resp.append_link(f"?page={page + 1}", "next")
        resp.media = _overviews(found)

    # -- one --------------------------------------------------------------------------------------

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        """With `?compare=` also what changed since another evaluation."""
        with _known(evaluation_id) as wanted:
            found, builds = self._lists.evaluation(req.context.actor, wanted)
        resp.media = show_evaluations.evaluation(found, builds)
        against = req.get_param("compare")
        if against:
            made = self._services.comparisons.compare(req.context.actor, found.id, against)
            resp.media["ciserver_compare"] = show_evaluations.comparison(made) if made else None

    def on_get_builds(self, req: falcon.Request, resp: falcon.Response, evaluation_id: str) -> None:
        with _known(evaluation_id) as wanted:
            found = self._lists.builds(req.context.actor, wanted)
        resp.media = [show.build(one) for one in found]

    def on_get_store_paths(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        with _known(evaluation_id) as wanted:
            resp.media = self._lists.store_paths(req.context.actor, wanted)

    # -- changed ----------------------------------------------------------------------------------

    def on_post_evaluations(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Evaluate with the given inputs at exactly these revisions."""
        given = parameters_of(req)
        revisions = []
        for name, revision in given.map("inputs").items():
            if not is_text(name) or not is_text(revision):
                given.fault("inputs", "must be an object of revisions by the names of inputs")
                break
            revisions.append((name, revision))
        made = self._acts.request(
            req.context.actor, project, jobset, revisions, faults=given.faults
        )
        resp.status = falcon.HTTP_202
        resp.location = Links(self._base_url or req.prefix).evaluation(made)
        resp.media = {"id": made, "uri": resp.location}

    def on_post_cancel(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        _act(req, self._acts.cancel, evaluation_id)

    def on_post_restart_aborted(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        _act(req, self._acts.restart_aborted, evaluation_id)

    def on_post_restart_failed(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        _act(req, self._acts.restart_failed, evaluation_id)

    def on_post_bump(self, req: falcon.Request, resp: falcon.Response, evaluation_id: str) -> None:
        _act(req, self._acts.bump, evaluation_id)

    on_put_cancel = on_post_cancel
    on_put_restart_aborted = on_post_restart_aborted
    on_put_restart_failed = on_post_restart_failed
    on_put_bump = on_post_bump


def _act(req: falcon.Request, act: Callable[[Actor, int], list[int]], evaluation_id: str) -> None:
    with _known(evaluation_id) as wanted:
        act(req.context.actor, wanted)
    raise falcon.HTTPFound(Links("").evaluation(wanted))


@contextmanager
def _known(evaluation_id: str) -> Iterator[int]:
    """The number of an evaluation; one that is not there is told of as Hydra does."""
    try:
        yield number(evaluation_id)
    except (Invalid, NotFound):
        raise NotFound(f"Evaluation {evaluation_id} doesn't exist.") from None


def _overviews(found: EvaluationSummaries) -> list[dict[str, Any]]:
    return [show_evaluations.overview(one) for one in found.summaries]
