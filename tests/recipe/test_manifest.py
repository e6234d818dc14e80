"""A recipe file gives its jobs, or says why not."""

import json
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.build import (
    Cache,
    Concurrency,
    Job,
    Policy,
    Reports,
    Resources,
    Source,
    Task,
    TriggerSpec,
)
from ciserver.model.evaluation import Kind
from ciserver.recipe.files import job_name
from ciserver.recipe.manifest import read_manifest, read_triggers
from ciserver.recipe.schema import MODELS, known_keys

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])

SRHT = """
image: alpine/edge
arch: arm64
packages: [python3, py3-pip=1.2, libatf-dev  kyua]
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
    (job,) = reading.jobs
    return job


def test_a_plain_builds_sr_ht_manifest_is_read_whole():
    """Every key of builds.sr.ht is understood; what is not acted on becomes a note."""
    reading = read(SRHT)
    assert reading.complaints == ()
    (job,) = reading.jobs
    assert [note.partition(":")[0] for note in job.notes] == ["oauth", "shell"]
    assert job.notes[-2] == "oauth: not available in this version; the build runs without a token"
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
        packages=("python3", "py3-pip=1.2", "libatf-dev", "kyua"),
        repositories={"extra": "https://example.org/apk"},
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
        push_refs=("refs/heads/main",),
        notes=job.notes,
        base="build",
        secrets=("46f739e5-4538-45dd-a79f-bf173b7a2ed9",),
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


EVERY_KEY = """
image: host
tasks: [test: make check]
when: {paths: [src, "**/*.py"]}
needs: [build, lint.3.11, build]
retries: 0
retry_on_failure: 2
concurrency: {group: the database, policy: latest}
paths: [src/, "docs/*.md"]
resources: {memory: 4G, pids: 512, disk: 300}
cache:
  - key: pip
    paths: [.cache/pip, .local/]
reports:
  junit: ["**/junit*.xml"]
  coverage: [coverage.xml]
