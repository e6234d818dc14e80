"""Evaluations, for our own API: read, compared, and changed as a whole."""

from collections.abc import Callable
from typing import Any

import falcon

from ciserver.edge.bodies import number
from ciserver.model.account import Actor
from ciserver.model.comparison import Change, ChangedInput, Comparison, JobChange
from ciserver.model.links import Links
from ciserver.service.services import Services
from ciserver.web import show

ACTS = ("cancel", "restart-aborted", "restart-failed", "bump")


class EvaluationApi:
    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._acts = services.evaluation_acts
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        view = self._services.queries.evaluation(req.context.actor, number(evaluation_id))
        resp.media = show.evaluation_view(view, self._links(req))

    def on_get_comparison(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        """What changed since the one before it, or since what `with` names."""
        made = self._services.comparisons.compare(
            req.context.actor,
            number(evaluation_id),
            req.get_param("with", default=""),
            logs=True,
        )
        resp.media = _comparison(made, self._links(req)) if made else {"other": None}

    def on_post_cancel(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        self._act(req, resp, self._acts.cancel, evaluation_id)

    def on_post_restart_aborted(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        self._act(req, resp, self._acts.restart_aborted, evaluation_id)

    def on_post_restart_failed(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        self._act(req, resp, self._acts.restart_failed, evaluation_id)

    def on_post_bump(self, req: falcon.Request, resp: falcon.Response, evaluation_id: str) -> None:
        self._act(req, resp, self._acts.bump, evaluation_id)

    def _act(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        act: Callable[[Actor, int], list[int]],
        evaluation_id: str,
    ) -> None:
        wanted = number(evaluation_id)
        changed = act(req.context.actor, wanted)
        resp.status = falcon.HTTP_202
        resp.media = {
            "evaluation": wanted,
            "builds": changed,
            "url": self._links(req).evaluation(wanted),
        }


def _comparison(one: Comparison, links: Links) -> dict[str, Any]:
    return {
        "other": show.evaluation(one.other, links),
        "changes": {
            change.value: [_job(each) for each in one.changes.get(change, ())] for change in Change
        },
        "inputs": [_input(each) for each in one.inputs],
    }


def _job(one: JobChange) -> dict[str, Any]:
    def result(known: Any) -> dict[str, Any] | None:
        return {"build": known.build_id, "status": known.status.value} if known else None

    return {
        "job": one.job,
        "system": one.system,
        "now": result(one.now),
        "before": result(one.before),
    }


def _input(one: ChangedInput) -> dict[str, Any]:
    log = one.log
    return {
        "name": one.name,
        "old": vars(one.old) if one.old else None,
        "new": vars(one.new) if one.new else None,
        "log": log
        and {
            "commits": [
                vars(each) | {"committed_at": show.moment(each.committed_at)}
                for each in log.commits
            ],
            "more": log.more,
            "went_back": log.went_back,
        },
    }
