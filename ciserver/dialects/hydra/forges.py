"""What forges tell at Hydra's addresses: of a push to a repository, without the name of a project.

Whose secret signed it says in which projects it counts: those that are fed with the repository and
have that secret among theirs. From there it goes the way of every signed push.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import falcon
import structlog

from ciserver.dialects.hydra.words import BAD_SIGNATURE, EMPTY_BODY, NO_SIGNATURE
from ciserver.edge.bodies import HOOK_LIMIT, raw_body
from ciserver.intake.changes import read_change
from ciserver.intake.headers import delivery_id
from ciserver.intake.payload import Fields, parse_json
from ciserver.intake.signature import is_hex_signed
from ciserver.model.errors import Invalid
from ciserver.model.frozen import frozen
from ciserver.model.push import Push, PushOutcome, Received
from ciserver.service.services import Services

log = structlog.get_logger()


@frozen
class Forge:
    """How a forge signs and numbers what it tells; `door` is our own for the same forge, so that
    what comes in by both counts once.
    """

    door: str
    signature: str
    prefix: str
    event: str
    delivery: str
    host: str  # where OWNER/NAME lies, if it does not say


GITHUB = Forge(
    *("github", "x-hub-signature-256", "sha256="),
    *("x-github-event", "x-github-delivery", "github.com"),
)
GITEA = Forge("gitea", "x-gitea-signature", "", "x-gitea-event", "x-gitea-delivery", "")
_ADDRESSES = ("clone_url", "ssh_url", "git_url", "html_url")
_OWNER = ("owner.name", "owner.login", "owner.username")
_PUSHER = ("sender.login", "pusher.login", "pusher.username", "pusher.name")


class Forges:
    def __init__(self, services: Services) -> None:
        self._pushes = services.pushes
        self._queries = services.queries

    def on_post_github(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._hear(req, resp, GITHUB)

    def on_post_gitea(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._hear(req, resp, GITEA)

    def _hear(self, req: falcon.Request, resp: falcon.Response, forge: Forge) -> None:
        headers = {name.lower(): value for name, value in req.headers.items()}
        sent, body = headers.get(forge.signature, ""), raw_body(req, HOOK_LIMIT)
        resp.content_type = "application/json; charset=utf-8"
        if not sent:
            _refuse(resp, falcon.HTTP_401, NO_SIGNATURE)
            return
        if not body:
            _refuse(resp, falcon.HTTP_400, EMPTY_BODY)
            return
        told = _Told.of(body, forge)
        projects = list(self._signed(sent, body, forge, told))
        if not projects:
            log.warning("hook-refused", door=forge.door, path=req.path)
            _refuse(resp, falcon.HTTP_401, BAD_SIGNATURE)
            return
        triggered = req.context.partial = {"jobsetsTriggered": list[str]()}
        if headers.get(forge.event, "push") == "push":
            delivery = delivery_id(headers, (forge.delivery,), body)
            for name in projects:
                received = Received(
                    *(name, forge.door, delivery, hashlib.sha256(body).hexdigest()),
                    req.context.now,
                )
                outcome = self._accept(received, told)
                names = dict.fromkeys(f"{name}:{one.jobset}" for one in outcome.evaluations)
                triggered["jobsetsTriggered"] += names
        resp.media = triggered

    def _signed(self, sent: str, body: bytes, forge: Forge, told: "_Told") -> Iterator[str]:
        """The projects that are fed with the repository and whose secret signed the body."""
        for name in self._pushes.projects_of(told.repositories):
            if is_hex_signed(sent, body, self._queries.hook_secrets(name), prefix=forge.prefix):
                yield name

    def _accept(self, received: Received, told: "_Told") -> PushOutcome:
        if "ref" not in told.values:
            return self._pushes.look_again(received.project, told.repositories, told.pusher)
        fields = Fields(told.values)
        change = read_change(fields, old="before", new="after")
        fields.require_sound()
        push = Push((change,), told.repositories, told.pusher)
        return self._pushes.accept_push(received, push)


@frozen
class _Told:
    """What a payload says of the repository, believed only once the signature is known to be
    right.
    """

    values: Mapping[str, Any]
    repositories: tuple[str, ...] = ()
    pusher: str = ""

    @classmethod
    def of(cls, body: bytes, forge: Forge) -> "_Told":
        """Empty where the body cannot be read: then nobody can have signed it for a project."""
        try:
            values = parse_json(body)
        except Invalid:
            return cls({})
        fields = Fields(values)
        pusher = next(filter(None, map(fields.shown, _PUSHER)), "")
        return cls(values, tuple(dict.fromkeys(_addresses(values, forge))), pusher)


def _addresses(values: Mapping[str, Any], forge: Forge) -> Iterator[str]:
    repository = values.get("repository")
    if not isinstance(repository, Mapping):
        return
    for name in _ADDRESSES:
        address = repository.get(name)
        if isinstance(address, str) and address:
            yield address
    fields = Fields(repository)
    owner = next(filter(None, map(fields.shown, _OWNER)), "")
    name = fields.shown("name")
    if forge.host and owner and name:
        yield f"https://{forge.host}/{owner}/{name}"


def _refuse(resp: falcon.Response, status: str, message: str) -> None:
    resp.status, resp.media = status, {"error": message}
