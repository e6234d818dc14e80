"""Pages about a build: the build, what it needs, how to do it again, and what people do with it."""

from collections.abc import Iterator
from typing import Any, NoReturn

import falcon

from ciserver.edge.bodies import form_body, number
from ciserver.edge.dialect import Route
from ciserver.edge.files import HARMLESS
from ciserver.model.account import Right
from ciserver.model.errors import Gone, NotFound
from ciserver.model.view import Related
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.log_lines import tail_lines
from ciserver.web.middleware import check_csrf
from ciserver.web.product_words import READ
from ciserver.web.view import View, step_to_show

INLINE_LOG = 128 * 1024
MOST_PARTS = 100
_BUILD = "/build/{build_id}"


class BuildPages:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._builds = services.builds
        self._details = services.build_details
        self._view = view

    def routes(self) -> Iterator[Route]:
        yield Route(_BUILD, self, "build")
        for act in ("cancel", "rerun", "rebuild", "start", "bump"):
            yield Route(f"{_BUILD}/{act}", self, act)
        yield Route(f"{_BUILD}/keep/{{kept}}", self, "keep")
        yield Route(f"{_BUILD}/constituents", self, "constituents")
        yield Route(f"{_BUILD}/build-deps", self, "build_deps")
        yield Route(f"{_BUILD}/runtime-deps", self, "runtime_deps")
        yield Route(f"{_BUILD}/reproduce", self, "reproduce")

    def _show(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(template, page_context(req), **values)

    # -- read -------------------------------------------------------------------------------------

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        actor = req.context.actor
        found = self._services.queries.build(actor, number(build_id))
        step = step_to_show(found)
        log, log_gone = None, ""
        try:
            if step is not None:
                log = tail_lines(*self._services.logs.tail(found.build.id, step, INLINE_LOG))
        except Gone as gone:
            log_gone = gone.message
        rights, build = self._services.rights, found.build
        resubmissions = self._services.resubmissions
        parts = self._details.needs(build) if found.needs.ids or found.job.needs else ()
        products = self._services.product_files.of_view(found)
        self._show(
            req,
            resp,
            "build.html",
            view=found,
            step=step,
            log=log,
            log_gone=log_gone,
            parts_of=Related(tuple(one.id for one in parts), parts[:MOST_PARTS]),
            breakage=self._details.breakage(actor, build),
            products=products,
            reads=[one for one in products if one.product.type in READ],
            outlook=self._services.keeping.outlook(build),
            may_ask=rights.may(actor, Right.EVALUATE, build),
            may_bump=rights.may(actor, Right.BUMP, build),
            may_resubmit=resubmissions.may_repeat(actor, build),
            may_edit=bool(actor.name) and resubmissions.is_submission(build),
            may_keep=build.status.is_good and rights.may(actor, Right.EDIT, build),
        )

    def on_get_constituents(
        self, req: falcon.Request, resp: falcon.Response, build_id: str
    ) -> NoReturn:
        """The page of the build has them."""
        found = self._services.rights.build(req.context.actor, number(build_id))
        raise falcon.HTTPFound(f"{self._view.urls.build(found.id)}#needs")

    def on_get_build_deps(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """Every build that had to be good before."""
        found = self._details.needed(req.context.actor, number(build_id))
        self._show(req, resp, "build_deps.html", found=found, build=found.build)

    def on_get_runtime_deps(
        self, req: falcon.Request, resp: falcon.Response, build_id: str
    ) -> None:
        found = self._services.queries.build(req.context.actor, number(build_id))
        self._show(req, resp, "runtime_deps.html", view=found, build=found.build)

    def on_get_reproduce(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """A script that does it elsewhere."""
        wanted = number(build_id)
        script = self._services.reproduction.script(req.context.actor, wanted)
        resp.content_type = "text/x-shellscript; charset=utf-8"
        resp.downloadable_as = f"reproduce-build-{wanted}.sh"
        resp.set_header("Content-Security-Policy", HARMLESS)
        resp.data = script.encode("utf-8", "surrogateescape")

    # -- changed ----------------------------------------------------------------------------------

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see(self._builds.cancel(req.context.actor, number(build_id)).id)

    def on_post_rerun(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see(self._builds.rerun(req.context.actor, number(build_id)).id)

    def on_post_start(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see(self._builds.start(req.context.actor, number(build_id)).id)

    def on_post_rebuild(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """A new build of the same."""
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see(*self._builds.rebuild(req.context.actor, number(build_id)))

    def on_post_bump(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """To the front of the queue."""
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see(self._builds.bump(req.context.actor, number(build_id)).id)

    def on_post_keep(
        self, req: falcon.Request, resp: falcon.Response, build_id: str, kept: str
    ) -> None:
        """Keep what it made with 1, or with 0 no longer."""
        check_csrf(req, form_body(req).get("csrf", ""))
        if kept not in {"0", "1"}:
            raise NotFound(f"there is nothing at {req.path}")
        self._see(self._builds.keep(req.context.actor, number(build_id), kept=kept == "1").id)

    def _see(self, build_id: int) -> NoReturn:
        raise falcon.HTTPSeeOther(self._view.urls.build(build_id))
