"""Which recipe files of a revision are read."""

from ciserver.model.evaluation import SkippedJob
from ciserver.recipe.files import choose_files


def test_of_manifests_with_one_name_the_first_is_read():
    """And of the others it is said which file took their place; programs name their jobs inside."""
    found = (".build.yml", ".builds/build.yml", ".builds/a.yml", "ci/a.yaml", "ci/a.star")
    chosen = choose_files(found)
    assert chosen.files == (".build.yml", ".builds/a.yml", "ci/a.star")
    assert chosen.left_out == (
        SkippedJob("build", ".builds/build.yml: the job is made by .build.yml"),
        SkippedJob("a", "ci/a.yaml: the job is made by .builds/a.yml"),
    )


def test_no_more_than_so_many_are_read():
    """The first in their order; the others are named."""
    chosen = choose_files(("a.yml", "b.yml", "ci/a.yml", "c.star"), most=2)
    assert chosen.files == ("a.yml", "b.yml")
    assert [one.reason.partition(": ")[0] for one in chosen.left_out] == ["ci/a.yml", "c.star"]
    assert chosen.left_out[1].reason == "c.star: only the first 2 recipes of a revision are read"


def test_very_many_that_are_left_out_are_counted():
    """What is stored of them stays small."""
    left_out = choose_files([f"{one:04d}.yml" for one in range(5_000)], most=1).left_out
    assert len(left_out) == 101
    assert left_out[-1].reason == "and 4899 more recipes are not read"
