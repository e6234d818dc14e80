"""Finds branches, builds and requests by the names in an address."""

import re

from ciserver.dialects.selfserve.forms import whole
from ciserver.dialects.selfserve.show import is_built
from ciserver.model.account import Actor
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.project import Jobset
from ciserver.model.view import BuildView
from ciserver.service.services import Services

_DIGITS = re.compile(r"[0-9a-f]{4,64}")


class Finder:
    """What is not there, or not for the actor, raises NotFound in self-serve's words."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def branch(self, actor: Actor, name: str) -> Jobset:
        try:
            return self._services.lists.branch(actor, name)
        except NotFound:
            raise NotFound(f"Branch {name} not found") from None

    def request(self, actor: Actor, jobset: Jobset, request_id: int, branch: str) -> BuildView:
        """Every build of ours is a request."""
        try:
            view = self._services.queries.build(actor, request_id)
        except NotFound:
            view = None
        if view is None or view.build.jobset_id != jobset.id:
            raise NotFound(f"Request {request_id} not found on branch {branch}")
        return view

    def build(self, actor: Actor, jobset: Jobset, build_id: int, branch: str) -> BuildView:
        """A request that a worker took is a build."""
        missing = NotFound(f"Build {build_id} not found on branch {branch}")
        try:
            view = self.request(actor, jobset, build_id, branch)
        except NotFound:
            raise missing from None
        if not is_built(view.build):
            raise missing
        return view


def number_in_path(text: str, name: str) -> int:
    """Raises Invalid."""
    value = whole(text)
    if value is None:
        raise Invalid(f"Non-integer {name}")
    return value


def first_digits(revision: str) -> str | None:
    """At least four hexadecimal digits that a revision begins with; None for anything else."""
    digits = revision.lower()
    return digits if _DIGITS.fullmatch(digits) else None
