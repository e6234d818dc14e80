"""Refusals in the shape and with the statuses of builds.sr.ht."""

from http import HTTPStatus

import falcon

from ciserver.dialects.srht.words import FIELD, SCOPE, already
from ciserver.edge.proofs import TokenProof
from ciserver.edge.refusals import Refusal
from ciserver.model.errors import Complaint, NotSignedIn
from ciserver.model.status import BuildStatus

NO_TOKEN = "No authorization supplied (expected an OAuth token)"  # noqa: S105  a sentence
NOT_TWO_WORDS = "Invalid authorization supplied"
WRONG_TOKEN = "Invalid or expired OAuth token"  # noqa: S105  a sentence
_SCHEMES = ("token ", "Bearer ")
_PREDICATES = ("is ", "may ", "must ", "should ")


def token_of(req: falcon.Request) -> TokenProof | None:
    """The token of the Authorization header, None without the header. Raises NotSignedIn for
    anything but one of two schemes, in exactly these letters, with one word after it.
    """
    given = req.get_header("Authorization")
    if given is None:
        return None
    if not given.startswith(_SCHEMES):
        raise NotSignedIn(NO_TOKEN)
    words = given.split(" ")
    if len(words) != 2:
        raise NotSignedIn(NOT_TWO_WORDS)
    return TokenProof(words[1])


def write_refusal(req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
    status = _status(refusal)
    resp.status = falcon.code_to_http_status(status)
    if status == HTTPStatus.UNAUTHORIZED:
        resp.set_header("WWW-Authenticate", "Bearer")
    if refusal.complaints:
        errors = [_error(one) for one in refusal.complaints]
    else:
        errors = [{"reason": _reason(req, status, refusal)}]
    resp.media = {"errors": errors}


def _status(refusal: Refusal) -> int:
    if "right" in refusal.details:
        return HTTPStatus.UNAUTHORIZED  # a stranger's job
    if refusal.kind == "conflict":
        return HTTPStatus.BAD_REQUEST
    return refusal.status


def _reason(req: falcon.Request, status: int, refusal: Refusal) -> str:
    details = refusal.details
    if refusal.kind == "unauthenticated":
        return _wrong_proof(req)
    if "scope" in details:
        needed = SCOPE.get(details["scope"], details["scope"])
        return f"Your OAuth token is not permitted to use this endpoint (needs {needed})"
    if "status" in details:
        return already(BuildStatus(details["status"]))
    if status in {401, 404, 405}:
        return f"{status} {HTTPStatus(status).phrase.lower()}"
    return refusal.message


def _wrong_proof(req: falcon.Request) -> str:
    try:
        return NO_TOKEN if token_of(req) is None else WRONG_TOKEN
    except NotSignedIn as error:
        return error.message


def _error(complaint: Complaint) -> dict[str, str]:
    """Clients show the reason alone, so it names the field where it says something of it."""
    name, bracket, place = complaint.field.partition("[")
    field = FIELD.get(name, name) + bracket + place
    reason = complaint.message
    if field and reason.startswith(_PREDICATES):
        reason = f"{field} {reason}"
    return {"field": field, "reason": reason} if field else {"reason": reason}
