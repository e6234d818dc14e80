"""An address of self-serve: which of its methods read and which ask for a change."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import falcon

from ciserver.dialects.selfserve.answers import accept, is_json_wanted, show
from ciserver.dialects.selfserve.forms import Form, read_form
from ciserver.model.account import Actor, Right
from ciserver.service.rights import Rights

Read: TypeAlias = Callable[..., Any]  # request, names in the path -> what is shown
Change: TypeAlias = Callable[..., int]  # actor, form, names in the path -> the job request


class Address:
    """A posted form may name another method in `_method`, for clients that have no other. Who may
    ask for nothing at all is told so before anything else is looked at.
    """

    def __init__(self, rights: Rights, *, get: Read | None = None, **changes: Change) -> None:
        self._rights = rights
        self._get = get
        self._changes = {method.upper(): change for method, change in changes.items()}
        if get:
            self.on_get = self._show
        for method in {"post", *changes} if changes else ():
            setattr(self, f"on_{method}", self._ask)

    def calls(self) -> Iterator[tuple[str, str]]:
        """Each method, and what it does."""
        for method, call in {**({"GET": self._get} if self._get else {}), **self._changes}.items():
            yield method, " ".join((call.__doc__ or "").split())

    def _show(self, req: falcon.Request, resp: falcon.Response, **names: str) -> None:
        assert self._get  # noqa: S101  this is a responder only where there is one
        is_json_wanted(req)  # or the format is refused
        show(req, resp, self._get(req, **names))

    def _ask(self, req: falcon.Request, resp: falcon.Response, **names: str) -> None:
        is_json_wanted(req)  # or the format is refused, before anything is done
        actor: Actor = req.context.actor
        self._rights.require_scope(actor, Right.EVALUATE.scope)
        form = read_form(req)
        change = self._changes.get(_method(req, form))
        if change is None:
            raise falcon.HTTPMethodNotAllowed([method for method, _ in self.calls()])
        accept(req, resp, change(actor, form, **names))


def _method(req: falcon.Request, form: Form) -> str:
    if req.method != "POST":
        return req.method
    named = form.get("_method") or req.get_param("_method")
    return named.upper() if named else "POST"
