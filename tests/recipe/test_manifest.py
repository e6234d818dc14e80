"""A recipe file gives its job, or every one of its faults."""

import json
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.build import Job, Source, Task, TriggerSpec
from ciserver.model.evaluation import Kind
from ciserver.recipe.manifest import job_name, read_manifest
from ciserver.recipe.schema import LATER, Manifest, known_keys

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])

SRHT = """
image: alpine/edge
arch: arm64
packages: [python3, py3-pip=1.2]
repositories:
  extra: https://example.org/apk
sources:
  - https://git.example.org/~jo/app
  - https://git.example.org/lib.git#v1.2
  - vendor/tools::git+https://example.org/x.git
  - git@example.org:~jo/notes.git
environment:
  NAME: app
  COUNT: 3
  RATIO: 1.5
  DEBUG: true
  QUIET: no
  EMPTY:
  FLAGS: [-a, "-b c"]
secrets:
  - 46f739e5-4538-45dd-a79f-bf173b7a2ed9
oauth: git.sr.ht/REPOSITORIES:RW
shell: true
tasks:
  - build: |
      cd app
      make
  - test_2: make check
artifacts:
  - app/dist/app.tar.gz
  - notes.txt
triggers:
  - action: email
    condition: failure
    to: Jo <jo@example.org>
    cc: [a@example.org, b@example.org]
    in_reply_to: <1@example.org>
  - action: webhook
    url: https://example.org/hook
submitter:
  git.sr.ht:
    enabled: true
    allow-refs: [refs/heads/main]
  hub.sr.ht:
    enabled: false
"""


def read(text, file=".build.yml"):
    return read_manifest(file, text, default_system="x86_64-linux")


def read_with(**keys):
    """The reading of the smallest good recipe with these keys changed; None leaves one out."""
    recipe = {"image": "debian", "tasks": [{"build": "make"}]} | keys
    return read(json.dumps({key: value for key, value in recipe.items() if value is not None}))


def job_with(**keys):
    reading = read_with(**keys)
    assert reading.complaints == ()
    return reading.job


def test_a_plain_builds_sr_ht_manifest_is_read_whole():
    """Every key of builds.sr.ht is understood; what is not acted on becomes a note."""
    reading = read(SRHT)
    assert reading.complaints == ()
    job = reading.job
    assert [note.partition(":")[0] for note in job.notes] == [
        "repositories",
        "secrets",
        "oauth",
        "shell",
    ]
    assert job.notes[1] == "secrets: not available in this version; the build runs without them"
    assert job == Job(
        name="build",
        file=".build.yml",
        image="alpine/edge",
        system="aarch64-linux",
        tasks=(Task("build", "cd app\nmake\n"), Task("test_2", "make check")),
        sources=(
            Source("https://git.example.org/~jo/app", "app"),
            Source("https://git.example.org/lib.git", "lib", "v1.2"),
            Source("https://example.org/x.git", "vendor/tools"),
            Source("git@example.org:~jo/notes.git", "notes"),
        ),
        environment={
            "NAME": "app",
            "COUNT": "3",
            "RATIO": "1.5",
            "DEBUG": "true",
            "QUIET": "false",
            "EMPTY": "",
            "FLAGS": ("-a", "-b c"),
        },
        packages=("python3", "py3-pip=1.2"),
        artifacts=("app/dist/app.tar.gz", "notes.txt"),
        triggers=(
            TriggerSpec(
                "email",
                "failure",
                {
                    "to": ["Jo <jo@example.org>"],
                    "cc": ["a@example.org", "b@example.org"],
                    "in_reply_to": "<1@example.org>",
                },
            ),
            TriggerSpec("webhook", "always", {"url": "https://example.org/hook"}),
        ),
        refs=("refs/heads/main",),
        notes=job.notes,
    )


def test_our_own_keys_are_read():
    """Limits are minutes in the recipe and seconds, rounded up, in the job."""
    job = job_with(
        timeout=1.5,
        silence=0.001,
        priority=10,
        network=False,
        when={"kinds": ["nightly", "push", "nightly"], "refs": ["main", "v*"]},
    )
    assert (job.timeout_seconds, job.silence_seconds) == (90, 1)
    assert (job.priority, job.network) == (10, False)
    assert job.kinds == (Kind.NIGHTLY, Kind.PUSH)
    assert job.refs == ("main", "v*")


