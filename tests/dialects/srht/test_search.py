"""What people write into the search box, read once for pages and feeds."""

import contextlib
import time

import pytest

from ciserver.dialects.srht.search import LONGEST, read_search
from ciserver.dialects.srht.words import STATE
from ciserver.model.errors import Invalid
from ciserver.model.label_search import EVERYTHING, LabelSearch, Term
from ciserver.model.status import BuildStatus

FAILED = frozenset(status for status, word in STATE.items() if word == "failed")
ANY = frozenset(BuildStatus)


def faults(text):
    with pytest.raises(Invalid) as caught:
        read_search(text)
    assert {one.field for one in caught.value.complaints} == {"search"}
    return [one.message for one in caught.value.complaints]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", EVERYTHING),
        ("  \t ", EVERYTHING),
        ("hello", LabelSearch(note=(Term("hello"),))),
        ("Hello world", LabelSearch(note=(Term("Hello"), Term("world")))),
        ('"Hello world"', LabelSearch(note=(Term("Hello world"),))),
        ("!hello", LabelSearch(note=(Term("hello", negated=True),))),
        ('!"a b"', LabelSearch(note=(Term("a b", negated=True),))),
        ("image:alpine", LabelSearch(image=(Term("alpine"),))),
        ("IMAGE:alpine", LabelSearch(image=(Term("alpine"),))),
        ("!image:alpine/edge", LabelSearch(image=(Term("alpine/edge", negated=True),))),
        ("tags:a/b", LabelSearch(tags=(Term("a/b"),))),
        ('tags:"a b"', LabelSearch(tags=(Term("a b"),))),
        ("status:failed", LabelSearch(statuses=FAILED)),
        ("status:FAILED", LabelSearch(statuses=FAILED)),
        ("!status:failed", LabelSearch(statuses=ANY - FAILED)),
        ("status:failed status:success", LabelSearch(statuses=frozenset())),
        ('"https://example.org"', LabelSearch(note=(Term("https://example.org"),))),
        (":x", LabelSearch(note=(Term(":x"),))),
        ("50%_\\", LabelSearch(note=(Term("50%_\\"),))),
    ],
)
def test_what_is_looked_for(text, meaning):
    """Words of the note, and three keys, each turned round by a `!`."""
    assert read_search(text) == meaning


@pytest.mark.parametrize("text", ["!", '""', '"', "! !", '!""', '"\n'])
def test_nothing_by_itself_means_nothing(text):
    """No fault, and nothing that is looked for."""
    assert read_search(text) == EVERYTHING


def test_every_fault_is_told():
    """What is no key, what is no status, and what says nothing; and how to say it as a word."""
    told = faults("colour:red status:green image: https://example.org fine")
    assert len(told) == 4
    assert told[0].startswith('there is no key "colour:"; known are status, image, tags')
    assert "pending, queued, running, success, failed, timeout, cancelled" in told[1].replace(
        "queued, pending", "pending, queued"
    )
    assert told[2] == "image: must be followed by what to look for"
    assert 'no key "https:"' in told[3]


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "a\0b", "\x1b[31m", "\ud800"])
def test_what_is_no_search_is_refused(text):
    """Too much of it, and what is no text."""
    assert len(faults(text)) == 1


@pytest.mark.parametrize(
    "text", ['"' * LONGEST, "!" * LONGEST, ":" * LONGEST, '!a:"' * 50, "a:" * 100, "! " * 100]
)
def test_nothing_hostile_takes_long(text):
    """It is read, or refused, in one go."""
    began = time.process_time()
    with contextlib.suppress(Invalid):
        read_search(text)
    assert time.process_time() - began < 0.5
