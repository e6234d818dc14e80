"""Strict JSON, beyond what every door's tests show."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciserver.intake.payload import parse_json
from ciserver.model.errors import Invalid


def nested(levels):
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def test_a_hundred_levels_are_allowed():
    """The limit itself is allowed, one more is not."""
    assert parse_json(nested(100))
    with pytest.raises(Invalid) as caught:
        parse_json(nested(101))
    assert "100 levels" in str(caught.value.complaints[0])


def test_brackets_in_texts_are_not_levels():
    """A commit message may hold any brackets and quotes."""
    values = {"message": '[{"\\' * 500}
    assert parse_json(json.dumps(values).encode()) == values


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_what_json_writes_is_read_back(values):
    """Every object that can be written is understood."""
    assert parse_json(json.dumps(values).encode()) == values


@given(st.text(alphabet='{}[]",:\\a1 '))
def test_almost_json_is_read_or_invalid(text):
    """Text made of JSON's own marks is an object or a fault, never a crash."""
    with suppress(Invalid):
        assert isinstance(parse_json(text.encode()), dict)
