"""The log and the changes between two revisions, as text."""

import itertools
import re

import pytest
from support.repositories import git

from ciserver.git.address import Addresses
from ciserver.git.diff import DiffLimits, log_and_diff
from ciserver.git.mirrors import Mirrors
from ciserver.model.errors import Invalid, NotFound


@pytest.fixture
def mirror(tmp_path, repository):
    def mirror():
        repository.push()
        made = Mirrors(tmp_path / "mirrors", Addresses()).open(str(repository.bare), local=True)
        made.pin("HEAD")
        return made

    return mirror


def told(mirror, old, new, may_go_on=lambda: True, **limits):
    return log_and_diff(mirror, old, new, may_go_on=may_go_on, limits=DiffLimits(**limits))


def test_it_is_what_git_prints(mirror, repository):
    """Letter by letter: commits, newest first, and the changes of the files."""
    old = repository.commit({"a": "1\n2\n3\n", "gone": "x\n", "same": "s\n"}, "First")
    repository.commit({"a": "1\ntwo\n3\n"}, "Second\n\nwith a body\n\nand more")
    (repository.tree / "gone").unlink()
    new = repository.commit({"new/file": "no end of line", "b\u00e9": "\u00fc\n"}, "Third")
    expected = git(repository.tree, "log", "--no-decorate", f"{old}..{new}")
    changes = git(repository.tree, "-c", "core.abbrev=7", "diff", "--no-renames", old, new)
    found = told(mirror(), old, new)
    log, _, rest = found.partition("diff --git")
    assert log.strip() == expected.strip()
    assert "diff --git" + rest.rstrip("\n") == changes.rstrip("\n")


def test_nothing_between(mirror, repository):
    one = repository.commit({"a": "1"}, "First")
    assert told(mirror(), one, one) == ""


def test_backwards(mirror, repository):
    """No commits came, and the changes are the other way round."""
    old = repository.commit({"a": "1\n"}, "First")
    new = repository.commit({"a": "2\n"}, "Second")
    found = told(mirror(), new, old)
    assert "commit " not in found
    assert "-2\n+1" in found


def test_what_is_large_is_not_looked_into(mirror, repository):
    """A large file is named; further files, commits and bytes are left out, and the text says
    so.
    """
    old = repository.commit({"a": "1\n"}, "First")
    for number in range(4):
        new = repository.commit({f"file-{number}": f"{number}\n" * 10}, f"Commit {number}")
    big = repository.commit({"big": "x" * (1 << 20) + "y"}, "A big one")
    one = mirror()
    assert "diff --git a/big b/big\nLarge files differ\n" in told(one, new, big)
    found = told(one, old, new, files=3)
    assert found.count("diff --git") == 3
    assert "[changes of further files are left out]" in found
    found = told(one, old, new, commits=2)
    assert re.findall(r"^    (.*)$", found, re.MULTILINE) == ["Commit 3", "Commit 2"]
    assert "[older commits are left out]" in found
    found = told(one, old, new, characters=300)
    assert found.endswith("[the rest is left out: it is too long]\n")
    assert len(found) < 400


def test_what_takes_too_long_ends(mirror, repository):
    """After what was there when the time was over."""
    old = repository.commit({"a": "1\n"}, "First")
    new = repository.commit({"a": "2\n"}, "Second")
    calls = itertools.count()
    found = told(mirror(), old, new, lambda: next(calls) < 1)
    assert "Second" in found
    assert "diff --git" not in found
    assert found.endswith("[the rest is left out: it takes too long]\n")


def test_hostile_commits(mirror, repository):
    """Bytes that are no text, and a time that no calendar has."""
    old = repository.commit({"a": "1\n"}, "First")
    (repository.tree / "a").write_bytes(b"\xff\xfe\n")
    new = repository.commit({}, "Second")
    assert "\ufffd\ufffd" in told(mirror(), old, new)


def test_what_is_not_there(mirror, repository):
    one = repository.commit({"a": "1\n"}, "First")
    made = mirror()
    for pair in ((one, "0" * 40), ("0" * 40, one)):
        with pytest.raises(NotFound):
            told(made, *pair)
    for odd in ("HEAD", one[:39], "--output=x", ""):
        with pytest.raises(Invalid):
            told(made, one, odd)
