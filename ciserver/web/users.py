"""Accounts with their tokens, for our own API."""

from datetime import timedelta

import falcon

from ciserver.edge.bodies import json_body, json_changes
from ciserver.model.errors import Complaint, Invalid
from ciserver.model.links import Links
from ciserver.service.services import Services
from ciserver.web import show

_LONGEST_LIFE_DAYS = 36_500


class UserApi:
    def __init__(self, services: Services, base_url: str) -> None:
        self._access = services.access
        self._base_url = base_url

    def on_get_users(self, req: falcon.Request, resp: falcon.Response) -> None:
        found = self._access.list_users(req.context.actor)
        resp.media = [show.user(one) for one in found]

    def on_post_users(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = json_body(req, {"name": str, "password": str, "email": "", "admin": False})
        made = self._access.add_user(
            req.context.actor,
            body["name"],
            email=body["email"],
            password=body["password"],
            admin=body["admin"],
        )
        resp.status = falcon.HTTP_201
        resp.media = show.user(made)

    def on_patch_user(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Only what is given changes."""
        given = json_changes(req, {"email": str, "full_name": str, "roles": list, "admin": bool})
        if "roles" in given:
            given["roles"] = tuple(given["roles"])
        resp.media = show.user(self._access.change_user(req.context.actor, name, **given))

    def on_post_link(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        token = self._access.add_sign_in_link(req.context.actor, name)
        resp.status = falcon.HTTP_201
        resp.media = {"url": Links(self._base_url or req.prefix).sign_in(token)}

    def on_post_tokens(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        body = json_body(req, {"scopes": list, "expires_in_days": 0})
        if not 0 <= body["expires_in_days"] <= _LONGEST_LIFE_DAYS:
            fault = f"must be 0 (never) to {_LONGEST_LIFE_DAYS}"
            raise Invalid(
                "the token cannot be made", complaints=[Complaint("expires_in_days", fault)]
            )
        life = timedelta(days=body["expires_in_days"])
        expires_at = req.context.now + life if life else None
        text, made = self._access.add_token(
            req.context.actor, name, tuple(body["scopes"]), expires_at
        )
        resp.status = falcon.HTTP_201
        resp.media = show.token(made, text)
