"""What stands for the content of a revision, and what differs between two."""

import pytest

FILES = {
    "README": "hello\n",
    "core/a.c": "1\n",
    "core/deep/b.c": "2\n",
    "web/index.html": "<p>\n",
}


@pytest.fixture
def first(repository):
    revision = repository.commit(FILES, "First")
    repository.push()
    return revision


@pytest.fixture
def mirror(repository, mirrors, first):
    made = mirrors.open(str(repository.bare), local=True)
    made.pin("refs/heads/main")
    return made


def later(repository, mirror, files):
    """One more commit, brought into the mirror."""
    revision = repository.commit(files, "Later")
    repository.push()
    return mirror.pin("refs/heads/main", revision)


def test_the_whole_tree(repository, mirror, first):
    """Equal content is equal whatever the history; other content is not."""
    changed = later(repository, mirror, {"README": "bye\n"})
    back = later(repository, mirror, {"README": "hello\n"})
    assert mirror.content_ids(first) == mirror.content_ids(back) != mirror.content_ids(changed)


@pytest.mark.parametrize(
    ("globs", "paths"),
    [
        (["core"], ["core"]),
        (["core/"], ["core"]),
        (["core/*"], ["core/a.c", "core/deep"]),
        (["core/**"], ["core/"]),
        (["**/b.c"], ["core/deep/b.c"]),
        (["**/*.html", "READ*"], ["README", "web/index.html"]),
        (["none", "core/none/*"], []),
        (["**"], ["/"]),
    ],
)
def test_only_what_globs_name(mirror, first, globs, paths):
    """A file by its blob, a directory by its tree."""
    found = mirror.content_ids(first, globs)
    assert [one.rpartition(" ")[0] for one in found] == paths


def test_a_change_elsewhere_changes_nothing(repository, mirror, first):
    changed = later(repository, mirror, {"web/index.html": "<b>\n"})
    assert mirror.content_ids(first, ["core"]) == mirror.content_ids(changed, ["core"])
    assert mirror.content_ids(first, ["web"]) != mirror.content_ids(changed, ["web"])


@pytest.mark.timeout(30)
def test_globs_of_stars_end(repository, mirror):
    """However many ways lead to a directory, it is looked at once for each part of the glob;
    without that rule this takes hours.
    """
    deep = "/".join("a" for _ in range(40))
    revision = later(repository, mirror, {f"{deep}/file": "x\n"})
    assert mirror.content_ids(revision, ["/".join(["**/a"] * 15 + ["file"])])


def test_changed_paths(repository, mirror, first):
    """Added, changed, removed and renamed files, each under every name it has or had."""
    (repository.tree / "core/a.c").rename(repository.tree / "core/z.c")
    (repository.tree / "web/index.html").unlink()
    changed = later(repository, mirror, {"README": "bye\n", "new": "1\n"})
    assert mirror.changed_paths(first, changed) == (
        "README",
        "core/a.c",
        "core/z.c",
        "new",
        "web/index.html",
    )
    assert mirror.changed_paths(first, first) == ()


@pytest.mark.parametrize("old", ["0" * 40, "f" * 40, "", "main"])
def test_nothing_to_compare_with(mirror, first, old):
    assert mirror.changed_paths(old, first) is None
