"""Each fault of a recipe is told at its field; what is a matter of shape, editors know as well."""

import json

import jsonschema
import pytest

from ciserver.recipe.json_schema import manifest_schema
from ciserver.recipe.manifest import read_manifest

EDITOR = jsonschema.Draft202012Validator(manifest_schema())
MAIL = {"action": "email", "to": "a@b"}
HOOK = {"action": "webhook", "url": "http://x/"}


def recipe_with(keys):
    """The smallest good recipe with these keys changed; None leaves one out."""
    recipe = {"image": "debian", "tasks": [{"build": "make"}]} | keys
    return {key: value for key, value in recipe.items() if value is not None}


def read_with(**keys):
    text = json.dumps(recipe_with(keys))
    return read_manifest(".build.yml", text, default_system="x86_64-linux")


# What one value can be, and which keys there are.
OF_SHAPE = [
    ({"image": None}, "image", "is required"),
    ({"image": 3}, "image", "must be a string, not a number"),
    ({"image": ""}, "image", "must not be empty"),
    ({"image": "a\nb"}, "image", "must be one line of plain text"),
    ({"arch": "x86_64-linux"}, "arch", "must be the name of a machine"),
    ({"packages": 3}, "packages", "must be a list of strings, not a number"),
    ({"packages": ["a", "-o x"]}, "packages[1]", "must be names, none of which begins"),
    ({"packages": ["a -y"]}, "packages[0]", "must be names, none of which begins"),
    ({"repositories": []}, "repositories", "must be a map of names to addresses, not a list"),
    ({"secrets": "x"}, "secrets", "must be a list of strings, not a string"),
    (
        {"secrets": ["abc", "ab"]},
        "secrets[1]",
        "must be the UUID of a secret, or its name of 3 to 512 characters",
    ),
    ({"secrets": ["abc"] * 101}, "secrets", "must have at most 100 secrets"),
    ({"oauth": True}, "oauth", "must be a string, not true or false"),
    ({"shell": "x"}, "shell", "must be true or false, not a string"),
    ({"sources": [{"a": "b"}]}, "sources[0]", "must be a string, not a map"),
    ({"environment": []}, "environment", "must be a map of names to values, not a list"),
    ({"environment": {"1A": "x"}}, "environment.1A", "is not a variable name"),
    ({"environment": {"FOO": {}}}, "environment.FOO", "or a list of strings, not a map"),
    ({"environment": {"FOO": ["a", 1]}}, "environment.FOO[1]", "must be a string, not a number"),
    ({"tasks": None}, "tasks", "is required"),
    ({"tasks": []}, "tasks", "must not be empty"),
    ({"tasks": {"a": "b"}}, "tasks", "must be a list of maps, each one name with its script"),
    ({"tasks": [{"a": "x", "b": "y"}]}, "tasks[0]", "must have exactly one name"),
    ({"tasks": [{}]}, "tasks[0]", "must have exactly one name with its script"),
    ({"tasks": [{"a": "x"}, {"b": 3}]}, "tasks[1].b", "must be a string, not a number"),
    ({"tasks": [{"A b": "x"}]}, "tasks[0].A b", "is not a task name"),
    ({"tasks": [{"a" * 129: "x"}]}, f"tasks[0].'{'a' * 60}...'", "1 to 128 of the characters"),
    ({"artifacts": [""]}, "artifacts[0]", "must not be empty"),
    ({"artifacts": [f"x{one}" for one in range(101)]}, "artifacts", "must have at most 100 files"),
    ({"artifacts": ["a\0"]}, "artifacts[0]", "must be one line of plain text"),
    ({"triggers": {}}, "triggers", "must be a list of maps, not a map"),
    ({"triggers": [{}]}, "triggers[0].action", "is required"),
    ({"triggers": [{"action": "fax"}]}, "triggers[0].action", "one of email, webhook, not 'fax'"),
    ({"triggers": [{"action": "irc", "condition": 1}]}, "triggers[0].condition", "must be one of"),
    ({"triggers": [HOOK] * 21}, "triggers", "must have at most 20 triggers"),
    ({"triggers": [{"action": []}]}, "triggers[0].action", "one of email, webhook, not a list"),
    ({"triggers": [MAIL | {"to": ["a@b", 3]}]}, "triggers[0].to[1]", "must be a string"),
    ({"triggers": [MAIL | {"to": "jo"}]}, "triggers[0].to", "must be an email address"),
    ({"triggers": [MAIL | {"cc": "a@b\r\nBcc: c@d"}]}, "triggers[0].cc", "must be one line"),
    ({"triggers": [MAIL | {"in_reply_to": "a\nb"}]}, "triggers[0].in_reply_to", "must be one line"),
    (
        {"triggers": [MAIL | {"condition": "failed"}]},
        "triggers[0].condition",
        "not 'failed'; did you mean failure?",
    ),
    ({"triggers": [MAIL | {"form": 1}]}, "triggers[0].form", "is not a known key"),
    ({"triggers": [{"action": "webhook"}]}, "triggers[0].url", "is required"),
    ({"timeout": 0}, "timeout", "must be more than 0 and at most"),
    ({"timeout": 1e15}, "timeout", "must be more than 0 and at most"),
    ({"silence": "5m"}, "silence", "must be a number of minutes, not a string"),
    ({"silence": True}, "silence", "must be a number of minutes, not true or false"),
    ({"priority": 11}, "priority", "must be from -1000 to 10"),
    ({"priority": 1.5}, "priority", "must be a whole number, not a number with a fraction"),
    ({"when": ["push"]}, "when", "must be a map with kinds, refs and paths, not"),
    ({"when": {"kinds": ["push", "nigthly"]}}, "when.kinds[1]", "did you mean nightly?"),
    ({"when": {"kinds": []}}, "when.kinds", "must not be empty"),
    ({"when": {"refs": [""]}}, "when.refs[0]", "must not be empty"),
    ({"when": {"refs": ["*" * 251]}}, "when.refs[0]", "must have at most 250 characters"),
    ({"when": {"refs": ["x"] * 101}}, "when.refs", "must have at most 100 globs"),
    ({"when": {"ref": "x"}}, "when.ref", "is not a known key; did you mean refs?"),
    ({"network": "no"}, "network", "must be true or false, not a string"),
    ({"submitter": {"git.sr.ht": {"enabled": 1}}}, "submitter.git.sr.ht.enabled", "true or false"),
    ({"submitter": {"git.srht": {}}}, "submitter.git.srht", "did you mean git.sr.ht?"),
    ({"enviroment": {}}, "enviroment", "is not a known key; did you mean environment?"),
    ({"zzzzzz": 1}, "zzzzzz", "is not a known key; known are image, arch"),
    ({"systems": []}, "systems", "must not be empty"),
    ({"systems": "x86_64-linux"}, "systems", "must be a list of strings, not a string"),
    ({"systems": ["x86_64"]}, "systems[0]", "must be a system such as x86_64-linux"),
    ({"matrix": ["3.11"]}, "matrix", "must be a map of names to lists of values, not a list"),
    ({"matrix": {"py": "3.11"}}, "matrix.py", "must be a list of strings or whole numbers, not"),
    ({"matrix": {"py": []}}, "matrix.py", "must not be empty"),
    ({"matrix": {"1py": ["3"]}}, "matrix.1py", "is not a variable name"),
    ({"matrix": {"py": [3.10]}}, "matrix.py[0]", 'must be in quotes, such as "3.10"'),
    ({"matrix": {"py": [None]}}, "matrix.py[0]", "a string or a whole number, not nothing"),
    ({"matrix": {"py": [["3"]]}}, "matrix.py[0]", "a string or a whole number, not a list"),
    ({"matrix": {"py": [""]}}, "matrix.py[0]", "it becomes part of the job's name"),
    ({"matrix": {"os": ["a/b"]}}, "matrix.os[0]", "must be of letters, digits,"),
    ({"matrix": {"a": ["1"], "exclude": {}}}, "matrix.exclude", "must be a list of maps, not"),
    ({"matrix": {"a": ["1"], "exclude": [{}]}}, "matrix.exclude[0]", "must not be empty"),
    ({"matrix": {"a": ["1"], "exclude": ["1"]}}, "matrix.exclude[0]", "must be a map of keys"),
    ({"matrix": {"a": ["1"], "exclude": [{"a": 1.5}]}}, "matrix.exclude[0].a", "be in quotes"),
    (
        {"matrix": {"a": ["1", "2"], "exclude": [{"a": 1}] * 101}},
        "matrix.exclude",
        "must have at most 100 entries",
    ),
    ({"needs": "test"}, "needs", "must be a list of strings, not a string"),
    ({"needs": ["a b"]}, "needs[0]", "must be the name of a job"),
    ({"needs": [3]}, "needs[0]", "must be a string, not a number"),
    ({"needs": ["x"] * 1001}, "needs", "must have at most 1000 names"),
    ({"retries": -1}, "retries", "must be from 0 to 10"),
    ({"retries": True}, "retries", "must be a whole number, not true or false"),
    ({"retry_on_failure": 11}, "retry_on_failure", "must be from 0 to 10"),
    ({"concurrency": "deploy"}, "concurrency", "must be a map with a group, not a string"),
    ({"concurrency": {}}, "concurrency.group", "is required"),
    ({"concurrency": {"group": ""}}, "concurrency.group", "must not be empty"),
    ({"concurrency": {"group": "x" * 129}}, "concurrency.group", "at most 128 characters"),
    (
        {"concurrency": {"group": "x", "policy": "newest"}},
        "concurrency.policy",
        "must be one of queue, latest, cancel, not 'newest'",
    ),
    ({"concurrency": {"group": "x", "polcy": "queue"}}, "concurrency.polcy", "mean policy?"),
    ({"when": {"paths": []}}, "when.paths", "must not be empty"),
    ({"when": {"paths": ["*" * 251]}}, "when.paths[0]", "must have at most 250 characters"),
    ({"when": {"paths": ["x"] * 101}}, "when.paths", "must have at most 100 globs"),
    ({"paths": "src"}, "paths", "must be a list of strings, not a string"),
    ({"paths": []}, "paths", "must not be empty"),
    ({"resources": "4G"}, "resources", "must be a map with memory, pids and disk, not a string"),
    ({"resources": {"cpu": 1}}, "resources.cpu", "known are memory, pids, disk"),
    ({"resources": {"memory": "4GB"}}, "resources.memory", "must be a size such as 512M or 4G"),
    ({"resources": {"memory": "512"}}, "resources.memory", "must be a size such as 512M or 4G"),
    ({"resources": {"memory": 0.5}}, "resources.memory", "or a whole number of MiB"),
    ({"resources": {"memory": True}}, "resources.memory", "or a whole number of MiB"),
    ({"resources": {"memory": 0}}, "resources.memory", "must be more than 0 and at most 16384G"),
    ({"resources": {"pids": 0}}, "resources.pids", "must be from 1 to 4194304"),
    ({"resources": {"pids": "9"}}, "resources.pids", "must be a whole number, not a string"),
    ({"cache": {"key": "x"}}, "cache", "must be a list of maps, not a map"),
    ({"cache": ["pip"]}, "cache[0]", "must be a map with key and paths, not a string"),
    ({"cache": [{"paths": ["x"]}]}, "cache[0].key", "is required"),
    ({"cache": [{"key": "x"}]}, "cache[0].paths", "is required"),
    ({"cache": [{"key": "a b", "paths": ["x"]}]}, "cache[0].key", "must be a name"),
    ({"cache": [{"key": "x", "paths": []}]}, "cache[0].paths", "must not be empty"),
    ({"reports": ["a"]}, "reports", "must be a map with junit, tap and coverage, not a list"),
    ({"reports": {"junit": "a"}}, "reports.junit", "must be a list of strings, not a string"),
    ({"reports": {"xunit": []}}, "reports.xunit", "did you mean junit?"),
    ({"maintainers": "a@b"}, "maintainers", "must be a list of addresses, not a string"),
    ({"maintainers": ["jo"]}, "maintainers[0]", "must be an email address"),
    ({"maintainers": ["a@b"] * 101}, "maintainers", "must have at most 100 addresses"),
    ({"always": "yes"}, "always", "must be true or false, not a string"),
]