maintainers: [Jo <jo@example.org>, ada@example.org]
always: true
"""


def test_what_says_how_a_job_is_built_is_read():
    """Sizes become MiB; what is needed twice is needed once."""
    reading = read(EVERY_KEY)
    assert reading.complaints == ()
    assert reading.jobs == (
        Job(
            name="build",
            file=".build.yml",
            image="host",
            system="x86_64-linux",
            tasks=(Task("test", "make check"),),
            base="build",
            needs=("build", "lint.3.11"),
            changed_paths=("src", "**/*.py"),
            paths=("src/", "docs/*.md"),
            retries=0,
            retry_on_failure=2,
            concurrency=Concurrency("the database", Policy.LATEST),
            resources=Resources(memory_mb=4096, pids=512, disk_mb=300),
            cache=(Cache("pip", (".cache/pip", ".local/")),),
            reports=Reports(junit=("**/junit*.xml",), coverage=("coverage.xml",)),
            maintainers=("Jo <jo@example.org>", "ada@example.org"),
            always=True,
        ),
    )


@pytest.mark.parametrize(
    ("written", "mebibytes"),
    [("1M", 1), ("512M", 512), ("4G", 4096), (300, 300), ("16384G", 1 << 24)],
)
def test_sizes_are_written_with_their_unit_or_in_mebibytes(written, mebibytes):
    """M and G count in 1024s."""
    assert job_with(resources={"memory": written}).resources == Resources(memory_mb=mebibytes)


def test_builds_of_a_group_are_queued_where_nothing_else_is_said():
    """The policy that loses nothing is the usual one."""
    concurrency = job_with(concurrency={"group": "deploy"}).concurrency
    assert concurrency == Concurrency("deploy", Policy.QUEUE)


def test_the_smallest_recipe_leaves_the_rest_to_the_server():
    """An image and a task are enough."""
    assert job_with() == Job(
        "build", ".build.yml", "debian", "x86_64-linux", (Task("build", "make"),), base="build"
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


def test_triggers_that_others_bring():
    """Those that manifests of builds.sr.ht may have are taken as they are."""
    irc = {"action": "irc", "condition": "failure", "channel": "#ci", "to": [1, {"x": None}]}
    assert job_with(triggers=[irc, {"action": "job"}]).triggers == (
        TriggerSpec("irc", "failure", {"channel": "#ci", "to": [1, {"x": None}]}),
        TriggerSpec("job", "always", {}),
    )


def test_triggers_beside_a_manifest():
    """They are read by the same rules, and every fault has its field."""
    given = [{"action": "email"}, {"action": "fax"}, {"action": "webhook", "url": "http://x/"}, 3]
    specs, complaints = read_triggers(given)
    assert specs == ()
    assert {one.field for one in complaints} == {
        "triggers[0].to",
        "triggers[1].action",
        "triggers[3]",
    }
    assert read_triggers(given[:1])[1] != ()
    assert read_triggers(given[2:3]) == (
        (TriggerSpec("webhook", "always", {"url": "http://x/"}),),
        (),
    )


def test_a_trigger_without_condition_gets_the_usual_one():
    """Mail is sent on a change, a webhook always."""
    triggers = job_with(
        triggers=[{"action": "email", "cc": "a@b"}, {"action": "webhook", "url": "http://x/"}]
    ).triggers
    assert [one.condition for one in triggers] == ["change", "always"]
    assert triggers[0].options == {"cc": ["a@b"]}


def test_what_a_submitter_may_build_is_read():
    """Of git.sr.ht whether and where pushes are built; of hub.sr.ht nothing has an effect."""
    git = {"enabled": False, "allow-refs": ["refs/heads/main", "v*"]}
    job = job_with(submitter={"git.sr.ht": git, "hub.sr.ht": {"enabled": False}})
    assert (job.by_push, job.push_refs) == (False, ("refs/heads/main", "v*"))
    assert (job.kinds, job.refs) == (job_with().kinds, ())


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
    assert reading.jobs == ()
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


@patient
@given(st.binary(max_size=300))
def test_random_bytes_never_raise(raw):
    """Whatever the bytes are, there are jobs or complaints."""
    reading = read(raw)
    assert (reading.jobs == ()) == bool(reading.complaints)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


def near_recipes():
    """Maps with real keys, also deep down, and anything as values."""
    deep = {
        at: st.dictionaries(st.sampled_from(known_keys(at)), anything)
        for at in MODELS
        if at and len(at) == 1
    }
    mail = st.dictionaries(st.sampled_from(known_keys(("triggers", "<email>"))), anything)
    actions = mail.map(lambda keys: keys | {"action": "email"})
    inner = st.fixed_dictionaries(
        {"triggers": st.lists(actions, max_size=3)},
        optional={
            at: st.lists(keys, max_size=2) if at in {"cache", "schedules"} else keys | anything
            for (at,), keys in deep.items()
        },
    )
    top = st.dictionaries(st.sampled_from(known_keys(())), anything)
    return st.builds(lambda first, second: first | second, top, inner | st.just({}))


@patient
@given(near_recipes() | anything)
def test_random_values_never_raise(value):
    """Whatever the values are, there are jobs or complaints, and soon."""
    reading = read(yaml.safe_dump(value, allow_unicode=True))
    assert (reading.jobs == ()) == bool(reading.complaints)


def test_a_full_file_of_faults_is_read_soon():
    """Thousands of faults and unknown keys take well under a second."""
    keys = "".join(f"key{number}: 1\n" for number in range(4900))
    began = time.process_time()
    assert len(read(keys).complaints) == 101
    assert time.process_time() - began < 10


FIRST = """
import sys, threading
from ciserver.recipe.evaluators import get_ready
from ciserver.recipe.manifest import read_manifest
from ciserver.recipe.schema import Manifest

assert not Manifest.__pydantic_complete__
sys.setswitchinterval(1e-5)
if "ready" in sys.argv:
    get_ready()
    assert Manifest.__pydantic_complete__
text, start, read = sys.stdin.read(), threading.Barrier(8), []

def work():
    start.wait()
    read.append(repr(read_manifest("a.yml", text, default_system="x86_64-linux")))

threads = [threading.Thread(target=work) for _ in range(8)]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(len(read), len(set(read)), "echo" in read[0])
"""


@pytest.mark.parametrize("words", [(), ("ready",)], ids=["first", "ready"])
def test_the_first_manifests_of_a_process(words):
    """Validators are made when one is read, or before; several may be the first."""
    text = "image: host\ntasks: [{one: echo}]\ntriggers: [{action: email, to: a@example.org}]\n"
    command = [sys.executable, "-c", FIRST, *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.stdout == "8 1 True\n", done.stderr
