"""Builds: in full, step by step, what they consist of, and what is done with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import falcon

from ciserver.dialects.hydra import show, show_builds
from ciserver.dialects.hydra.words import NO_CANCEL, NO_RESTART
from ciserver.edge.bodies import number
from ciserver.edge.dialect import Route
from ciserver.model.errors import (
    BuildAlreadyFinished,
    BuildNotFinished,
    Conflict,
    Invalid,
    NotFound,
)
from ciserver.model.links import Links
from ciserver.service.services import Services

_BUILD = "/build/{build_id}"


class Builds:
    """What is done with a build leads back to it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._builds = services.builds
        self._details = services.build_details

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(_BUILD, self, "build"),
            Route(f"{_BUILD}/constituents", self, "constituents"),
            Route(f"{_BUILD}/step/{{step}}", self, "step"),
            Route(f"{_BUILD}/api/get-info", self, "info"),
            Route(f"{_BUILD}/restart", self, "restart"),
            Route(f"{_BUILD}/cancel", self, "cancel"),
            Route(f"{_BUILD}/bump", self, "bump"),
            Route(f"{_BUILD}/keep/{{kept}}", self, "keep"),
        )

    # -- read -------------------------------------------------------------------------------------

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        actor = req.context.actor
        with _known(build_id) as wanted:
            found = self._services.queries.build(actor, wanted)
        evaluations = self._details.evaluations(actor, found.build)
        resp.media = show.build(found, evaluations)

    def on_get_constituents(
        self, req: falcon.Request, resp: falcon.Response, build_id: str
    ) -> None:
        """The builds that it needs itself."""
        with _known(build_id) as wanted:
            found = self._details.constituents(req.context.actor, wanted)
        resp.media = [show.build(one) for one in found]

    def on_get_step(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, step: str
    ) -> None:
        with _known(build_id) as wanted:
            facts, found = self._details.step(req.context.actor, wanted, number(step, "step"))
        resp.media = show_builds.step(facts, found)

    def on_get_info(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """What it is made of and where that is."""
        with _known(build_id) as wanted:
            found = self._services.queries.build(req.context.actor, wanted)
        resp.media = show_builds.info(found)

    # -- changed ----------------------------------------------------------------------------------

    def on_post_restart(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """One more attempt of a build that has ended."""
        with _known(build_id) as wanted, _said(BuildNotFinished, NO_RESTART):
            self._builds.rerun(req.context.actor, wanted)
        _see(wanted)

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        with _known(build_id) as wanted, _said(BuildAlreadyFinished, NO_CANCEL):
            self._builds.cancel(req.context.actor, wanted)
        _see(wanted)

    def on_post_bump(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """To the front of the queue."""
        with _known(build_id) as wanted:
            self._builds.bump(req.context.actor, wanted)
        _see(wanted)

    def on_post_keep(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, kept: str
    ) -> None:
        """Keep what it made with 1, or with 0 no longer."""
        if kept not in {"0", "1"}:
            raise NotFound(f"there is nothing at {req.path}")
        with _known(build_id) as wanted:
            self._builds.keep(req.context.actor, wanted, kept=kept == "1")
        _see(wanted)

    on_put_restart = on_post_restart
    on_put_cancel = on_post_cancel
    on_put_bump = on_post_bump
    on_put_keep = on_post_keep


def _see(build_id: int) -> NoReturn:
    raise falcon.HTTPFound(Links("").build(build_id))


@contextmanager
def _known(build_id: str) -> Iterator[int]:
    """The number of a build; what is no number is none's."""
    try:
        wanted = number(build_id)
    except Invalid:
        raise NotFound(f"there is no build {build_id}") from None
    yield wanted


@contextmanager
def _said(kind: type[Conflict], message: str) -> Iterator[None]:
    """What cannot be done, in Hydra's words."""
    try:
        yield
    except kind:
        raise Conflict(message) from None