# What takes more than a pattern to know, or a look at several values.
OF_MEANING = [
    ({"sources": ["hg+https://x/y"]}, "sources[0]", "only git is supported"),
    ({"sources": ["https://x/y", "https://z/y.git"]}, "sources[1]", "'y' is taken by sources[0]"),
    ({"environment": {"A\n": "x"}}, "environment.'A\\n'", "is not a variable name"),
    ({"environment": {"CISERVER_URL": "x"}}, "environment.CISERVER_URL", "is reserved"),
    ({"environment": {"FOO": "a\0b"}}, "environment.FOO", "must not hold a NUL character"),
    ({"tasks": [{"a": "x"}, {"a": "y"}]}, "tasks[1].a", "the name 'a' is taken by tasks[0].a"),
    ({"artifacts": ["a/../b"]}, "artifacts[0]", "must be the path of a file, without '..'"),
    ({"artifacts": ["dir/"]}, "artifacts[0]", "must be the path of a file"),
    ({"artifacts": ["a/x", "b/x"]}, "artifacts[1]", "the file name 'x' is taken by artifacts[0]"),
    ({"triggers": [{"action": "email"}]}, "triggers[0].to", "is required when there is no cc"),
    ({"triggers": [MAIL | {"to": ["a@b"] * 50, "cc": "c@d"}]}, "triggers[0].to", "not 51"),
    ({"triggers": [{"action": "webhook", "url": "ftp://x"}]}, "triggers[0].url", "must be a URL"),
    ({"triggers": [{"action": "webhook", "url": "http://[x"}]}, "triggers[0].url", "must be a URL"),
    ({"systems": ["a-b"], "arch": "x86_64"}, "systems", "says more than arch; leave arch out"),
    ({"matrix": {}}, "matrix", "must have at least one list of values"),
    ({"matrix": {"exclude": []}}, "matrix", "must have at least one list of values"),
    ({"matrix": {f"k{n}": ["x"] for n in range(11)}}, "matrix", "at most 10 lists of values"),
    ({"matrix": {"CISERVER_X": ["3"]}}, "matrix.CISERVER_X", "is reserved"),
    ({"matrix": {"py": ["3", 3]}}, "matrix.py[1]", "the value '3' is taken by matrix.py[0]"),
    ({"matrix": {"py": ["3"]}, "environment": {"py": 1}}, "matrix.py", "leave environment.py out"),
    ({"matrix": {"py": ["x" * 123]}}, "matrix", "longer than 128 characters"),
    (
        {"matrix": {"a": ["1.2", "1"], "b": ["3", "2.3"]}},
        "matrix",
        "gives a=1.2 b=3 and a=1 b=2.3 the same name, build.1.2.3",
    ),
    ({"matrix": {"a": ["1"], "exclude": [{"a": 2}]}}, "matrix.exclude[0].a", "'2' is none of the"),
    (
        {"matrix": {"python": ["1"], "exclude": [{"pyton": 1}]}},
        "matrix.exclude[0].pyton",
        "is no key of the matrix; did you mean python?",
    ),
    ({"matrix": {"a": ["1"], "exclude": [{"a": "1"}]}}, "matrix.exclude", "leaves no combination"),
    ({"when": {"paths": ["/src"]}}, "when.paths[0]", "must be relative: without '.' and '..'"),
    ({"when": {"paths": ["!docs"]}}, "when.paths[0]", "not beginning with '/', '~' or '!'"),
    ({"paths": ["a/../b"]}, "paths[0]", "must be relative"),
    ({"resources": {"disk": "16385G"}}, "resources.disk", "must be more than 0 and at most"),
    ({"cache": [{"key": "x", "paths": ["/a"]}]}, "cache[0].paths[0]", "must be a path in the home"),
    ({"cache": [{"key": "x", "paths": ["a*"]}]}, "cache[0].paths[0]", "and wildcards"),
    ({"cache": [{"key": "x", "paths": ["a"]}] * 2}, "cache[1].key", "'x' is taken by cache[0].key"),
    ({"reports": {"tap": ["~/a"]}}, "reports.tap[0]", "must be relative"),
]


