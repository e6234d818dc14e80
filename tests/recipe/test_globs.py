"""Globs of paths are matched name by name, and soon."""

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.recipe.globs import Changes, PathGlobs

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("README.md", "README.md"),
        ("src", "src/deep/a.c"),
        ("src/", "src/a.c"),
        ("src/*", "src/deep/a.c"),
        ("src/**", "src/deep/a.c"),
        ("*.md", "README.md"),
        ("**/*.md", "README.md"),
        ("**/*.md", "docs/deep/a.md"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b/c"),
        ("**/**/a", "x/a"),
        ("**", "any/thing"),
        ("a?c*e", "abcde"),
        ("*a*a*", "xaxax"),
        ("[a-c]x", "bx"),
        ("[!a-c]x", "dx"),
        ("[]!]", "]"),
        ("[x", "[x"),
        ("src//a", "src/a"),
    ],
)
def test_a_glob_names_a_file_or_a_directory_above_it(glob, path):
    """A star stays within a name; two stars stand for any number of directories."""
    assert PathGlobs([glob]).match(path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("src", "srcs/a.c"),
        ("src", "lib/src"),
        ("*.md", "docs/a.md"),
        ("src/**", "src"),
        ("a/**/b", "a/x/bb"),
        ("a?c", "a/c"),
        ("[!a]b", "/b"),
        ("[c-a]", "b"),
        ("a*b*c", "abcb"),
        ("A", "a"),
    ],
)
def test_a_glob_names_nothing_else(glob, path):
    """Case matters, and a part of a name is not the name."""
    assert not PathGlobs([glob]).match(path)


def test_no_globs_name_nothing():
    """Each of several may match; of none there is none that could."""
    assert PathGlobs(["a", "b"]).match("b")
    assert not PathGlobs([]).match("a")


def fits(glob, path):
    """The same rules, tried in every way there is: right, and slow."""
    if not glob:
        return True
    if glob == ["**"]:
        return bool(path)
    if glob[0] == "**":
        return fits(glob[1:], path) or (len(path) > 0 and fits(glob, path[1:]))
    return len(path) > 0 and fnmatchcase(path[0], glob[0]) and fits(glob[1:], path[1:])


names = st.text("ab", min_size=1, max_size=4)
patterns = st.just("**") | st.text("ab*?", min_size=1, max_size=5).filter(
    lambda name: name == "*" or name.strip("*")
)


@patient
@given(st.lists(patterns, min_size=1, max_size=5), st.lists(names, min_size=1, max_size=5))
def test_a_quick_match_is_a_right_one(glob, path):
    """What was never tried again could not have helped."""
    assert PathGlobs(["/".join(glob)]).match("/".join(path)) == fits(glob, path)


@patient
@given(st.text("[]!^-&|~\\a/*?.", max_size=30), st.text(max_size=20))
def test_any_text_may_stand_where_a_glob_is_due(glob, path):
    """Nothing in it is taken for more than it is."""
    PathGlobs([glob]).match(path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a" * 120 + "b", "a" * 4000),
        ("?*" * 120 + "b", "a" * 4000),
        ("**/a/" * 49 + "b", "a/" * 2000 + "a"),
        ("**/" + "a/" * 120 + "b", "a/" * 2000),
        ("**/" + "*a" * 100 + "b", "/".join(["a" * 250] * 16)),
    ],
)
def test_globs_of_many_stars_are_matched_soon(glob, path):
    """Trying every way would take longer than there is time."""
    began = time.process_time()
    assert not PathGlobs([glob] * 10).match(path)
    assert time.process_time() - began < 10


def test_a_list_of_globs_is_compared_with_changes_once():
    """Ten thousand jobs of one matrix ask the same of ten thousand files."""
    changes = Changes(f"src/{number}" for number in range(10_000))
    began = time.process_time()
    assert not any(changes.touch(("docs", "**/*.md")) for _ in range(10_000))
    assert changes.touch(("src/99*",))
    assert time.process_time() - began < 10
