"""Inputs as one text, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciserver.model.input_text import follows_same, input_text, read_input
from ciserver.model.project import DEFAULT_WATCH, Input, InputType

URI, MAIN, HASH = "https://example.org/x.git", "refs/heads/main", "a" * 40


@pytest.mark.parametrize(
    ("text", "ref", "watch"),
    [
        (URI, "HEAD", DEFAULT_WATCH),
        (f" {URI}  main ", MAIN, (MAIN,)),
        (f"{URI} main deep", MAIN, (MAIN,)),
        (f"{URI} refs/tags/v1", "refs/tags/v1", ("refs/tags/v1",)),
        (f"{URI} {HASH}", HASH, ()),
        (f"{URI} HEAD", "HEAD", DEFAULT_WATCH),
    ],
)
def test_repositories(text, ref, watch):
    """What is followed, and which pushes tell of it."""
    one = read_input("src", InputType.GIT, text)
    assert one == Input("src", URI, ref, watch)
    assert read_input("src", InputType.GIT, input_text(one)) == one


@pytest.mark.parametrize(
    ("text", "uri", "seconds"),
    [("/srv/x", "/srv/x", 30), ("/srv/x 7", "/srv/x", 7), ("/srv/a b 30", "/srv/a b", 30)],
)
def test_paths(text, uri, seconds):
    """With the seconds at their end, if they are not the usual ones."""
    one = read_input("p", InputType.PATH, text)
    assert (one.uri, one.refresh_seconds) == (uri, seconds)
    assert input_text(one) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [("git", ""), ("git", "a b c"), ("git", "a b deep c"), ("boolean", "yes"), ("boolean", "")],
)
def test_what_stands_for_nothing(kind, text):
    """It is said why."""
    with pytest.raises(ValueError, match=r"must be URI|true or false"):
        read_input("x", InputType(kind), text)


@given(st.text())
def test_other_values_are_as_they_are(text):
    """Every letter of them."""
    for kind in (InputType.STRING, InputType.NIX, InputType.BUILD, InputType.EVAL):
        assert input_text(read_input("x", kind, text)) == text


def test_whether_two_follow_the_same():
    """Whatever they are called, and by whichever pushes they are told."""
    one = read_input("a", InputType.GIT, f"{URI} main")
    assert follows_same(one, Input("b", URI, MAIN, ("refs/*",)))
    assert not follows_same(one, Input("a", URI, "refs/heads/next", one.watch))
    assert not follows_same(one, Input("a", URI, MAIN, type=InputType.PATH))
