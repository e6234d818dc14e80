"""To whom a mail goes, as recipes and settings write it."""

import pytest

from ciserver.model.mail import entries_of, reader_of


@pytest.mark.parametrize(
    ("option", "entries"),
    [
        (None, []),
        ("", []),
        ("ada@a.example, Bob <bob@a.example>", ["ada@a.example", "Bob <bob@a.example>"]),
        (["a@a.example", "b@a.example,c@a.example"], ["a@a.example", "b@a.example", "c@a.example"]),
        ('"Lovelace, Ada" <ada@a.example>', ['"Lovelace, Ada" <ada@a.example>']),
        (7, ["7"]),
    ],
)
def test_entries(option, entries):
    """Lists, and texts with commas, outside of quotes."""
    assert entries_of(option) == entries


def test_one_reader():
    """However the address is written."""
    assert reader_of("Ada <Ada@A.example>") == reader_of(" ada@a.example ") == "ada@a.example"
