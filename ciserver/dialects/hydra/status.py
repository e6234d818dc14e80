"""The queue, what runs, the machines and the runner, and the search, for programs."""

import falcon

from ciserver.dialects.hydra import show_status
from ciserver.dialects.hydra.given import query_of
from ciserver.edge.bodies import number_query
from ciserver.edge.dialect import Route
from ciserver.edge.exposition import TEXT, Family, exposition, of_histogram
from ciserver.service.search import USUAL
from ciserver.service.services import Services


class Status:
    def __init__(self, services: Services) -> None:
        self._status = services.status
        self._search = services.search

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("/queue", self, "queue"),
            Route("/status", self, "status"),
            Route("/machines", self, "machines"),
            Route("/queue-runner-status", self, "runner"),
            Route("/prometheus", self, "prometheus"),
            Route("/search", self, "search"),
        )

    def on_get_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        """What runs and waits, in the order of the queue."""
        actor = req.context.actor
        found = self._status.facts(actor, self._status.unfinished(actor))
        resp.media = [show_status.unfinished_build(one) for one in found]

    def on_get_status(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The builds that run, one for each step that does."""
        actor = req.context.actor
        steps = self._status.running_steps(actor)
        facts = self._status.facts(actor, (one.build for one in steps))
        resp.media = list(map(show_status.busy_build, steps, facts))

    def on_get_machines(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._status.machines(req.context.actor)
        resp.media = {one.worker.name: show_status.machine(one) for one in found}

    def on_get_runner(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = show_status.runner(self._status.runner(req.context.actor))

    def on_get_prometheus(self, req: falcon.Request, resp: falcon.Response) -> None:
        """How long the steps that run have been running."""
        durations = self._status.running_durations(req.context.actor)
        samples = [
            sample
            for worker, one in sorted(durations.items())
            for sample in of_histogram(one, {"machine": worker})
        ]
        meaning = "How long the builds that run have been running, by machine; falls when one ends"
        resp.content_type = TEXT
        resp.text = exposition(
            [Family("hydra_machine_build_duration", "histogram", meaning, samples)]
        )

    def on_get_search(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._search.find(
            req.context.actor,
            str(query_of(req).get("query", "")),
            limit=number_query(req, "limit") or USUAL,
        )
        resp.media = show_status.found(found)
