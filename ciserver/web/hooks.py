"""The doors that pushes come in by: /hooks/DOOR/PROJECT."""

import hashlib

import falcon
import structlog

from ciserver.edge.bodies import HOOK_LIMIT, raw_body
from ciserver.intake.doors import DOORS
from ciserver.intake.knock import Knock
from ciserver.model.errors import BadSignature, NotFound
from ciserver.model.links import Links
from ciserver.model.push import PushOutcome, Received
from ciserver.model.view import PushedEvaluation
from ciserver.service.push_options import read_options
from ciserver.service.services import Services
from ciserver.web.push_lines import debug_lines, push_lines

log = structlog.get_logger()


class HookDoor:
    """202 with the evaluations once they are durable, 200 with the reason when there are none,
    204 for a ping. Nothing here fetches, reads a repository or waits.
    """

    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def on_post(self, req: falcon.Request, resp: falcon.Response, door: str, project: str) -> None:
        reader = DOORS.get(door)
        if reader is None:
            raise NotFound(f"there is no hook door {door}", hint=f"doors: {', '.join(DOORS)}")
        body = raw_body(req, HOOK_LIMIT)
        secrets = self._services.queries.hook_secrets(project)
        if not secrets:  # perhaps it has another name now
            project = self._services.renames.project(project)
            secrets = self._services.queries.hook_secrets(project)
        headers = {name.lower(): value for name, value in req.headers.items()}
        try:
            knock = reader.read(headers, body, secrets, req.context.now)
        except BadSignature:
            log.warning("hook-refused", door=door, project=project, has_secret=bool(secrets))
            raise
        if knock.is_ping:
            resp.status = falcon.HTTP_204
            return
        outcome = self._accept(req, door, project, body, knock)
        is_debug = knock.push is not None and read_options(knock.push.options).debug
        self._answer(req, resp, outcome, knock.delivery_id if is_debug else "")

    def _accept(
        self, req: falcon.Request, door: str, project: str, body: bytes, knock: Knock
    ) -> PushOutcome:
        if knock.push is None:
            return PushOutcome(id=0, ignored=knock.ignored)
        received = Received(
            project, door, knock.delivery_id, hashlib.sha256(body).hexdigest(), req.context.now
        )
        return self._services.pushes.accept_push(received, knock.push)

    def _answer(
        self, req: falcon.Request, resp: falcon.Response, outcome: PushOutcome, debugged: str
    ) -> None:
        """A delivery that comes again is told what became of it meanwhile: our own hook asks so.
        `debugged` is the id of a delivery whose sender wants to know more.
        """
        links = Links(self._base_url or req.prefix)
        told = self._services.pushes.told(outcome) if outcome.is_known else ()
        lines = [*push_lines(outcome, told, links)]
        if debugged:
            lines += debug_lines(outcome, debugged, links)
        resp.status = falcon.HTTP_202 if outcome.evaluations else falcon.HTTP_200
        resp.media = {
            "id": outcome.id,
            "evaluations": [
                {
                    "id": one.id,
                    "url": links.evaluation(one.id),
                    "jobset": one.jobset,
                    "ref": one.ref,
                }
                for one in outcome.evaluations
            ],
            "ignored": outcome.ignored,
            "lines": lines,
            "pending": _is_pending(outcome, told),
        }


def _is_pending(outcome: PushOutcome, told: tuple[PushedEvaluation, ...]) -> bool:
    """Whether more will be known in a moment."""
    if not outcome.is_known:
        return bool(outcome.evaluations)
    return any(not one.evaluation.status.is_final for one in told)
