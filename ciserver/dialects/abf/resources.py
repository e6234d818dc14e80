"""The requests of ABF about its product build lists, which are our builds."""

import math
from contextlib import suppress
from typing import Any

import falcon

from ciserver.dialects.abf import show
from ciserver.dialects.abf.answers import answer, link_pages
from ciserver.dialects.abf.asked import (
    ROOT,
    Asked,
    Slice,
    id_in_path,
    keep_asked,
    list_asked,
    no_commit,
    object_given,
    slice_asked,
)
from ciserver.dialects.abf.given import whole
from ciserver.dialects.abf.products import Products
from ciserver.dialects.abf.words import CANCELING, STATE, statuses_of
from ciserver.model.account import Actor, Right
from ciserver.model.build import Build
from ciserver.model.errors import Complaint, Conflict, Forbidden, Invalid, NotFound
from ciserver.model.links import Links
from ciserver.model.project import Jobset
from ciserver.model.view import BuildView
from ciserver.service.services import Services
from ciserver.service.submissions import ScriptSubmission


class Resources:
    """One responder a route, named by what it does."""

    def __init__(self, services: Services, base_url: str, products: Products) -> None:
        self._services = services
        self._products = products
        self._base_url = base_url

    def _links(self, req: falcon.Request) -> Links:
        return Links(self._base_url or req.prefix)

    # -- lists read -------------------------------------------------------------------------------

    def on_get_lists(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._show_lists(req, resp, None)

    def on_get_lists_of_product(
        self, req: falcon.Request, resp: falcon.Response, number: str
    ) -> None:
        jobset = self._services.lists.jobset(req.context.actor, id_in_path(number))
        self._show_lists(req, resp, jobset)

    def _show_lists(
        self, req: falcon.Request, resp: falcon.Response, jobset: Jobset | None
    ) -> None:
        actor, lists, asked = req.context.actor, self._services.lists, slice_asked(req)
        builds, more, last = self._page(actor, asked, jobset)
        jobs = lists.jobs(builds)
        limits = [lists.timeout_seconds(jobs[one.id].timeout_seconds) for one in builds]
        url = f"{self._links(req).base}{req.path}.json"
        link_pages(resp, url, asked, more=more, last=last)
        answer(req, resp, show.lists(zip(builds, limits, strict=True)))

    def _page(
        self, actor: Actor, asked: Slice, jobset: Jobset | None
    ) -> tuple[tuple[Build, ...], bool, int | None]:
        """The builds of a page, whether more follow, and the last page where it is known."""
        lists, page, size = self._services.lists, asked.page, asked.size
        if asked.is_filtered:
            builds, more = lists.filtered(
                actor,
                page=page,
                size=size,
                jobset=jobset,
                statuses=None if asked.status is None else statuses_of(asked.status),
                name=asked.name,
                build_id=asked.id,
            )
            return builds, more, None
        builds = lists.by_update(actor, page=page, size=size, jobset=jobset)
        count, seen = lists.count(actor, jobset=jobset), page * size
        if count is not None:
            return builds, seen < count, max(1, math.ceil(count / size))
        return builds, bool(lists.by_update(actor, page=seen + 1, size=1, jobset=jobset)), None

    def on_get_list(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        actor, lists = req.context.actor, self._services.lists
        view = self._services.queries.build(actor, id_in_path(number))
        product = self._find_jobset(actor, view.build.jobset_id)
        shown = show.product_build_list(
            view,
            lists.timeout_seconds(view.job.timeout_seconds),
            product=self._products.shown(actor, product) if product else None,
            project=self._project_of(actor, view, product),
            systems=lists.systems(),
            log=self._services.build_logs.of_build(actor, view.build.id),
            outlook=self._services.keeping.outlook(view.build),
            links=self._links(req),
        )
        answer(req, resp, shown)

    def _find_jobset(self, actor: Actor, jobset_id: int) -> Jobset | None:
        """None where somebody was shown the build alone, or may not see what it was made of."""
        with suppress(NotFound):
            return self._services.lists.jobset(actor, jobset_id)
        return None

    def _project_of(
        self, actor: Actor, view: BuildView, product: Jobset | None
    ) -> dict[str, Any] | None:
        other = view.job.script_jobset
        jobset = self._find_jobset(actor, other) if other else product
        if jobset is None:
            return None
        built, inputs = view.build.revision, view.evaluation.inputs
        uri = next((one.uri for one in inputs if one.uri and one.revision == built), "")
        return show.project_of(jobset, uri, self._services.access.profile(actor, jobset.owner))

    # -- lists changed ----------------------------------------------------------------------------

    def on_post_lists(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor = req.context.actor
        self._services.rights.require_scope(actor, Right.EVALUATE.scope)
        given = object_given(req, ROOT)
        jobset = self._product_to_build(actor, whole(given.get("product_id")) or 0)
        asked = list_asked(given)
        submission = self._submission(actor, asked)
        try:
            build = self._services.submissions.run_script(actor, jobset, submission)
        except Invalid as error:
            wanted = no_commit(asked.commit_hash or asked.project_version)
            faults = (wanted if one.field == "revision" else one for one in error.complaints)
            raise Invalid(error.message, complaints=faults) from error
        answer(req, resp, show.said(build.id, "created"))

    def _product_to_build(self, actor: Actor, number: int) -> Jobset:
        """Whether somebody may is told before what is wrong with the rest of what they ask."""
        jobset = self._find_jobset(actor, number)
        if jobset is None:
            raise Forbidden("there is no such product")
        self._services.submissions.require_script_right(actor, jobset)
        return jobset

    on_post_new_list = on_post_lists  # at the address that the document names

    def _submission(self, actor: Actor, asked: Asked) -> ScriptSubmission:
        faults: list[Complaint] = []
        submission = ScriptSubmission(
            revision=asked.commit_hash,
            ref=asked.project_version,
            project=self._products.project_asked(actor, asked.project_id, faults),
            script=asked.main_script,
            parameters=asked.params,
            timeout_minutes=asked.time_living,
            system=self._system_asked(asked.arch_id, faults),
        )
        if faults:
            raise Invalid("the list cannot be made", complaints=faults)
        return submission

    def _system_asked(self, number: int | None, faults: list[Complaint]) -> str:
        if number is None:
            return ""
        for one in self._services.lists.systems():
            if one.id == number:
                return one.name
        faults.append(Complaint("Arch", "can't be blank"))
        return ""

    def on_put_list(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        actor, build_id = req.context.actor, id_in_path(number)
        try:
            kept = keep_asked(object_given(req, ROOT))
        except Invalid:
            self._services.rights.build(actor, build_id, Right.EDIT)  # first of all they must have
            raise
        self._services.builds.keep(actor, build_id, kept=kept)
        answer(req, resp, show.said(build_id, "updated"))

    def on_delete_list(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        build_id = id_in_path(number)
        self._services.builds.delete(req.context.actor, build_id)
        answer(req, resp, show.said(build_id, "destroyed"))

    def on_put_cancel(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        actor, build_id = req.context.actor, id_in_path(number)
        if STATE[self._services.rights.build(actor, build_id).status] == CANCELING:
            self._services.rights.build(actor, build_id, Right.CANCEL)
            raise Conflict(f"build {build_id} is being canceled already")
        self._services.builds.cancel(actor, build_id)
        answer(req, resp, show.said(build_id, "canceled"))
