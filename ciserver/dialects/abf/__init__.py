"""The product build lists of ABF, the build farm of ROSA and OpenMandriva, beneath /api/v1.

A product is a jobset, a product build list is a build, an arch is a system.
"""

import re
from typing import Any

import falcon

from ciserver.dialects.abf.asked import PRODUCT, ROOT
from ciserver.dialects.abf.neighbours import Neighbours
from ciserver.dialects.abf.products import Products
from ciserver.dialects.abf.resources import Resources
from ciserver.dialects.abf.show import PREFIX
from ciserver.dialects.abf.words import (
    FORBIDDEN,
    NOT_FOUND,
    NOT_SIGNED_IN,
    WRONG_PROOF,
    fault,
    not_done,
)
from ciserver.edge.proofs import Proof, TokenProof, usual_proof
from ciserver.edge.refusals import Refusal
from ciserver.service.services import Services

_TOKEN = "authentication_token"  # noqa: S105  the name of a parameter
_OF_PRODUCT = re.compile(f"{PREFIX}/products(/[^/]*)?")
_DEEDS = {"POST": "created", "PUT": "updated", "DELETE": "destroyed"}


class Abf:
    prefixes = (PREFIX,)

    def __init__(self, services: Services, base_url: str) -> None:
        self._products = Products(services)
        self._lists = Resources(services, base_url, self._products)
        self._neighbours = Neighbours(services, base_url)

    def add_routes(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        lists, products = f"{PREFIX}/product_build_lists", f"{PREFIX}/products"
        projects, platforms = f"{PREFIX}/projects", f"{PREFIX}/platforms"
        for path, resource, suffix in (
            (lists, self._lists, "lists"),
            (f"{PREFIX}/product_build_list", self._lists, "new_list"),
            (f"{lists}/{{number}}", self._lists, "list"),
            (f"{lists}/{{number}}/cancel", self._lists, "cancel"),
            (products, self._products, "products"),
            (f"{products}/{{number}}", self._products, "product"),
            (f"{products}/{{number}}/product_build_lists", self._lists, "lists_of_product"),
            (f"{projects}/get_id", self._neighbours, "project_of_name"),
            (f"{projects}/{{number}}", self._neighbours, "project"),
            (f"{projects}/{{number}}/refs_list", self._neighbours, "refs"),
            (platforms, self._neighbours, "platforms"),
            (f"{platforms}/platforms_for_build", self._neighbours, "platforms"),
            (f"{platforms}/{{number}}", self._neighbours, "platform"),
            (f"{PREFIX}/search", self._neighbours, "search"),
            (f"{PREFIX}/arches", self._neighbours, "arches"),
        ):
            app.add_route(path, resource, suffix=suffix)

    def proof(self, req: falcon.Request) -> Proof | None:
        """As usual, or a token among the parameters of the address."""
        token = req.get_param(_TOKEN)
        return TokenProof(token) if token else usual_proof(req)

    def refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        deed = "canceled" if req.path.endswith("/cancel") else _DEEDS.get(req.method)
        if deed and (refusal.complaints or refusal.kind == "conflict"):
            faults = [fault(one) for one in refusal.complaints] or [refusal.message]
            resp.status = falcon.HTTP_422
            of_product = _OF_PRODUCT.fullmatch(req.path)
            root = PRODUCT if of_product else ROOT
            resp.media = {root: {"id": None, "message": not_done(root, deed, *faults)}}
        else:
            resp.media = _plain(req, refusal)


def _plain(req: falcon.Request, refusal: Refusal) -> dict[str, Any]:
    match refusal.status:
        case 401:
            has_proof = req.get_header("Authorization") or req.get_param(_TOKEN)
            return {"error": WRONG_PROOF if has_proof else NOT_SIGNED_IN}
        case 403:
            return {"message": FORBIDDEN}
        case 404:
            return {"status": 404, "message": NOT_FOUND}
    return {"status": refusal.status, "message": refusal.message}
