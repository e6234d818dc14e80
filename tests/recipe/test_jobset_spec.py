"""Files that declare jobsets: read whole, or refused with every fault."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciserver.model.errors import Invalid
from ciserver.model.project import InputType, JobsetMode, JobsetSettings
from ciserver.recipe.jobset_spec import MOST_JOBSETS, read_declaration, read_jobsets

LIB = {"type": "git", "value": "https://example.org/lib.git"}


def read(spec):
    return read_declaration(json.dumps(spec).encode())


def one(spec):
    (found,) = read({"a": spec}).jobsets
    return found


def test_an_object_of_objects_is_a_list():
    """An empty one too: it declares nothing."""
    assert [jobset.name for jobset in read({"a": {}, "b": {}}).jobsets] == ["a", "b"]
    assert read({}).jobsets == ()
    assert read({}).itself is None


def test_any_other_object_is_a_setup():
    """Of the jobset whose build makes the list."""
    found = read({"enabled": 1, "inputs": {"src": LIB}})
    assert (found.jobsets, found.itself.name) == ((), ".jobsets")
    assert [each.name for each in found.itself.inputs] == ["src"]


def test_what_is_not_said():
    """The defaults are Hydra's."""
    assert one({}).settings == JobsetSettings(recipe_input="", check_interval_seconds=300)
    assert one({}).complaints == ()


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        (0, JobsetMode.OFF),
        (1, JobsetMode.ON),
        (True, JobsetMode.ON),
        ("2", JobsetMode.ONE_SHOT),
        (3, JobsetMode.ONE_AT_A_TIME),
        (None, JobsetMode.ON),
    ],
)
def test_modes(given, mode):
    """As numbers, as texts, or as true and false."""
    assert one({"enabled": given}).settings.mode is mode


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"enabled": 4}, {"enabled"}),
        ({"enabled": 1.5, "keepnr": [], "hidden": "yes"}, {"enabled", "keepnr", "hidden"}),
        ({"description": 3, "nixexprpath": {}}, {"description", "nixexprpath"}),
        ({"description": "a\0"}, {"description"}),
        ({"type": 1}, {"type"}),
        ({"flake": "github:a/b"}, {"type"}),
        ({"enable_dynamic_run_command": True}, {"enable_dynamic_run_command"}),
        ({"colour": 1, "": 2}, {"colour", ""}),
        ({"inputs": []}, {"inputs"}),
        ({"inputs": {"a": 1}}, {"inputs.a"}),
        ({"inputs": {"a": {}}}, {"inputs.a.type"}),
        ({"inputs": {"a": {"type": "git"}}}, {"inputs.a.value"}),
        ({"inputs": {"a": {**LIB, "x": 1}}}, {"inputs.a.x"}),
    ],
)
def test_faults(spec, fields):
    """All of a jobset at once, with the keys as they are written."""
    assert {each.field for each in one(spec).complaints} == {f"a.{field}" for field in fields}


def test_booleans_may_be_written_as_such():
    """As JSON has them, or as text."""
    for value in (True, "true"):
        (found,) = one({"inputs": {"f": {"type": "boolean", "value": value}}}).inputs
        assert (found.type, found.value) == (InputType.BOOLEAN, "true")


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b'"a"', b"{", b'{"a": 1, "a": 1}', b'{"a": NaN}', b"\xff", b"[" * 10**6],
)
def test_what_cannot_be_read(text):
    """It is no declaration."""
    for reader in (read_declaration, read_jobsets):
        with pytest.raises(Invalid, match="declaration of the jobsets"):
            reader(text)


def test_so_many_jobsets_at_most():
    """One more is refused as a whole."""
    assert len(read({f"j{n}": {} for n in range(MOST_JOBSETS)}).jobsets) == MOST_JOBSETS
    with pytest.raises(Invalid, match="at most 1000"):
        read({f"j{n}": {} for n in range(MOST_JOBSETS + 1)})


def test_what_a_build_lists_is_all_jobsets():
    """Also where one of them is none."""
    good, bad = read_jobsets(b'{"a": {}, "b": 3}').jobsets
    assert (good.complaints, [each.field for each in bad.complaints]) == ((), ["b"])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["enabled", "inputs", "type", "flake", "a"]), JSON))
def test_no_value_breaks_it(spec):
    """Whatever stands there: it is read, or there are complaints."""
    found = one(spec)
    assert isinstance(found.settings, JobsetSettings)
    json.dumps([[each.field, each.message] for each in found.complaints]).encode("utf-8")