def test_the_smallest_recipe_leaves_the_rest_to_the_server():
    """An image and a task are enough."""
    assert job_with() == Job(
        "build", ".build.yml", "debian", "x86_64-linux", (Task("build", "make"),)
    )


def test_keys_with_nothing_behind_them_ask_for_nothing():
    """`packages:` whose lines are all commented out is no fault."""
    reading = read("image: a\ntasks: [b: c]\npackages:\nenvironment:\nwhen:\n")
    assert reading.complaints == ()


@pytest.mark.parametrize(
    ("arch", "system"),
    [
        ("x86_64", "x86_64-linux"),
        ("amd64", "x86_64-linux"),
        ("aarch64", "aarch64-linux"),
        ("arm64", "aarch64-linux"),
        ("riscv64", "riscv64-linux"),
        (None, "x86_64-linux"),
    ],
)
def test_the_machine_names_the_system(arch, system):
    """Both common names of a machine mean one system; no name means the server's own."""
    assert job_with(arch=arch).system == system


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (".build.yml", "build"),
        (".build.yaml", "build"),
        (".builds/alpine.yml", "alpine"),
        ("ci/my.job-1.yaml", "my.job-1"),
        ("build.json", "build"),
        (".yml", "build"),
        ("", "build"),
    ],
)
def test_a_job_is_named_after_its_file(file, name):
    """The file's name without leading dot and ending is the job's name."""
    assert job_name(file) == name


def test_a_trigger_without_condition_gets_the_usual_one():
    """Mail is sent on a change, a webhook always."""
    triggers = job_with(
        triggers=[{"action": "email", "cc": "a@b"}, {"action": "webhook", "url": "http://x/"}]
    ).triggers
    assert [one.condition for one in triggers] == ["change", "always"]
    assert triggers[0].options == {"cc": ["a@b"]}


def test_a_switched_off_submitter_means_no_builds_for_pushes():
    """`enabled: false` takes pushes and tags out of the kinds, whatever `when` says."""
    off = {"git.sr.ht": {"enabled": False}}
    assert job_with(submitter=off).kinds == (Kind.MANUAL, Kind.API)
    kinds = {"kinds": ["push", "pgo"]}
    assert job_with(submitter=off, when=kinds).kinds == (Kind.PGO,)


def test_our_filter_of_refs_goes_before_the_submitter_s():
    """With both given one is used and a note says so."""
    job = job_with(submitter={"git.sr.ht": {"allow-refs": ["a"]}}, when={"refs": ["b"]})
    assert job.refs == ("b",)
    assert job.notes == ("submitter.git.sr.ht.allow-refs: when.refs is used in its place",)


