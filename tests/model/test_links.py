"""Addresses of our own pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciserver.model.links import Links

LINKS = Links("https://ci.example.org")
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(name=names)
def test_a_name_stays_one_part_of_the_path(name):
    """No name can leave its place: neither a slash nor a question mark comes through."""
    for link in (LINKS.project(name), LINKS.hook("generic", name), LINKS.product(1, 2, name)):
        last = link.rpartition("/")[2]
        assert last
        assert not set(last) & set("/?#&\r\n \"'<>")


@pytest.mark.parametrize(
    ("link", "path"),
    [
        (LINKS.home(), "/"),
        (LINKS.project("a/b"), "/project/a%2Fb"),
        (LINKS.evaluation(3), "/eval/3"),
        (LINKS.build(4), "/build/4"),
        (LINKS.job("p", "a/b", "c d"), "/job/p/a%2Fb/c%20d"),
        (LINKS.log(4, 2, "unit tests"), "/build/4/log/unit%20tests?attempt=2"),
        (LINKS.text_log("build-4"), "/log/build-4"),
        (LINKS.sign_in("token"), "/welcome/token"),
        (LINKS.hook("github", "p"), "/hooks/github/p"),
        (LINKS.product(4, 5, "a.tar.gz"), "/build/4/product/5/a.tar.gz"),
    ],
)
def test_addresses(link, path):
    """Pages stay where mails of the past say they are."""
    assert link == f"https://ci.example.org{path}"
