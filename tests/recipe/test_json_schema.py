"""Editors are told in JSON Schema what a recipe may hold."""

import re
import textwrap
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.recipe.json_schema import manifest_schema
from ciserver.recipe.manifest import read_manifest
from ciserver.recipe.meanings import MEANINGS
from ciserver.recipe.schema import MODELS, known_keys
from ciserver.recipe.yaml_text import load

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

ROOT = Path(__file__).parents[2]
SCHEMA = manifest_schema()
EDITOR = jsonschema.Draft202012Validator(SCHEMA)


def accepted(text):
    return not read_manifest(".build.yml", text, default_system="x86_64-linux").complaints


def documents():
    """Every recipe that a reader of the documents may copy."""
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^    image: .*\n(?:(?:    .*)?\n)+", text, re.MULTILINE)
        yield from ((f"{path.name}-{n}", textwrap.dedent(one)) for n, one in enumerate(blocks))


def files():
    """The recipes of this project, of the demo, and of the tests of the whole program."""
    for path in [ROOT / ".build.yml", *sorted(ROOT.glob("demo/project/*.yml"))]:
        yield path.name, path.read_text(encoding="utf-8").replace("WEBHOOK_URL", "http://x/")
    for path in sorted(ROOT.glob("tests/e2e/scenarios/*.toml")):
        scenario = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, written in scenario.get("files", {}).items():
            text = written.replace("@RECEIVER@", "http://x/")
            if name.endswith((".yml", ".yaml")) and accepted(text):
                yield f"{path.stem}-{name}", text


EXAMPLES = {**dict(documents()), **dict(files())}


def test_the_schema_is_one():
    """It keeps the rules of its own dialect."""
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    EDITOR.check_schema(SCHEMA)


def test_there_are_examples_of_every_sort():
    """The collection below is not empty by mistake."""
    names = " ".join(EXAMPLES)
    for sort in ("README.md-0", "recipes.md-1", "schedules.md-0", ".build.yml", "01_success"):
        assert sort in names


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_every_example_fits_the_schema(text):
    """An editor marks nothing in a recipe that is accepted."""
    assert accepted(text)
    EDITOR.validate(load(text))


def test_every_key_has_a_title_and_a_sentence():
    """The table of meanings has the keys of the models, no more and no less."""
    keys = {
        ".".join((*(one.strip("<>") for one in parents), key))
        for parents in MODELS
        for key in known_keys(parents)
    }
    assert keys == MEANINGS.keys()
    assert all(title and sentence.endswith(".") for title, sentence in MEANINGS.values())
    assert SCHEMA["properties"]["matrix"]["title"] == "Matrix"
    policy = SCHEMA["$defs"]["ConcurrencyKeys"]["properties"]["policy"]
    assert policy["description"] == MEANINGS["concurrency.policy"][1]


def test_words_of_fixed_lists_can_be_completed():
    """An editor knows the kinds, policies, conditions and actions."""
    kinds = SCHEMA["$defs"]["Kind"]["enum"]
    assert {"push", "nightly", "pull_request"} <= {*kinds}
    assert SCHEMA["$defs"]["Policy"]["enum"] == ["queue", "latest", "cancel"]
    mail = SCHEMA["$defs"]["EmailTrigger"]["properties"]
    assert mail["condition"]["enum"] == ["success", "failure", "always", "change"]
    assert mail["action"]["const"] == "email"


def test_keys_with_nothing_behind_them_are_not_marked():
    """They ask for nothing; what is required must be there."""
    text = "image: a\ntasks: [b: c]\npackages:\nenvironment:\nwhen:\nmatrix:\n"
    assert accepted(text)
    EDITOR.validate(load(text))
    assert not EDITOR.is_valid(load("image:\ntasks: [b: c]\n"))


good = {
    "systems": st.lists(st.sampled_from(["x86_64-linux", "arm64-linux"]), max_size=2),
    "matrix": st.dictionaries(
        st.sampled_from(["a", "B", "exclude"]), st.lists(st.sampled_from(["1", 2, True, 3.5]))
    ),
    "needs": st.lists(st.sampled_from(["a", "b.1", "b c"]), max_size=2),
    "retries": st.integers(-1, 11),
    "concurrency": st.fixed_dictionaries(
        {"group": st.sampled_from(["a", "b c", ""])}, optional={"policy": st.just("latest")}
    ),
    "resources": st.dictionaries(
        st.sampled_from(["memory", "pids", "disk"]), st.sampled_from([None, 0, 9, "4G", "4g"])
    ),
    "cache": st.lists(
        st.fixed_dictionaries({"key": st.just("a"), "paths": st.just(["x"])}), max_size=2
    ),
    "reports": st.dictionaries(st.sampled_from(["junit", "tap", "junot"]), st.just(["*.xml"])),
    "paths": st.lists(st.sampled_from(["a", "**", "", "/a"]), max_size=2),
    "timeout": st.sampled_from([0, 1, 1.5, "x", True]),
    "environment": st.dictionaries(
        st.sampled_from(["A", "1"]), st.sampled_from([None, 1, "x", ["x"], [1], {}])
    ),
    "triggers": st.lists(
        st.sampled_from([{"action": "email", "to": "a@b"}, {"action": "webhook"}, {}])
    ),
    "always": st.booleans() | st.none(),
}


@patient
@given(st.fixed_dictionaries({}, optional=good))
def test_what_is_accepted_is_never_marked(keys):
    """The schema may know less than the reader, but nothing else."""
    recipe = {"image": "host", "tasks": [{"test": "make"}]} | keys
    if accepted(yaml.safe_dump(recipe)):
        assert [error.message for error in EDITOR.iter_errors(recipe)] == []
