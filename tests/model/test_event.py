"""Events as triggers are told of them."""

import json
from dataclasses import fields
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.factories import make_event

from ciserver.model.event import (
    Beside,
    BuildFinished,
    FaultsChanged,
    GroupFinished,
    GroupMember,
    StepSummary,
    event_from_json,
    stamp,
)

texts = st.text(max_size=20)
words = st.lists(texts, max_size=3).map(tuple)
steps = st.lists(st.builds(StepSummary, texts, texts, texts), max_size=3).map(tuple)
numbers = st.integers(0, 2**53)
beside = st.lists(st.builds(Beside, numbers, texts, texts, texts, texts), max_size=3).map(tuple)
events = st.builds(
    BuildFinished,
    **{
        one.name: {
            "int": st.integers(0, 2**53),
            "float": st.floats(0, 1e9),
            "str": texts,
            "bool": st.booleans(),
        }.get(one.type.__name__, {"steps": steps, "beside": beside}.get(one.name, words))
        for one in fields(BuildFinished)
    },
)


@given(event=events)
def test_an_event_survives_the_outbox(event):
    """What is read back is what was written, whatever the texts are."""
    assert BuildFinished.from_json(event.to_json()) == event


def test_events_are_told_apart():
    """The outbox has all kinds as text."""
    faults = FaultsChanged(9, 3, "site", "main", "r", "f", "s", "a", "", "u", ("one", "two"), 2)
    members = (GroupMember(1, "build", "failed", "u", ("t",)),)
    group = GroupFinished(4, 1, "ada", "n", "~ada", "jobs", "", "u", members)
    for event in (make_event(cached=True), faults, group):
        assert event_from_json(event.to_json()) == event


def test_an_event_of_an_earlier_version_is_read():
    """What waited when the server was replaced is sent by the new one."""
    told = json.loads(make_event().to_json())
    for name in (
        *("cached", "beside", "beside_total"),
        *("worker", "note", "tags", "unstarted", "is_submission"),
    ):
        del told[name]
    assert event_from_json(json.dumps(told)) == make_event()


def test_an_event_is_plain_json():
    """Receivers of another language can read it."""
    told = json.loads(make_event().to_json())
    assert told["project"] == "project"
    assert told["steps"] == [
        {"name": "setup", "status": "succeeded", "log_url": "http://ci/log"},
    ]


@pytest.mark.parametrize(
    ("previous", "status", "met"),
    [
        ("", "succeeded", {"always", "success"}),
        ("", "failed", {"always", "failure", "change"}),
        ("succeeded", "succeeded", {"always", "success"}),
        ("succeeded", "partial", {"always", "success"}),
        ("succeeded", "failed", {"always", "failure", "change"}),
        ("failed", "succeeded", {"always", "success", "change"}),
        ("failed", "timed_out", {"always", "failure"}),
        ("failed", "errored", {"always", "failure"}),
        ("partial", "canceled", {"always", "failure", "change"}),
    ],
)
def test_conditions(previous, status, met):
    """A trigger hears of what it asked for; a change is between good and bad."""
    event = make_event(previous_status=previous, status=status)
    asked = {"always", "success", "failure", "change"}
    assert {condition for condition in asked if event.meets(condition)} == met


def test_stamps_are_utc_and_may_be_missing():
    """A moment is told with its zone; a missing one is empty."""
    assert stamp(datetime(2026, 3, 1, 12, 0, 5, 7, tzinfo=UTC)) == "2026-03-01T12:00:05+00:00"
    assert stamp(None) == ""
