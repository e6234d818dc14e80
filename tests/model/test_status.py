"""The moves between the states of a build."""

import itertools

import pytest

from ciserver.model.status import (
    ACTIVE,
    MOVES,
    OPEN,
    BuildStatus,
    EvaluationStatus,
)

# Written out once more, by hand: the promise that the code must keep.
PROMISED = {
    "preparing": "held queued canceled errored",
    "held": "queued canceled",
    "queued": "starting canceled dependency_failed errored",
    "starting": "running queued canceling failed timed_out errored",
    "running": "succeeded partial failed timed_out canceling errored queued",
    "canceling": "canceled succeeded partial failed timed_out errored",
}
FINAL = {"succeeded", "partial", "failed", "dependency_failed", "timed_out", "canceled", "errored"}


@pytest.mark.parametrize(
    ("one", "other"),
    list(itertools.product(BuildStatus, BuildStatus)),
    ids=lambda status: status.value,
)
def test_moves(one, other):
    """Each move is allowed or forbidden as promised."""
    assert one.may_become(other) == (other.value in PROMISED.get(one.value, "").split())


def test_every_status_has_its_moves():
    """No status is forgotten, and exactly the ends move nowhere."""
    assert set(MOVES) == set(BuildStatus)
    assert {status.value for status in BuildStatus if status.is_final} == FINAL


def test_a_build_is_waiting_or_active_or_ended():
    """The three sorts of status do not overlap and leave none out."""
    waiting = {status for status in BuildStatus if status.is_waiting}
    final = {status for status in BuildStatus if status.is_final}
    assert waiting.isdisjoint(ACTIVE)
    assert waiting | ACTIVE == OPEN
    assert OPEN.isdisjoint(final)
    assert OPEN | final == set(BuildStatus)


def test_good_ends():
    """Only success and partial success are good."""
    good = {status for status in BuildStatus if status.is_good}
    assert good == {BuildStatus.SUCCEEDED, BuildStatus.PARTIAL}


def test_ends_of_evaluations():
    """An evaluation is open until it has an outcome."""
    still_open = {status for status in EvaluationStatus if not status.is_final}
    assert still_open == {EvaluationStatus.REQUESTED, EvaluationStatus.RUNNING}
