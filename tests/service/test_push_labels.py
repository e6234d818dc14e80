"""What the builds of a push are called and sorted by."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.clock import StillClock
from support.factories import MAIN, NEW

from ciserver.model.evaluation import Evaluation, Kind
from ciserver.model.links import Links
from ciserver.model.status import EvaluationStatus
from ciserver.service.push_labels import push_label

LINKS = Links("https://ci.example.org")
# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])


def label(file=".build.yml", **changes):
    fields = {
        "id": 7,
        "jobset_id": 1,
        "project": "project",
        "jobset": "main",
        "number": 1,
        "status": EvaluationStatus.RUNNING,
        "kind": Kind.PUSH,
        "ref": MAIN,
        "revision": NEW,
        "options": (),
        "requested_by": "ada",
        "requested_at": StillClock().now(),
        "subject": "Add a thing",
        "author": "Ada Author <ada@example.org>",
    }
    return push_label(Evaluation(**{**fields, **changes}), "hello", file, LINKS)


def test_the_builds_of_a_push_have_the_commit_as_their_note():
    """With a link, who wrote it and what it is about."""
    assert label().note == (
        "[222222222222](https://ci.example.org/eval/7)"
        " — [Ada Author](mailto:ada@example.org): Add a thing"
    )


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({}, ("hello", "commits", "main", "build")),
        ({"file": ".builds/debian.yml"}, ("hello", "commits", "main", "debian")),
        ({"ref": "refs/heads/a/b"}, ("hello", "commits", "a/b", "build")),
        ({"kind": Kind.TAG, "ref": "refs/tags/v1"}, ("hello", "commits", "build")),
        (
            {"kind": Kind.PULL_REQUEST, "ref": "refs/pull/12/head"},
            ("hello", "pulls", "12", "build"),
        ),
        (
            {"kind": Kind.PULL_REQUEST, "ref": "refs/changes/34/1234/2"},
            ("hello", "pulls", "1234", "build"),
        ),
    ],
)
def test_tags_lead_from_the_repository_to_the_manifest(changes, tags):
    """The branch, where there is one, may hold slashes."""
    assert label(**changes).tags == tags


@pytest.mark.parametrize("changes", [{"kind": Kind.NIGHTLY}, {"file": "ci/jobs.star"}])
def test_what_nobody_pushed_and_what_a_program_makes_has_no_label(changes):
    """Schedules are no pushes, and a program may make very many jobs."""
    assert label(**changes) is None


@patient
@given(st.text(), st.text())
def test_no_text_of_a_commit_breaks_out_of_its_note(subject, author):
    """It stays one line that nothing steers, with the two links that we make and no others."""
    note = label(subject=subject, author=author).note
    assert note.startswith("[222222222222](https://ci.example.org/eval/7) — ")
    assert note.isprintable()
    assert note.count("](") - note.count("](mailto:") == 1


def test_an_author_cannot_write_a_link():
    """Only an address is linked, and only as mail."""
    note = label(author="[x](http://evil.example) <a b@c>", subject="").note
    assert note.endswith(" — xhttp://evil.example a b@c")


def test_a_subject_cannot_write_a_link_with_words_of_its_own():
    """An address in it stands for itself."""
    note = label(subject="[sign in](http://evil.example) [a](/b)").note
    assert note.endswith(": [sign in] (http://evil.example) [a] (/b)")
