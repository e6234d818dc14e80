"""What somebody asked for, by tags and a search: what is found, in which order, and how far."""

import pytest
from support.factories import ALL

from ciserver.model.account import Sight, Visibility
from ciserver.model.build import Label
from ciserver.model.label_search import EVERYTHING, LabelSearch, Term
from ciserver.model.status import BuildStatus


@pytest.fixture
def add(make, store):
    """A new build that ada asked for, with a note and tags."""
    jobset = make.project("garden")

    def build(note="", *tags, visibility=Visibility.PUBLIC, by="ada", **job):
        made = make.submitted(jobset, visibility, by=by, **job).id
        if note or tags:
            with store.transaction():
                store.labels.add([made], by, Label(note, tags))
        return made

    return build


@pytest.fixture
def find(store):
    """The ids of what is found, and where the next page begins."""

    def ask(wanted=EVERYTHING, path="", *, sight=ALL, owner="ada", limit=10, **rest):
        page = store.label_lists.list_builds(sight, owner, path, wanted, limit=limit, **rest)
        return [one.id for one in page.builds], page.next

    return ask


def note(*texts, negated=False):
    return LabelSearch(note=tuple(Term(one, negated) for one in texts))


def tags(text, negated=False):
    return LabelSearch(tags=(Term(text, negated),))


def test_newest_first_page_by_page(add, find):
    """Each page begins where the one before it ended."""
    made = [add() for _ in range(5)]
    first, then = find(limit=2)
    second, then = find(limit=2, before=then)
    third, end = find(limit=2, before=then)
    assert first + second + third == made[::-1]
    assert end is None


def test_only_what_they_asked_for(add, find):
    """Nothing of others, by whatever tags."""
    mine = add("", "hello")
    add("", "hello", by="eve")
    assert find()[0] == find(path="hello")[0] == [mine]
    assert find(owner="nobody") == ([], None)


def test_beneath_a_path(add, find):
    """What has these tags first, and perhaps others; whole tags, in letters of either case."""
    both, one = add("", "Hello", "commits", "feature/x"), add("", "hello", "patches")
    add("", "commits", "hello")
    add("", "hellos")
    assert find(path="hello")[0] == [one, both]
    assert find(path="hello/commits")[0] == [both]
    assert find(path="hello/commits/feature/x")[0] == [both]
    assert find(path="hello/none") == ([], None)


def test_pages_beneath_a_path(add, find):
    """They have cursors of their own."""
    made = [add("", "a", "b") for _ in range(3)]
    add("", "c")
    first, then = find(path="a/b", limit=2)
    assert (first, find(path="a/b", limit=2, before=then)) == (made[:0:-1], ([made[0]], None))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (note("fix"), "fix both"),
        (note("FIX", "docs"), "both"),
        (note("fix", negated=True), "odd bare"),
        (note("100%_\\"), "odd"),
        (note("100%%"), ""),
        (note("1_0"), ""),
        (tags("main"), "fix both"),
        (tags("commits/main"), "fix"),
        (tags("/repo/"), "fix"),
        (tags("/rep/"), ""),
        (tags("MAIN"), "fix both"),
        (tags("main", negated=True), "odd bare"),
        (tags("["), ""),
        (tags('"'), ""),
        (tags("]"), ""),
        (tags("%"), ""),
        (LabelSearch(image=(Term("edge"),)), "odd"),
        (LabelSearch(image=(Term("EDGE", negated=True),)), "fix both bare"),
        (LabelSearch(statuses=frozenset({BuildStatus.QUEUED})), "fix both odd bare"),
        (LabelSearch(statuses=frozenset({BuildStatus.FAILED})), ""),
        (LabelSearch(statuses=frozenset()), ""),
        (LabelSearch(note=(Term("fix"),), tags=(Term("repo"),)), "fix"),
    ],
)
def test_a_search(add, find, wanted, expected):
    """Every term must be true; what has no note or tags has none of them."""
    made = {
        "fix": add("Fix it", "repo", "commits", "main"),
        "both": add("Fix the docs", "main"),
        "odd": add("100%_\\ sure", image="alpine/edge"),
        "bare": add(),
    }
    names = {number: name for name, number in made.items()}
    assert {names[one] for one in find(wanted)[0]} == set(expected.split())


def test_what_is_not_listed(add, find):
    """Private and unlisted builds are for those who have something to do with them."""
    public = add("x", "t")
    hidden = [add("x", "t", visibility=one) for one in (Visibility.UNLISTED, Visibility.PRIVATE)]
    for path in ("", "t"):
        assert find(note("x"), path, sight=Sight())[0] == [public]
        assert find(note("x"), path)[0] == [*hidden[::-1], public]


@pytest.mark.parametrize("path", ["", "t"])
def test_it_looks_no_further_than_a_stretch(add, find, path):
    """Then it says where to go on, though it found nothing; at the end it says that too."""
    wanted = add("the one", "t")
    for _ in range(7):
        add("another", "t")
    found, pages, before = [], 0, None
    while not pages or before is not None:
        some, before = find(note("the one"), path, before=before, stretch=3)
        found, pages = found + some, pages + 1
    assert (found, pages) == ([wanted], 3)
