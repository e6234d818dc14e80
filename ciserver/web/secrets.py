"""Secrets for builds, for our own API. Their values come in and never go out."""

from base64 import b64decode
from typing import Any

import falcon

from ciserver.edge.bodies import json_body
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.secret import Secret
from ciserver.service.secrets import GivenSecret
from ciserver.service.services import Services
from ciserver.web.show import moment

_GIVEN = {"type": str, "name": "", "path": "", "mode": "", "value": "", "value_base64": ""}


class SecretApi:
    def __init__(self, services: Services) -> None:
        self._secrets = services.secrets

    # -- a user's own, or those of the user that an administrator names ---------------------------

    def on_get_own(self, req: falcon.Request, resp: falcon.Response, name: str = "") -> None:
        found = self._secrets.list_own(req.context.actor, name)
        resp.media = [told(one) for one in found]

    def on_post_own(self, req: falcon.Request, resp: falcon.Response, name: str = "") -> None:
        made = self._secrets.add_own(req.context.actor, _given(req), name)
        resp.status = falcon.HTTP_201
        resp.media = told(made)

    def on_delete_one(
        self, req: falcon.Request, resp: falcon.Response, uuid: str, name: str = ""
    ) -> None:
        self._secrets.remove_own(req.context.actor, uuid, name)
        resp.media = {"removed": uuid}

    # -- a project's ------------------------------------------------------------------------------

    def on_get_of_project(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        found = self._secrets.list_of_project(req.context.actor, name)
        resp.media = [told(one) for one in found]

    def on_post_of_project(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        made = self._secrets.add_to_project(req.context.actor, name, _given(req))
        resp.status = falcon.HTTP_201
        resp.media = told(made)

    def on_delete_one_of_project(
        self, req: falcon.Request, resp: falcon.Response, name: str, uuid: str
    ) -> None:
        self._secrets.remove_from_project(req.context.actor, name, uuid)
        resp.media = {"removed": uuid}


def told(one: Secret) -> dict[str, Any]:
    return {
        "uuid": one.uuid,
        "type": one.type.value,
        "name": one.name,
        "path": f"~/{one.path}" if one.path else "",
        "mode": f"{one.mode:03o}",
        "created_at": moment(one.created_at),
        "last_used_at": moment(one.last_used_at),
    }


def _given(req: falcon.Request) -> GivenSecret:
    """The secret of the body: its value as text, or in base64. Raises Invalid."""
    body = json_body(req, _GIVEN)
    value, encoded = body.pop("value"), body.pop("value_base64")
    if value and encoded:
        fault = Complaint("value_base64", "is given beside value; one of them is enough")
        raise Invalid("the secret cannot be kept", complaints=[fault])
    try:
        content = b64decode(encoded, validate=True) if encoded else value.encode()
    except ValueError:
        fault = Complaint("value_base64", "is not base64")
        raise Invalid("the secret cannot be kept", complaints=[fault]) from None
    return GivenSecret(**body, value=content)