MAIL = {"action": "email", "to": "a@b"}
FAULTS = [
    ({"image": None}, "image", "is required"),
    ({"image": 3}, "image", "must be a string, not a number"),
    ({"image": ""}, "image", "must not be empty"),
    ({"image": "a\nb"}, "image", "must be one line of plain text"),
    ({"arch": "x86_64-linux"}, "arch", "must be the name of a machine"),
    ({"packages": 3}, "packages", "must be a list of strings, not a number"),
    ({"packages": ["a", "-o x"]}, "packages[1]", "must be one word"),
    ({"repositories": []}, "repositories", "must be a map of names to addresses, not a list"),
    ({"secrets": "x"}, "secrets", "must be a list of strings, not a string"),
    ({"oauth": True}, "oauth", "must be a string, not true or false"),
    ({"shell": "x"}, "shell", "must be true or false, not a string"),
    ({"sources": ["hg+https://x/y"]}, "sources[0]", "only git is supported"),
    ({"sources": ["https://x/y", "https://z/y.git"]}, "sources[1]", "'y' is taken by sources[0]"),
    ({"sources": [{"a": "b"}]}, "sources[0]", "must be a string, not a map"),
    ({"environment": []}, "environment", "must be a map of names to values, not a list"),
    ({"environment": {"1A": "x"}}, "environment.1A", "is not a variable name"),
    ({"environment": {"A\n": "x"}}, "environment.'A\\n'", "is not a variable name"),
    ({"environment": {"CISERVER_URL": "x"}}, "environment.CISERVER_URL", "is reserved"),
    ({"environment": {"FOO": {}}}, "environment.FOO", "or a list of strings, not a map"),
    ({"environment": {"FOO": ["a", 1]}}, "environment.FOO[1]", "must be a string, not a number"),
    ({"environment": {"FOO": "a\0b"}}, "environment.FOO", "must not hold a NUL character"),
    ({"tasks": None}, "tasks", "is required"),
    ({"tasks": []}, "tasks", "must not be empty"),
    ({"tasks": {"a": "b"}}, "tasks", "must be a list of maps, each one name with its script"),
    ({"tasks": [{"a": "x", "b": "y"}]}, "tasks[0]", "must have exactly one name"),
    ({"tasks": [{}]}, "tasks[0]", "must have exactly one name with its script"),
    ({"tasks": [{"a": "x"}, {"b": 3}]}, "tasks[1].b", "must be a string, not a number"),
    ({"tasks": [{"a": "x"}, {"a": "y"}]}, "tasks[1].a", "the name 'a' is taken by tasks[0].a"),
    ({"tasks": [{"A b": "x"}]}, "tasks[0].A b", "is not a task name"),
    ({"tasks": [{"a" * 129: "x"}]}, f"tasks[0].'{'a' * 60}...'", "1 to 128 of the characters"),
    ({"tasks": [{"setup": "x"}]}, "tasks[0].setup", "is reserved; give the task another name"),
    ({"artifacts": [""]}, "artifacts[0]", "must not be empty"),
    ({"artifacts": ["a/../b"]}, "artifacts[0]", "must be the path of a file, without '..'"),
    ({"artifacts": ["dir/"]}, "artifacts[0]", "must be the path of a file"),
    ({"artifacts": ["a\0"]}, "artifacts[0]", "must be one line of plain text"),
    ({"artifacts": ["a/x", "b/x"]}, "artifacts[1]", "the file name 'x' is taken by artifacts[0]"),
    ({"triggers": {}}, "triggers", "must be a list of maps, not a map"),
    ({"triggers": [{}]}, "triggers[0].action", "is required"),
    ({"triggers": [{"action": "irc"}]}, "triggers[0].action", "one of email, webhook, not 'irc'"),
    ({"triggers": [{"action": []}]}, "triggers[0].action", "one of email, webhook, not a list"),
    ({"triggers": [{"action": "email"}]}, "triggers[0].to", "is required when there is no cc"),
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
    ({"triggers": [{"action": "webhook", "url": "ftp://x"}]}, "triggers[0].url", "must be a URL"),
    ({"triggers": [{"action": "webhook", "url": "http://[x"}]}, "triggers[0].url", "must be a URL"),
    ({"timeout": 0}, "timeout", "must be more than 0 and at most"),
    ({"timeout": 1e15}, "timeout", "must be more than 0 and at most"),
    ({"silence": "5m"}, "silence", "must be a number of minutes, not a string"),
    ({"silence": True}, "silence", "must be a number of minutes, not true or false"),
    ({"priority": 11}, "priority", "must be from -1000 to 10"),
    ({"priority": 1.5}, "priority", "must be a whole number, not a number with a fraction"),
    ({"when": ["push"]}, "when", "must be a map with kinds and refs, not a list"),
    ({"when": {"kinds": ["push", "nigthly"]}}, "when.kinds[1]", "did you mean nightly?"),
    ({"when": {"kinds": []}}, "when.kinds", "must not be empty"),
    ({"when": {"refs": [""]}}, "when.refs[0]", "must not be empty"),
    ({"when": {"refs": ["*" * 251]}}, "when.refs[0]", "must have at most 250 characters"),
    ({"when": {"refs": ["x"] * 101}}, "when.refs", "must have at most 100 globs"),
    ({"when": {"ref": "x"}}, "when.ref", "is not a known key; did you mean refs?"),
    ({"when": {"paths": ["x"]}}, "when.paths", "this version does not know this key yet"),
    ({"network": "no"}, "network", "must be true or false, not a string"),
    ({"submitter": {"git.sr.ht": {"enabled": 1}}}, "submitter.git.sr.ht.enabled", "true or false"),
    ({"submitter": {"git.srht": {}}}, "submitter.git.srht", "did you mean git.sr.ht?"),
    ({"enviroment": {}}, "enviroment", "is not a known key; did you mean environment?"),
    ({"zzzzzz": 1}, "zzzzzz", "is not a known key; known are image, arch"),
]


