"""Secrets for people: what there is, without the values, and a form that adds one."""

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import falcon

from ciserver.edge.bodies import form_body
from ciserver.edge.dialect import Route
from ciserver.model.errors import AlreadyExists, Complaint, Conflict, Invalid
from ciserver.model.secret import Secret, SecretType
from ciserver.service.secrets import GivenSecret
from ciserver.service.services import Services
from ciserver.web.failures import page_context
from ciserver.web.middleware import check_csrf
from ciserver.web.project_forms import Form
from ciserver.web.view import View


class SecretForm(Form):
    """Every fault but those of a field is told above the form."""

    @property
    def elsewhere(self) -> list[str]:
        return [one.message for one in self.faults if not one.field]


_EMPTY = SecretForm(MappingProxyType({"type": SecretType.SSH_KEY.value}))


class SecretPages:
    def __init__(self, services: Services, view: View) -> None:
        self._secrets = services.secrets
        self._view = view

    def routes(self) -> Iterator[Route]:
        yield Route("/secrets", self, "own")
        yield Route("/secrets/{uuid}/remove", self, "remove")
        yield Route("/project/{project}/secrets", self, "of_project")
        yield Route("/project/{project}/secrets/{uuid}/remove", self, "remove_of_project")

    # -- a user's own -----------------------------------------------------------------------------

    def on_get_own(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._show(req, resp, self._secrets.list_own(req.context.actor))

    def on_post_own(self, req: falcon.Request, resp: falcon.Response) -> None:
        given, written = self._given(req)
        actor = req.context.actor
        faults = _faults_of(lambda: self._secrets.add_own(actor, given))
        if not faults:
            raise falcon.HTTPSeeOther(self._view.urls.secrets)
        resp.status = falcon.HTTP_400
        self._show(req, resp, self._secrets.list_own(actor), SecretForm(written, faults=faults))

    def on_post_remove(self, req: falcon.Request, resp: falcon.Response, uuid: str) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._secrets.remove_own(req.context.actor, uuid)
        raise falcon.HTTPSeeOther(self._view.urls.secrets)

    # -- a project's ------------------------------------------------------------------------------

    def on_get_of_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        found = self._secrets.list_of_project(req.context.actor, project)
        self._show(req, resp, found, project=project)

    def on_post_of_project(self, req: falcon.Request, resp: falcon.Response, project: str) -> None:
        given, written = self._given(req)
        actor = req.context.actor
        faults = _faults_of(lambda: self._secrets.add_to_project(actor, project, given))
        if not faults:
            raise falcon.HTTPSeeOther(self._view.urls.secrets_of(project))
        resp.status = falcon.HTTP_400
        found = self._secrets.list_of_project(actor, project)
        self._show(req, resp, found, SecretForm(written, faults=faults), project=project)

    def on_post_remove_of_project(
        self, req: falcon.Request, resp: falcon.Response, project: str, uuid: str
    ) -> None:
        check_csrf(req, form_body(req).get("csrf", ""))
        self._secrets.remove_from_project(req.context.actor, project, uuid)
        raise falcon.HTTPSeeOther(self._view.urls.secrets_of(project))

    # -- both -------------------------------------------------------------------------------------

    @staticmethod
    def _given(req: falcon.Request) -> tuple[GivenSecret, dict[str, str]]:
        """The secret of the form; and what of it may be shown again, which the value is not."""
        form = form_body(req)
        check_csrf(req, form.pop("csrf", ""))
        # Browsers send the lines of a text with other ends than they were typed with.
        value = form.pop("value", "").replace("\r\n", "\n").encode()
        written = {name: form.get(name, "").strip() for name in ("type", "name", "path", "mode")}
        return GivenSecret(**written, value=value), written

    def _show(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        secrets: tuple[Secret, ...],
        form: Form = _EMPTY,
        **values: Any,
    ) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._view.render(
            "secrets.html",
            page_context(req),
            secrets=secrets,
            form=form,
            types=tuple(SecretType),
            **{"project": "", **values},
        )


def _faults_of(save: Callable[[], Secret]) -> tuple[Complaint, ...]:
    """All that is wrong with what was to be kept; nothing when it is kept."""
    try:
        save()
    except Invalid as error:
        return error.complaints
    except AlreadyExists as error:
        return (Complaint("name", error.message),)
    except Conflict as error:
        return (Complaint("", error.message),)
    return ()
