"""Small rules of the dictionary: scopes, watched refs, ref changes, complaints, jobs."""

from dataclasses import replace

import pytest
from support.factories import make_job

from ciserver.model.account import ANONYMOUS, SYSTEM, Actor
from ciserver.model.errors import Complaint
from ciserver.model.push import ZERO, RefChange
from ciserver.model.watching import WatchedInput


@pytest.mark.parametrize(
    ("scopes", "asked", "has"),
    [
        (("builds:read",), "builds:read", True),
        (("builds:read",), "builds:write", False),
        (("builds:write",), "builds:read", True),
        (("builds:write",), "projects:read", False),
        (("builds:write",), "jobs:read", True),
        (("jobs:read",), "builds:read", True),
        (("jobs:read",), "builds:write", False),
        (("*",), "users:write", True),
        (("0123abcd/jobs:write",), "builds:read", True),
        (("0123abcd/jobs:read",), "jobs:write", False),
        (("a/b/jobs:read",), "jobs:read", False),
        ((), "builds:read", False),
    ],
)
def test_scopes(scopes, asked, has):
    """To write includes to read, and nothing of another subject; jobs and builds are one, and the
    client that a scope was made for makes no difference.
    """
    assert Actor("ada", scopes=scopes).has_scope(asked) is has


def test_nobody_has_nothing_and_the_server_everything():
    """The two actors without an account stand at the two ends."""
    assert not ANONYMOUS.has_scope("builds:read")
    assert SYSTEM.has_scope("users:write")


@pytest.mark.parametrize(
    ("watch", "ref", "watched"),
    [
        (("refs/heads/*",), "refs/heads/main", True),
        (("refs/heads/*",), "refs/heads/feature/x", True),
        (("refs/heads/*",), "refs/tags/v1", False),
        (("refs/heads/main",), "refs/heads/Main", False),
        ((), "refs/heads/main", False),
    ],
)
def test_watched_refs(watch, ref, watched):
    """Globs are of full names, and case counts."""
    assert WatchedInput("source", "HEAD", watch, "").watches(ref) is watched


def test_ref_changes():
    """All-zero ids of either hash mean created and deleted."""
    assert RefChange("refs/heads/x", "1" * 40, ZERO).is_deletion
    assert not RefChange("refs/heads/x", "1" * 40, "2" * 40).is_deletion
    assert RefChange("refs/tags/v1", ZERO, "1" * 40).is_tag


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        (Complaint("tasks[0]", "is empty", ".build.yml"), ".build.yml: tasks[0]: is empty"),
        (Complaint("", "is no map", ".build.yml"), ".build.yml: is no map"),
        (Complaint("name", "is required"), "name: is required"),
        (Complaint("", "it crashed"), "it crashed"),
    ],
)
def test_complaints_say_where(complaint, said):
    """As much of the place as is known stands before the fault."""
    assert str(complaint) == said


def test_a_job_with_other_values_is_another_one():
    job = make_job()
    other = job.having(name="other", priority=3)
    assert other == replace(job, name="other", priority=3)
    assert job == make_job()
