"""YAML from strangers: plain values come out, everything else is refused quickly and clearly."""

import contextlib
import json
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.errors import Invalid
from ciserver.recipe.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_NODES, load

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
)
LONG_LAUGH = f"a: &a '{'x' * 100_000}'\nb: [{', '.join(['*a'] * 5000)}]\n"
QUADRATIC = {
    "open lists": "[",
    "open maps": "{",
    "dashes": "- ",
    "questions": "? ",
    "colons": "a: ",
    "anchors": "&a [",
    "tags": "!a ",
    "quotes": "'",
    "same keys": "a:\n",
    "items": "-\n",
    "documents": "--- \n",
    "words": "a ",
    "breaks": "\n",
    "spaces": " ",
    "merges": "<<: {a: b}\n",
    "escapes": "{" + "\\\\" * 9,
    "backslashes": "\\\\",
}


def refusal_of(text: bytes | str) -> str:
    with pytest.raises(Invalid) as caught:
        load(text)
    assert caught.value.hint
    return "\n".join(str(one) for one in caught.value.complaints)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("a:", {"a": None}),
        ("[~, null, NULL]", [None, None, None]),
        ("[yes, True, on, NO, false, Off]", [True, True, True, False, False, False]),
        ("[0, 12, -3, +4]", [0, 12, -3, 4]),
        ("[1.5, -0.25, .5, 2., 1.0e+3]", [1.5, -0.25, 0.5, 2.0, 1000.0]),
        ("['1', \"yes\", '']", ["1", "yes", ""]),
        ("[!!str 1, !!int '1', ! yes]", ["1", 1, "yes"]),
        ("{1: a, on: b, ~: c}", {"1": "a", "on": "b", "~": "c"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("&k a: 1\nb: {*k : 2}", {"a": 1, "b": {"a": 2}}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_plain_values_are_read(written, value):
    """Maps, lists, strings, numbers, switches and nothing come out as Python's own; bytes and text
    are read alike.
    """
    assert load(written) == value
    assert load(written.encode()) == value


@pytest.mark.parametrize(
    "word",
    [
        "2026-01-31",
        "2026-01-31T10:00:00Z",
        "22:30",
        "0644",
        "0x1f",
        "1e5",
        "1_000",
        ".inf",
        ".nan",
        "9" * 5000,
        "9.0e+999",
        "tRue",
        "=",
    ],
)
def test_what_is_easily_misread_stays_text(word):
    """Dates, times, file modes, revisions and giant numbers are the text that was written."""
    assert load(f"[{word}]") == [word]


@pytest.mark.parametrize(
    "text", ["\U0001f600", "a\U0001f600\U00010000/é", "\\ud83d\\ude00", "\\\U0001f600"]
)
def test_json_is_read_with_all_its_escapes(text):
    """What a JSON writer that keeps to ASCII makes of any character is that character."""
    assert load(json.dumps({"a": text})) == {"a": text}


def test_maps_are_merged():
    """`<<` fills in what the map does not say itself; earlier maps win over later ones."""
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {z: 0, <<: [*a, {x: 9, w: 9}]}"
    value = load(text)
    assert value["b"] == {"x": 1, "y": 3}
    assert value["c"] == {"x": 1, "y": 2, "z": 0, "w": 9}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [1,\n c: }", "line 3, column 5: did not find expected node content"),
        (b"a: b\nc: \xff", "line 2, column 4: not valid UTF-8"),
        ("\xff\xfea".encode("utf-16"), "line 1, column 1: not valid UTF-8"),
        ("a: b\nc: \ud800", "line 2, column 4: not valid Unicode"),
        ("a: ü\nü: \x01", "line 2, column 4: control characters are not allowed"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' is given twice"),
        ("a: !!python/object/apply:os.system [x]", "tag 'tag:yaml.org,2002:python/object/apply"),
        ("a: !mine x", "line 1, column 4: the tag '!mine' is not allowed here"),
        ("a: !!binary eHg=", "tag 'tag:yaml.org,2002:binary' is not allowed"),
        ("a: !!set {x}", "tag 'tag:yaml.org,2002:set' is not allowed"),
        ("{[a]: b}", "a key must be a word, not a list or map"),
        ("a: *b", "line 1, column 4: *b names nothing that ends before it"),
        ("a: &a [*a]", "*a names nothing that ends before it"),
        ("a: 1\n---\nb: 1", "line 2, column 1: a second document begins here"),
        ("<<: 3", "<< takes a map or a list of maps"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "more than 50 levels deep"),
        ("a: &a [[[x]]]\nb: " + "[" * 48 + "*a" + "]" * 48, "more than 50 levels deep"),
        ("[" + "x," * MAX_NODES + "]", "more than 10000 values"),
        ("#" * (MAX_BYTES + 1), "the text is longer than 256 KiB"),
        ("ü" * (MAX_BYTES // 2 + 1), "the text is longer than 256 KiB"),
        (LAUGHS, "more than 10000 values, aliases counted as written out"),
        (LONG_LAUGH, "longer than 256 KiB with its aliases written out"),
    ],
)
def test_anything_else_is_refused_with_its_place(text, expected):
    """A refusal says at which line and column what is wrong."""
    refusal = refusal_of(text)
    assert expected in refusal
    assert refusal.startswith("line ")


def test_what_is_just_within_the_limits_is_read():
    """The limits themselves are allowed."""
    assert load("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert len(load("[" + "x," * (MAX_NODES - 1) + "]")) == MAX_NODES - 1
    assert len(load("x" * MAX_BYTES)) == MAX_BYTES


def test_faults_that_do_not_stop_the_reading_are_reported_together():
    """Two repeated keys, a foreign tag and the syntax fault after them are four complaints."""
    text = "a: 1\na: 2\nb: !x 1\nb: 3\nc: ["
    assert len(refusal_of(text).splitlines()) == 4


@pytest.mark.parametrize("piece", QUADRATIC.values(), ids=QUADRATIC.keys())
def test_no_text_takes_long(piece):
    """A quarter megabyte of any one thing is read or refused in well under a second."""
    text = piece * (MAX_BYTES // len(piece))
    began = time.process_time()
    with contextlib.suppress(Invalid):
        load(text)
    assert time.process_time() - began < 10


HOSTILE = """
import resource, sys
from ciserver.model.errors import Invalid
from ciserver.recipe.yaml_text import load
text = sys.stdin.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load(text)
except Invalid:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("text", [LAUGHS, LONG_LAUGH], ids=["many values", "long values"])
def test_hostile_aliases_take_little_memory(text):
    """Refusing an alias bomb takes less than 64 MB, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE], input=text, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 64 * 1024


@patient
@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(raw):
    """No bytes make anything but a value or a refusal."""
    with contextlib.suppress(Invalid):
        load(raw)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@patient
@given(values.filter(lambda value: "<<" not in repr(value)))
def test_what_is_written_is_read_back(value):
    """Plain values survive being written as YAML by PyYAML."""
    assert load(yaml.safe_dump(value, allow_unicode=True)) == value