@pytest.mark.parametrize(
    ("keys", "field", "message"), OF_SHAPE + OF_MEANING, ids=lambda one: str(one)[:50]
)
def test_a_fault_is_told_at_its_exact_field(keys, field, message):
    """One fault gives one complaint, with the file, the field and a sentence to act on."""
    reading = read_with(**keys)
    assert reading.jobs == ()
    (complaint,) = reading.complaints
    assert (complaint.file, complaint.field) == (".build.yml", field)
    assert message in complaint.message


@pytest.mark.parametrize("keys", [keys for keys, *_ in OF_SHAPE], ids=lambda one: str(one)[:50])
def test_an_editor_marks_what_has_not_the_right_shape(keys):
    """The schema refuses it before the file is pushed."""
    assert not EDITOR.is_valid(recipe_with(keys))


@pytest.mark.parametrize("keys", [keys for keys, *_ in OF_MEANING], ids=lambda one: str(one)[:50])
def test_an_editor_does_not_know_what_values_mean(keys):
    """What the schema could refuse stands in the other table."""
    assert EDITOR.is_valid(recipe_with(keys))


def test_ten_faults_give_ten_complaints():
    """No fault hides another, whether of one value or between values."""
    reading = read_with(
        image=1,
        packages=[2],
        environment={"1": "", "OK": {}},
        tasks=[{"a": 1}, {"a": "x"}],
        artifacts=["x", "y/x", 5],
        timeout=-1,
        oops=1,
    )
    assert sorted(one.field for one in reading.complaints) == [
        "artifacts[1]",
        "artifacts[2]",
        "environment.1",
        "environment.OK",
        "image",
        "oops",
        "packages[0]",
        "tasks[0].a",
        "tasks[1].a",
        "timeout",
    ]


def test_very_many_faults_are_cut_short():
    """A hundred complaints are shown and the others counted."""
    complaints = read_with(packages=[1] * 250).complaints
    assert len(complaints) == 101
    assert complaints[-1].message == "and 150 more faults"
