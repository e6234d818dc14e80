"""The keys that webhooks are signed with, for our own API: everybody may check."""

import falcon

from ciserver.service.services import Services
from ciserver.web import show


class WebhookKeyApi:
    def __init__(self, services: Services) -> None:
        self._keys = services.webhook_keys

    def on_get_keys(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"keys": [show.signing_key(one) for one in self._keys.list_all()]}

    def on_post_keys(self, req: falcon.Request, resp: falcon.Response) -> None:
        made = self._keys.add(req.context.actor)
        resp.status = falcon.HTTP_201
        resp.media = show.signing_key(made)

    def on_post_use(self, req: falcon.Request, resp: falcon.Response, key_id: str) -> None:
        resp.media = show.signing_key(self._keys.use(req.context.actor, key_id))

    def on_delete_key(self, req: falcon.Request, resp: falcon.Response, key_id: str) -> None:
        resp.media = show.signing_key(self._keys.remove(req.context.actor, key_id))
