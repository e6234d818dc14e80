"""The commits that lie between two revisions."""

import pytest
from support.repositories import Repository, git

from ciserver.git.address import Addresses
from ciserver.git.between import commits_between
from ciserver.git.mirrors import Mirrors
from ciserver.model.errors import NotFound


class History:
    """A repository of which every commit is a minute younger than the one before."""

    def __init__(self, repository, mirrors):
        self.repository, self.minutes = repository, 0
        self._mirrors = mirrors

    def commit(self, message, *, minutes=1):
        self.minutes += minutes
        at = f"{1_700_000_000 + self.minutes * 60} +0000"
        times = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        git(self.repository.tree, "commit", "-q", "--allow-empty", "-m", message, **times)
        return self.head()

    def merge(self, other):
        self.minutes += 1
        at = f"{1_700_000_000 + self.minutes * 60} +0000"
        times = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        git(self.repository.tree, "merge", "-q", "--no-ff", "-m", "Merge", other, **times)
        return self.head()

    def switch(self, branch, start):
        git(self.repository.tree, "checkout", "-q", "-B", branch, start)

    def head(self):
        return git(self.repository.tree, "rev-parse", "HEAD")

    def between(self, old, new, *, most=10, **rest):
        """Subjects, and whether there are more."""
        git(self.repository.tree, "branch", "-f", "old", old)
        git(self.repository.tree, "push", "-q", "-f", "origin", "--all")
        mirror = self._mirrors.open(str(self.repository.bare), local=True)
        for one in (old, new):
            mirror.pin("HEAD", one)
        found = commits_between(mirror, old, new, most=most, **rest)
        return [one.subject for one in found.commits], found.more


@pytest.fixture
def history(tmp_path, repository):
    return History(repository, Mirrors(tmp_path / "mirrors", Addresses()))


def test_what_was_pushed_since_newest_first(history):
    first, *_, last = [history.commit(name) for name in ("one", "two", "three", "four")]
    assert history.between(first, last) == (["four", "three", "two"], False)
    assert history.between(last, last) == ([], False)
    assert history.between(last, first) == ([], False)


def test_only_so_many_are_told(history):
    first = history.commit("first")
    for number in range(5):
        last = history.commit(f"commit {number}")
    assert history.between(first, last, most=2) == (["commit 4", "commit 3"], True)
    assert history.between(first, last, most=5)[1] is False


def test_a_merge_brings_what_it_brings(history):
    """Commits of a branch that was merged, also older ones than the last look."""
    base = history.commit("base")
    aside = [history.commit("aside"), history.commit("aside too")][1]
    history.switch("main", base)
    old = history.commit("on main")
    new = history.merge(aside)
    assert history.between(old, new) == (["Merge", "aside too", "aside"], False)
    assert history.between(aside, new) == (["Merge", "on main"], False)


def test_histories_that_parted(history):
    """Only what the new one has and the old one has not."""
    base = history.commit("base")
    old = history.commit("given up")
    history.switch("main", base)
    new = history.commit("instead")
    assert history.between(old, new) == (["instead"], False)


def test_histories_without_a_common_commit(history):
    """All of the new one."""
    old = history.commit("old")
    git(history.repository.tree, "checkout", "-q", "--orphan", "other")
    history.commit("first of others")
    assert history.between(old, history.commit("new")) == (["new", "first of others"], False)


def test_a_commit_with_a_wrong_clock_is_not_counted_twice(history):
    """A parent that says that it is younger than its children is known to be old in the end."""
    base = history.commit("from the future", minutes=1000)
    old = history.commit("old", minutes=-999)
    history.switch("main", base)
    new = history.commit("new", minutes=2)
    assert history.between(old, new) == (["new"], False)


def test_a_walk_has_an_end(history):
    """What lies too far apart is told as far as it was walked, with more to come."""
    first = history.commit("first")
    for number in range(6):
        last = history.commit(f"commit {number}")
    assert history.between(first, last, reach=3) == (["commit 5", "commit 4", "commit 3"], True)


def test_a_revision_that_is_not_here(history, repository, tmp_path):
    """Nothing is fetched for it."""
    known = history.commit("known")
    history.between(known, known)
    other = Repository(tmp_path / "other")
    mirror = history._mirrors.open(str(repository.bare), local=True)
    with pytest.raises(NotFound):
        commits_between(mirror, other.commit({"a": "1"}), known, most=10)
