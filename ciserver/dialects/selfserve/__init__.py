"""Self-serve of Mozilla's buildapi: see what was built of a branch, and ask for more or less.

A branch is a jobset. A request and the build made of it are one build of ours, under one id; job
requests have ids of their own.
"""

from collections.abc import Iterator

import falcon

from ciserver.dialects.selfserve.addresses import Address
from ciserver.dialects.selfserve.answers import refuse, show_calls
from ciserver.dialects.selfserve.changes import Changes
from ciserver.dialects.selfserve.reads import Reads
from ciserver.edge.proofs import Proof, usual_proof
from ciserver.edge.refusals import Refusal
from ciserver.service.services import Services

_ROOT = "/self-serve"


class SelfServe:
    prefixes = (_ROOT,)

    def __init__(self, services: Services, base_url: str) -> None:
        self._addresses = _addresses(services)

    def add_routes(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        app.add_route(_ROOT, self)
        for path, address in self._addresses.items():
            app.add_route(path, address)

    def proof(self, req: falcon.Request) -> Proof | None:
        return usual_proof(req)

    def refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        refuse(req, resp, refusal)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Always a page: what can be asked here."""
        show_calls(resp, self._calls())

    def _calls(self) -> Iterator[tuple[str, str, str]]:
        yield "GET", _ROOT, "This page."
        for path, address in self._addresses.items():
            for method, meaning in address.calls():
                yield method, path, meaning


def _addresses(services: Services) -> dict[str, Address]:
    """Every path; fixed names go before branches."""
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
