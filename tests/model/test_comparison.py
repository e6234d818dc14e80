"""Which class a job is in, and which inputs changed."""

import itertools

import pytest

from ciserver.model.comparison import Change, JobChange, JobResult, changed_inputs
from ciserver.model.evaluation import PinnedInput
from ciserver.model.project import InputType
from ciserver.model.status import BuildStatus

B = BuildStatus


def change(now, before):
    results = [JobResult(1, "test", "x86_64-linux", one) if one else None for one in (now, before)]
    return JobChange(*results)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (B.SUCCEEDED, B.SUCCEEDED, Change.STILL_SUCCEED),
        (B.PARTIAL, B.SUCCEEDED, Change.STILL_SUCCEED),
        (B.SUCCEEDED, B.FAILED, Change.NOW_SUCCEED),
        (B.SUCCEEDED, B.CANCELED, Change.NOW_SUCCEED),
        (B.FAILED, B.SUCCEEDED, Change.NOW_FAIL),
        (B.TIMED_OUT, B.PARTIAL, Change.NOW_FAIL),
        (B.DEPENDENCY_FAILED, B.FAILED, Change.STILL_FAIL),
        (B.FAILED, B.ERRORED, Change.STILL_FAIL),
        (B.CANCELED, B.SUCCEEDED, Change.ABORTED),
        (B.ERRORED, None, Change.ABORTED),
        (B.RUNNING, B.SUCCEEDED, Change.UNFINISHED),
        (B.SUCCEEDED, B.QUEUED, Change.UNFINISHED),
        (B.SUCCEEDED, None, Change.NEW),
        (B.QUEUED, None, Change.NEW),
        (None, B.SUCCEEDED, Change.REMOVED),
        (None, B.RUNNING, Change.REMOVED),
    ],
)
def test_classes(now, before, expected):
    assert change(now, before).change is expected
    assert change(now, before).job == "test"


def test_every_pair_has_a_class():
    """Whatever states there are."""
    for now, before in itertools.product([None, *B], [None, *B]):
        if now or before:
            assert change(now, before).change in Change


def test_a_job_of_neither_is_none():
    with pytest.raises(ValueError, match="neither"):
        _ = JobChange(None, None).job


def pinned(name, revision="", **rest):
    return PinnedInput(name, "https://example.org/a.git", "refs/heads/main", revision, **rest)


def test_changed_inputs():
    """Moved, new and gone ones, in that order; one that stays is none, whatever its branch."""
    flag = PinnedInput("flag", type=InputType.BOOLEAN, value="true")
    old = (pinned("stays", "1"), pinned("gone", "2"), pinned("moves", "3"), flag)
    new = (
        pinned("moves", "4"),
        PinnedInput("stays", "https://example.org/a.git", "refs/heads/other", "1"),
        PinnedInput("flag", type=InputType.BOOLEAN, value="false"),
        pinned("comes", "5"),
    )
    found = changed_inputs(old, new)
    assert [one.name for one in found] == ["moves", "flag", "comes", "gone"]
    assert [(one.old, one.new) for one in found][1:] == [
        (flag, new[2]),
        (None, new[3]),
        (old[1], None),
    ]


def test_an_input_of_each_system_is_one_input_each():
    """What moved for one system did not move for the other."""

    def made(*numbers):
        return tuple(
            PinnedInput("tool", f"/build/{one}", system, "", InputType.SYSBUILD, str(one))
            for one, system in zip(numbers, ("aarch64-linux", "x86_64-linux"), strict=True)
        )

    (one,) = changed_inputs(made(1, 2), made(1, 3))
    assert (one.name, one.old.value, one.new.value) == ("tool", "2", "3")
