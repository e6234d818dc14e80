"""The requests of ABF about its products, which are our jobsets."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import falcon

from ciserver.dialects.abf import show
from ciserver.dialects.abf.answers import answer
from ciserver.dialects.abf.asked import (
    PRODUCT,
    id_in_path,
    object_given,
    product_asked,
)
from ciserver.dialects.abf.autostarts import Autostarts
from ciserver.dialects.abf.given import whole
from ciserver.model.account import Actor, Right
from ciserver.model.errors import AlreadyExists, Complaint, Invalid, NotFound
from ciserver.model.project import Jobset, Project
from ciserver.service.services import Services


class Products:
    def __init__(self, services: Services) -> None:
        self._services = services

    def on_get_product(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        actor = req.context.actor
        jobset = self._services.lists.jobset(actor, id_in_path(number))
        uri = jobset.source.uri if jobset.source else ""
        owner = self._services.access.profile(actor, jobset.owner)
        home = self._services.lists.project(actor, jobset.project_id)
        product = {
            **self.shown(actor, jobset),
            "project": show.project_of(jobset, uri, owner),
            "platform": show.platform_of(home),
        }
        answer(req, resp, {"product": product})

    def on_post_products(self, req: falcon.Request, resp: falcon.Response) -> None:
        actor = req.context.actor
        self._services.rights.require_scope(actor, Right.EDIT.scope)
        given, faults = object_given(req, PRODUCT), list[Complaint]()
        project = self.project_asked(actor, whole(given.get("project_id")) or 0, faults)
        if project is None:
            raise Invalid("the product cannot be made", complaints=faults)
        self._services.script_products.require_right(actor, project)
        asked = product_asked(given, Autostarts())
        with _own_name():
            made = self._services.script_products.create(actor, project, asked)
        answer(req, resp, show.said(made.id, "created", PRODUCT))

    def on_put_product(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        actor, jobset_id = req.context.actor, id_in_path(number)
        jobset = self._services.lists.jobset(actor, jobset_id, Right.EDIT)
        asked = product_asked(object_given(req, PRODUCT), self._autostarts(actor, jobset))
        with _own_name():
            self._services.script_products.update(actor, jobset_id, asked)
        answer(req, resp, show.said(jobset_id, "updated", PRODUCT))

    def on_delete_product(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        jobset_id = id_in_path(number)
        self._services.script_products.remove(req.context.actor, jobset_id)
        answer(req, resp, show.said(jobset_id, "destroyed", PRODUCT))

    def shown(self, actor: Actor, jobset: Jobset) -> dict[str, Any]:
        """A product as it stands in whatever names one."""
        stated = jobset.settings.script.timeout_minutes * 60
        seconds = self._services.lists.timeout_seconds(stated)
        return show.product(jobset, seconds, self._autostarts(actor, jobset))

    def _autostarts(self, actor: Actor, jobset: Jobset) -> Autostarts:
        return Autostarts(self._services.schedules.list_of_jobset(actor, jobset))

    def project_asked(
        self, actor: Actor, number: int | None, faults: list[Complaint]
    ) -> Project | None:
        """The project of this number, which the actor may see; or a fault."""
        if number is None:
            return None
        with suppress(NotFound):
            return self._services.lists.project(actor, number)
        faults.append(Complaint("Project", "can't be blank"))
        return None


@contextmanager
def _own_name() -> Iterator[None]:
    """A name that is taken is a fault of the product as others are."""
    try:
        yield
    except AlreadyExists as error:
        fault = Complaint("name", "has already been taken")
        raise Invalid(error.message, complaints=[fault]) from error
