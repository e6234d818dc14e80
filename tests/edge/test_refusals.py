"""Errors of three origins become one kind of value."""

import falcon
import pytest

from ciserver.edge.refusals import refusal_of
from ciserver.model.errors import (
    BuildAlreadyFinished,
    Busy,
    Complaint,
    Invalid,
    NotFound,
    RemoteFailure,
)


def test_an_error_of_ours_keeps_what_it_says():
    """Its code and words, every complaint, the details, and the error itself."""
    error = BuildAlreadyFinished("build 7 is failed", hint="rerun it", build=7)
    refusal = refusal_of(error)
    assert (refusal.status, refusal.kind, refusal.code) == (
        409,
        "conflict",
        "build-already-finished",
    )
    assert (refusal.message, refusal.hint) == ("build 7 is failed", "rerun it")
    assert refusal.details == {"build": 7}
    assert refusal.error is error
    assert (refusal.complaints, refusal.incident, refusal.headers) == ((), "", {})
    faults = (Complaint("a", "is missing"), Complaint("b", "is too long"))
    assert refusal_of(Invalid("no", complaints=faults)).complaints == faults


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (NotFound("no"), 404, {}),
        (Busy("later"), 503, {"Retry-After": "2"}),
        (RemoteFailure("the forge failed", temporary=True), 502, {}),
    ],
)
def test_the_kind_of_an_error_gives_status_and_headers(error, status, headers):
    """What may work later says when; the failure of another system is not ours."""
    refusal = refusal_of(error)
    assert (refusal.status, refusal.headers, refusal.hint) == (status, headers, "")


def test_a_refusal_of_the_framework_keeps_its_headers():
    """So a wrong method still tells the right ones."""
    refusal = refusal_of(falcon.HTTPMethodNotAllowed(["GET", "PUT"]))
    assert (refusal.status, refusal.kind, refusal.code) == (405, "http", "http-405")
    assert refusal.headers == {"Allow": "GET, PUT"}
    assert "405" in refusal.message
    described = falcon.HTTPBadRequest(description="the header X is no number")
    assert refusal_of(described).message == "the header X is no number"


def test_a_crash_tells_an_incident_and_nothing_of_the_error():
    """Two crashes can be told apart in the log."""
    error = KeyError("hidden")
    first, second = refusal_of(error), refusal_of(error)
    assert (first.status, first.kind, first.code) == (500, "internal", "internal")
    assert first.incident in first.message
    assert "hidden" not in first.message
    assert first.error is error
    assert len(first.incident) == 8
    assert first.incident != second.incident