@pytest.mark.parametrize(("keys", "field", "message"), FAULTS, ids=lambda one: str(one)[:50])
def test_a_fault_is_told_at_its_exact_field(keys, field, message):
    """One fault gives one complaint, with the file, the field and a sentence to act on."""
    reading = read_with(**keys)
    assert reading.job is None
    (complaint,) = reading.complaints
    assert (complaint.file, complaint.field) == (".build.yml", field)
    assert message in complaint.message


@pytest.mark.parametrize("key", LATER[()])
def test_keys_of_later_versions_are_told_apart_from_mistakes(key):
    """A key of the design that is not built yet is named as such."""
    (complaint,) = read_with(**{key: 1}).complaints
    assert complaint.field == key
    assert "this version does not know this key yet" in complaint.message


def test_no_key_is_both_known_and_for_later():
    """A key that is built leaves the list of later ones."""
    for parents, keys in LATER.items():
        assert not set(keys) & set(known_keys(parents))


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a map with keys such as image and tasks, not nothing"),
        ("[1]", "must be a map with keys such as image and tasks, not a list"),
        ("image: [", "line 2, column 1: did not find expected node content"),
        (b"\xff", "line 1, column 1: not valid UTF-8"),
    ],
)
def test_a_text_that_is_no_recipe_is_one_complaint(text, message):
    """What cannot be read as keys says so, with the file."""
    reading = read(text)
    assert reading.job is None
    assert message in str(reading.complaints[0])
    assert reading.complaints[0].file == ".build.yml"


def test_a_file_whose_name_is_no_job_name_is_refused():
    """A job's name goes into addresses, so it is plain."""
    (complaint,) = read("image: a\ntasks: [b: c]", ".builds/my job.yml").complaints
    assert complaint.file == ".builds/my job.yml"
    assert "'my job', which is no job name" in complaint.message


def test_braces_in_a_recipe_are_only_text():
    """What the author wrote is quoted, never used as a template."""
    (complaint,) = read_with(triggers=[{"action": "{sentence} {0}"}]).complaints
    assert "'{sentence} {0}'" in complaint.message


def test_editors_can_be_given_a_schema():
    """The same models describe the manifest as JSON Schema."""
    schema = Manifest.model_json_schema()
    assert set(schema["properties"]) == set(known_keys(()))
    assert schema["required"] == ["image", "tasks"]


@patient
@given(st.binary(max_size=300))
def test_random_bytes_never_raise(raw):
    """Whatever the bytes are, there is a job or a complaint."""
    reading = read(raw)
    assert (reading.job is None) == bool(reading.complaints)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


def near_recipes():
    """Maps with real keys, also deep down, and anything as values."""
    maps = [st.dictionaries(st.sampled_from(known_keys(at)), anything) for at in ((), ("when",))]
    mail = st.dictionaries(st.sampled_from(known_keys(("triggers", "<email>"))), anything)
    actions = mail.map(lambda keys: keys | {"action": "email"})
    lists = st.fixed_dictionaries({"triggers": st.lists(actions, max_size=3), "when": maps[1]})
    return st.builds(lambda first, second: first | second, maps[0], lists | st.just({}))


@patient
@given(near_recipes() | anything)
def test_random_values_never_raise(value):
    """Whatever the values are, there is a job or a complaint, and soon."""
    reading = read(yaml.safe_dump(value, allow_unicode=True))
    assert (reading.job is None) == bool(reading.complaints)


def test_a_full_file_of_faults_is_read_soon():
    """Thousands of faults and unknown keys take well under a second."""
    keys = "".join(f"key{number}: 1\n" for number in range(4900))
    began = time.perf_counter()
    assert len(read(keys).complaints) == 101
    assert time.perf_counter() - began < 1
