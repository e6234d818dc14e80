"""Notes and tags as rows: every beginning of somebody's tags leads to their builds."""

import pytest
from support.factories import make_job

from ciserver.model.build import Label
from ciserver.store.labels import tag_paths


@pytest.mark.parametrize(
    ("tags", "paths"),
    [
        ((), ()),
        (("Hello", "commits"), ("hello", "hello/commits")),
        (("a", "topic/X", "b"), ("a", "a/topic", "a/topic/x", "a/topic/x/b")),
        (("", "/", "a//b"), ("a", "a/b")),
    ],
)
def test_tags_make_paths(tags, paths):
    """Small letters, one part after the other; what is empty between slashes is nothing."""
    assert tag_paths(tags) == paths


def test_very_many_tags_make_few_rows():
    """What somebody submits cannot make rows without end."""
    assert len(tag_paths(str(one) for one in range(10_000))) == 16


def test_builds_are_found_beneath_a_path(store, make):
    """Of their owner alone, the paths of others are others; a label comes back as it was given."""
    jobset = make.jobset()
    first, second, foreign = (make.submitted(jobset).id for _ in range(3))
    label = Label("A note", ("Hello", "commits", "topic/x"))
    with store.transaction():
        store.labels.add([first, second], "ada", label)
        store.labels.add([foreign], "bob", label)
    assert store.labels.of([first, foreign]) == {first: label, foreign: label}
    assert beneath(store, "ada", "hello/commits/topic") == [first, second]
    assert beneath(store, "bob", "hello/commits") == [foreign]
    assert beneath(store, "ada", "hello/comm") == []


def test_more_builds_than_a_statement_takes(store, make):
    """Each on all paths of the deepest label."""
    made = make.evaluated(make.jobset(), *(make_job(name=f"job-{one}") for one in range(1_001)))
    ids = [one.id for one in store.builds.list_of_evaluation(made.id)]
    with store.transaction():
        store.labels.add(iter(ids), "ada", Label("", tuple("abcdefghijklmnop")))
    for path in ("a", "/".join("abcdefghijklmnop")):
        assert beneath(store, "ada", path) == ids


def beneath(store, owner, path):
    found = store.database.sql(
        "SELECT build_id FROM tagged_builds JOIN tag_paths ON tag_paths.id = path_id"
        " WHERE owner = ? AND path = ? ORDER BY build_id",
        (owner, path),
    )
    return [build_id for (build_id,) in found]
