"""The default branch and the history of a mirror."""

import pytest
from support.repositories import Repository, git

from ciserver.git.address import Addresses
from ciserver.git.mirrors import Mirrors


@pytest.fixture
def mirror(tmp_path, repository):
    repository.commit({"a": "1"}, "First\n\nwith a body")
    repository.commit({"a": "2"}, "Second")
    repository.push()
    return Mirrors(tmp_path / "mirrors", Addresses()).open(str(repository.bare), local=True)


def test_the_default_branch_is_the_one_of_the_remote(mirror, repository):
    """It is known after a fetch, and follows the remote when that changes."""
    mirror.pin("HEAD")
    assert mirror.default_branch() == "refs/heads/main"
    git(repository.tree, "push", "-q", "origin", "main:refs/heads/trunk")
    git(repository.bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
    mirror.pin("HEAD")
    assert mirror.default_branch() == "refs/heads/trunk"


def test_history_goes_from_the_newest_commit_to_the_first(mirror):
    """By first parent, with the whole message of each."""
    commits = list(mirror.history(mirror.pin("HEAD")))
    assert [one.subject for one in commits] == ["Second", "First"]
    assert "with a body" in commits[1].message


def test_history_of_a_merge_stays_on_the_branch(mirror, repository, tmp_path):
    """What a merge brought in is not a change of the branch by itself."""
    side = Repository(tmp_path / "side")
    git(side.tree, "pull", "-q", str(repository.bare), "main")
    side.commit({"b": "1"}, "Aside")
    git(repository.tree, "pull", "-q", "--no-ff", "--no-edit", str(side.tree), "main")
    repository.push()
    subjects = [one.subject for one in mirror.history(mirror.pin("HEAD"))]
    assert "Aside" not in subjects
    assert subjects[1:] == ["Second", "First"]


def test_what_a_killed_server_lent_to_git_is_removed_at_the_next_start(tmp_path):
    """Keys lie in one private directory of the mirrors, which a start empties."""
    mirrors = Mirrors(tmp_path / "mirrors", Addresses())
    left = tmp_path / "mirrors" / "access" / "git-access-1"
    left.mkdir()
    (left / "key").write_text("secret")
    assert left.parent.stat().st_mode & 0o777 == 0o700
    mirrors.forget_access()
    assert list(left.parent.iterdir()) == []
