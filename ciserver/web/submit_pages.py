"""Builds that people submit in their browser: the form, empty or with what was there before."""

from collections.abc import Iterator, Mapping
from typing import NoReturn

import falcon

from ciserver.edge.bodies import form_body, number, number_query
from ciserver.edge.dialect import Route
from ciserver.edge.notes import plain
from ciserver.model.account import Right, Visibility
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.frozen import frozen
from ciserver.service.resubmissions import Again
from ciserver.service.services import Services
from ciserver.service.submissions import ManifestSubmission
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.project_forms import said
from ciserver.web.view import View

_FIELDS = ("manifest", "note", "tags", "visibility")
_TICKED = "on"


@frozen
class Form:
    """What is written in the fields, and what is wrong with it. A box that is ticked is there."""

    written: Mapping[str, str]
    faults: tuple[Complaint, ...] = ()

    def __getitem__(self, name: str) -> str:
        return self.written.get(name, "")

    def told(self, field: str) -> list[str]:
        """What is wrong with a field; with one of the tags, it says which."""
        return [self._message(one) for one in self.faults if _field(one) == field]

    @property
    def elsewhere(self) -> list[str]:
        """What is wrong with what no field stands for."""
        return [str(one) for one in self.faults if _field(one) not in _FIELDS]

    def _message(self, fault: Complaint) -> str:
        place = fault.field.removeprefix("tags[").removesuffix("]")
        tags = _tags(self["tags"])
        if place.isdigit() and int(place) < len(tags):
            return f"{tags[int(place)]}: {fault.message}"
        return fault.message


class SubmitPages:
    def __init__(self, services: Services, view: View) -> None:
        self._services = services
        self._resubmissions = services.resubmissions
        self._view = view

    def routes(self) -> Iterator[Route]:
        yield Route("/submit", self, "submit")
        yield Route("/build/{build_id}/resubmit", self, "resubmit")

    def on_get_submit(self, req: falcon.Request, resp: falcon.Response) -> None:
        """With what the address brings in `manifest`, `note` and `tags`, or with what the build
        was submitted with that it names.
        """
        actor, number_of_build = req.context.actor, number_query(req, "build")
        self._services.rights.require_scope(actor, Right.EVALUATE.scope)
        if number_of_build is None:
            form = _prefilled(req)
            return self._show(req, resp, form, is_foreign=bool(form["manifest"]))
        again = self._resubmissions.look(actor, number_of_build)
        is_foreign = not self._resubmissions.may_repeat(actor, again.build)
        return self._show(
            req, resp, _form_of(again, with_secrets=not is_foreign), is_foreign=is_foreign
        )

    def on_post_submit(self, req: falcon.Request, resp: falcon.Response) -> None:
        written = form_body(req)
        check_csrf(req, written.pop("csrf", ""))
        # A browser sends every line of a text field with a carriage return.
        written = {name: text.replace("\r\n", "\n") for name, text in written.items()}
        try:
            build = self._services.submissions.submit(req.context.actor, _submission(written))
        except Invalid as error:
            resp.status = falcon.HTTP_400
            shown = {name: plain(text) for name, text in written.items()}
            self._show(req, resp, Form(shown, error.complaints))
        else:
            self._see(build.id)

    def on_post_resubmit(self, req: falcon.Request, resp: falcon.Response, build_id: str) -> None:
        """The same once more."""
        check_csrf(req, form_body(req).get("csrf", ""))
        self._see(self._resubmissions.resubmit(req.context.actor, number(build_id)).id)

    def _see(self, build_id: int) -> NoReturn:
        raise falcon.HTTPSeeOther(self._view.urls.build(build_id))

    def _show(
        self, req: falcon.Request, resp: falcon.Response, form: Form, *, is_foreign: bool = False
    ) -> None:
        """`is_foreign` where somebody else wrote what is in it."""
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "submit.html",
            page_context(req),
            form=form,
            is_foreign=is_foreign,
            visibilities=tuple(Visibility),
        )


def _prefilled(req: falcon.Request) -> Form:
    """What the address brings; with a manifest, somebody made it up."""
    brought = {name: plain(req.get_param(name) or "") for name in ("manifest", "note", "tags")}
    secrets = {} if brought["manifest"] else {"secrets": _TICKED}
    return Form({**brought, "visibility": Visibility.PUBLIC, "execute": _TICKED, **secrets})


def _form_of(again: Again, *, with_secrets: bool) -> Form:
    written = {
        "manifest": again.manifest,
        "note": again.changed_note,
        "tags": "/".join(again.tags),
        "visibility": again.visibility,
        "execute": _TICKED,
    }
    secrets = {"secrets": _TICKED} if with_secrets and again.secrets else {}
    return Form({**written, **secrets})


def _submission(written: Mapping[str, str]) -> ManifestSubmission:
    """Raises Invalid for what no browser sends from the form."""
    faults = list(said(written))
    if written.get("visibility") not in set(Visibility):
        faults.append(Complaint("visibility", f"must be one of {', '.join(Visibility)}"))
    if faults:
        raise Invalid("the build cannot be submitted", complaints=faults)
    return ManifestSubmission(
        manifest=written.get("manifest", ""),
        note=written.get("note", "").strip(),
        tags=_tags(written.get("tags", "")),
        visibility=Visibility(written["visibility"]),
        execute="execute" in written,
        secrets="secrets" in written,
    )


def _tags(text: str) -> tuple[str, ...]:
    return tuple(part for part in (one.strip() for one in text.split("/")) if part)


def _field(fault: Complaint) -> str:
    return fault.field.partition("[")[0]
