"""The keys that webhooks are signed with: known to everybody, changed by administrators."""

from ciserver.model.account import Actor
from ciserver.model.delivery import SigningKey
from ciserver.model.request import Action
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.signing import SigningKeys


class WebhookKeys:
    """Receivers hold the public key, so a new one is made known first and used later. A change
    raises NotSignedIn or Forbidden for whoever is no administrator, and NotFound.
    """

    def __init__(self, keys: SigningKeys, rights: Rights, audit: Audit) -> None:
        self._keys = keys
        self._rights = rights
        self._audit = audit

    def prepare(self) -> None:
        """At start: make the key where there is none, so that it is there to be known and kept.
        Raises BadConfiguration for one that cannot be used.
        """
        self._keys.list_all()

    def list_all(self) -> tuple[SigningKey, ...]:
        """The one that signs first."""
        return self._keys.list_all()

    def add(self, actor: Actor) -> SigningKey:
        """Make a key that is known, and signs nothing until it is used."""
        with self._audit.record(actor, Action.ADD_WEBHOOK_KEY):
            self._rights.require_admin(actor)
            return self._keys.add()

    def use(self, actor: Actor, key_id: str) -> SigningKey:
        """Sign with it from now on."""
        with self._audit.record(actor, Action.USE_WEBHOOK_KEY, key=key_id):
            self._rights.require_admin(actor)
            return self._keys.use(key_id)

    def remove(self, actor: Actor, key_id: str) -> SigningKey:
        """Forget it. Raises Conflict for the one that signs, too."""
        with self._audit.record(actor, Action.REMOVE_WEBHOOK_KEY, key=key_id):
            self._rights.require_admin(actor)
            return self._keys.remove(key_id)
