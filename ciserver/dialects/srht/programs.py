"""Who asks: programs with a token, for which a browser's session does not count."""

import falcon

from ciserver.model.account import ANONYMOUS, Actor, Right
from ciserver.service.rights import Rights


def without_session(req: falcon.Request) -> Actor:
    """A person's browser is nobody here: a foreign page could make it ask."""
    return ANONYMOUS if req.context.session else req.context.actor


def program(rights: Rights, req: falcon.Request, right: Right) -> Actor:
    """Who asks, by a token with the scope for it. Raises NotSignedIn, Forbidden."""
    actor = without_session(req)
    rights.require_scope(actor, right.scope)
    return actor
