"""Refs are judged as git judges them."""

import subprocess

import pytest

from ciserver.intake.changes import is_full_ref

REFS = [
    "refs/heads/main",
    "refs/heads/a/b/c",
    "refs/heads/größe",
    "refs/heads/🚀",
    "refs/heads/a-b_c+d=e,f@g#h!i$j%k&l(m)n;o",
    "refs/notes/commits",
    "refs/heads/@",
    "refs/heads/a..b",
    "refs/heads/a.",
    "refs/heads/a./b",
    "refs/heads/.a",
    "refs/heads/a.lock",
    "refs/heads/a.lock/b",
    "refs/heads/a@{b",
    "refs/heads/a b",
    "refs/heads/a\tb",
    "refs/heads/a\x7fb",
    "refs/heads/a~b",
    "refs/heads/a^b",
    "refs/heads/a:b",
    "refs/heads/a?b",
    "refs/heads/a*b",
    "refs/heads/a[b",
    "refs/heads/a\\b",
    "refs/heads//a",
    "refs/heads/a/",
]


@pytest.mark.parametrize("ref", REFS)
def test_git_agrees(ref):
    """Each name is accepted here exactly when git itself would accept it."""
    verdict = subprocess.run(["git", "check-ref-format", ref], check=False)
    assert is_full_ref(ref) == (verdict.returncode == 0)


@pytest.mark.parametrize(
    "ref", ["heads/main", "refs/heads/-x", "refs/--exec=x/y", "refs/heads/\u2067x", "refs/h/\x9b"]
)
def test_stricter_than_git(ref):
    """Short names, names that look like options and names that turn a page around are refused."""
    assert not is_full_ref(ref)
