"""An address of self-serve: which of its methods read and which ask for a change."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import falcon

from ciserver.dialects.selfserve.answers import Shown, accept, is_format_json, is_json_wanted, show
from ciserver.dialects.selfserve.forms import Form, read_form
from ciserver.edge.paths import with_slashes
from ciserver.edge.sessions import check_csrf
from ciserver.model.account import Actor, Right
from ciserver.service.rights import Rights

Read: TypeAlias = Callable[..., Shown]  # request, names in the path -> what is shown
Change: TypeAlias = Callable[..., int]  # actor, form, names in the path -> the job request


class Address:
    """A posted form may name another method in `_method`, for clients that have no other. Who may
    ask for nothing at all is told so before anything else is looked at. A form of one of our pages
    brings the token of the session.
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
            yield method, meaning_of(call)

    def _show(self, req: falcon.Request, resp: falcon.Response, **names: str) -> None:
        assert self._get  # noqa: S101  this is a responder only where there is one
        as_json = is_json_wanted(req)
        show(req, resp, self._get(req, **_whole(names)), as_json=as_json)

    def _ask(self, req: falcon.Request, resp: falcon.Response, **names: str) -> None:
        is_json_wanted(req)  # or the format is refused, before anything is done
        actor: Actor = req.context.actor
        self._rights.require_scope(actor, Right.EVALUATE.scope)
        form = read_form(req)
        if req.method == "POST" and not req.context.is_welcome:
            check_csrf(req, form.get("csrf", ""))
        change = self._changes.get(_method(req, form))
        if change is None:
            raise falcon.HTTPMethodNotAllowed([method for method, _ in self.calls()])
        accept(req, resp, change(actor, form, **_whole(names)))


class Report:
    """An address that is a page unless `format` says otherwise; Accept does not count."""

    def __init__(self, get: Read) -> None:
        self._get = get

    def on_get(self, req: falcon.Request, resp: falcon.Response, **names: str) -> None:
        as_json = is_format_json(req)
        show(req, resp, self._get(req, **_whole(names)), as_json=as_json)

    def calls(self) -> Iterator[tuple[str, str]]:
        yield "GET", meaning_of(self._get)


def meaning_of(call: Callable[..., object]) -> str:
    """What a call does, in one line."""
    return " ".join((call.__doc__ or "").split())


def _whole(names: dict[str, str]) -> dict[str, str]:
    """The names in a path, in which slashes came encoded."""
    return {key: with_slashes(name) for key, name in names.items()}


def _method(req: falcon.Request, form: Form) -> str:
    if req.method != "POST":
        return req.method
    named = form.get("_method") or req.get_param("_method")
    return named.upper() if named else "POST"
