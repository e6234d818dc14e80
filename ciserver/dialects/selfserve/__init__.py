"""Self-serve of Mozilla's buildapi: see what was built of a branch, and ask for more or less.

A branch is a jobset. A request and the build made of it are one build of ours, under one id; job
requests have ids of their own.
"""

from collections.abc import Iterator
from ipaddress import ip_address

import falcon

from ciserver.config import SelfServe as Settings
from ciserver.dialects.selfserve import paths
from ciserver.dialects.selfserve.addresses import Address, Report, meaning_of
from ciserver.dialects.selfserve.answers import refuse
from ciserver.dialects.selfserve.changes import Changes
from ciserver.dialects.selfserve.reads import Reads
from ciserver.dialects.selfserve.reports import DumpFiles, Reports
from ciserver.dialects.selfserve.show import branch_name
from ciserver.edge.pages import show_page
from ciserver.edge.proofs import FrontEndProof, Proof, usual_proof
from ciserver.edge.refusals import Refusal
from ciserver.service.services import Services

_ROOT = paths.ROOT
_BELIEVED = "X-Remote-User"


class SelfServe:
    prefixes = (_ROOT, paths.PENDING, paths.RUNNING, paths.REPORTS, "/builddata")

    def __init__(self, services: Services, base_url: str, *, settings: Settings) -> None:
        self.origins = frozenset(settings.allowed_origins)
        self._front_ends = settings.remote_user_from
        self._services = services
        self._addresses = _addresses(services)
        self._reports = _reports(services)

    def add_routes(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        app.add_route(_ROOT, self)
        for path, address in {**self._addresses, **self._reports}.items():
            app.add_route(path, address)
        app.add_route(f"{paths.DUMPS}/{{name}}", DumpFiles(self._services))

    def proof(self, req: falcon.Request) -> Proof | None:
        name = (req.get_header(_BELIEVED) or "").strip()
        return FrontEndProof(name) if name and self._believes(req) else usual_proof(req)

    def refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        refuse(req, resp, refusal)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Always a page: what can be asked here."""
        found = self._services.lists.branches(req.context.actor)
        show_page(
            resp,
            "selfserve/root.html",
            calls=list(self._calls()),
            reports=list(self._report_calls()),
            branches=[(branch_name(one), paths.Place(one), one) for one in found],
            paths=paths,
        )

    def _calls(self) -> Iterator[tuple[str, str, str]]:
        yield "GET", _ROOT, "This page."
        for path, address in self._addresses.items():
            for method, meaning in address.calls():
                yield method, path, meaning

    def _report_calls(self) -> Iterator[tuple[str, str]]:
        for path, report in self._reports.items():
            for _, meaning in report.calls():
                yield path, meaning
        yield f"{paths.DUMPS}/builds-4hr.js.gz", meaning_of(DumpFiles)
        yield f"{paths.DUMPS}/builds-YYYY-MM-DD.js.gz", meaning_of(DumpFiles)

    def _believes(self, req: falcon.Request) -> bool:
        """By the address that the connection comes from, and no other."""
        try:
            source = ip_address(req.env.get("REMOTE_ADDR", ""))
        except ValueError:
            return False
        return any(source in one for one in self._front_ends)


def _addresses(services: Services) -> dict[str, Address]:
    """Every path of the calls; fixed names go before branches."""
    reads, changes, rights = Reads(services), Changes(services), services.rights
    branch = f"{_ROOT}/{{branch}}"
    revision = f"{branch}/rev/{{revision}}"
    return {
        f"{_ROOT}/branches": Address(rights, get=reads.branches),
        f"{_ROOT}/jobs": Address(rights, get=reads.jobs),
        f"{_ROOT}/jobs/{{job_id}}": Address(rights, get=reads.job),
        branch: Address(rights, get=reads.branch),
        f"{branch}/build": Address(rights, post=changes.rebuild_build),
        f"{branch}/build/{{build_id}}": Address(
            rights, get=reads.build, delete=changes.cancel_build
        ),
        f"{branch}/builders": Address(rights, get=reads.builders),
        f"{branch}/builders/{{builder_name}}/{{revision}}": Address(
            rights, post=changes.new_for_builder
        ),
        f"{branch}/request": Address(rights, post=changes.rebuild_request),
        f"{branch}/request/{{request_id}}": Address(
            rights,
            get=reads.request,
            put=changes.reprioritize,
            delete=changes.cancel_request,
        ),
        revision: Address(
            rights, get=reads.revision, post=changes.new_build, delete=changes.cancel_revision
        ),
        f"{revision}/is_done": Address(rights, get=reads.is_done),
        f"{revision}/nightly": Address(rights, post=changes.new_nightly),
        f"{revision}/pgo": Address(rights, post=changes.new_pgo),
        f"{branch}/user/{{user}}": Address(rights, get=reads.user),
    }


def _reports(services: Services) -> dict[str, Report]:
    reports = Reports(services)
    return {
        paths.PENDING: Report(reports.pending),
        f"{paths.PENDING}/{{branch}}": Report(reports.pending),
        paths.RUNNING: Report(reports.running),
        f"{paths.RUNNING}/{{branch}}": Report(reports.running),
        f"{paths.REPORTS}/waittimes/{{branch}}": Report(reports.waits),
        f"{paths.REPORTS}/endtoend/{{branch}}": Report(reports.pushes),
    }
