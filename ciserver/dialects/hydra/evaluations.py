"""Evaluations, which Hydra calls evals."""

import falcon

from ciserver.dialects.hydra import show
from ciserver.dialects.hydra.answers import PAGE_SIZE, page_links, page_of
from ciserver.edge.bodies import number
from ciserver.model.errors import Invalid, NotFound
from ciserver.service.services import Services


class Evaluations:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_evaluations(
        self, req: falcon.Request, resp: falcon.Response, project: str, jobset: str
    ) -> None:
        """Those that made builds, or with `?all=1` every one; page by page, the newest first."""
        page, everything = page_of(req), req.get_param("all") not in {None, "", "0"}
        found = self._services.lists.evaluations(
            req.context.actor, project, jobset, page=page, size=PAGE_SIZE, built=not everything
        )
        resp.media = {
            "evals": [show.evaluation(one, found.builds[one.id]) for one in found.evaluations],
            **page_links(page, found.total, "&all=1" if everything else ""),
        }

    def on_get_evaluation(
        self, req: falcon.Request, resp: falcon.Response, evaluation_id: str
    ) -> None:
        try:
            view = self._services.queries.evaluation(req.context.actor, number(evaluation_id))
        except (Invalid, NotFound):
            raise NotFound(f"Evaluation {evaluation_id} doesn't exist.") from None
        resp.media = show.evaluation(view.evaluation, [one.id for one in view.builds])
