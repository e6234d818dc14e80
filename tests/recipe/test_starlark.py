"""A Starlark recipe: its function makes the jobs, and whatever it does it does to nobody else."""

import json
import subprocess
import venv
from pathlib import Path

import pytest
from support.statements import calls
from support.waiting import until

from ciserver.model.errors import Complaint
from ciserver.recipe.child import our_program
from ciserver.recipe.expand import MOST_OF_ALL, too_many
from ciserver.recipe.manifest import read_manifest
from ciserver.recipe.starlark import read_starlark

FILE = "ci/jobs.star"
MOST_CALLS = 90  # for one more job: what checks each value of it, and what it is made of
JOB = '{"name": "a", "image": "host", "tasks": [{"build": "make"}]}'


def read(*lines, inputs=None, **limits):
    text = "\n".join(lines) + "\n"
    return read_starlark(FILE, text, default_system="x86_64-linux", inputs=inputs or {}, **limits)


def returning(value, **limits):
    return read("def jobs(inputs):", f"    return {value}", **limits)


def told(reading):
    assert reading.jobs == ()
    assert {one.file for one in reading.complaints} == {FILE}
    return [(one.field, one.message) for one in reading.complaints]


def test_every_text_comes_through():
    """Whatever characters it has, and numbers as they were written."""
    script = "echo 'é\u2028\x7f\t\\\\'\n\"true\"\n"
    environment = {"TEXT": script, "WHOLE": -5, "PART": 1.5, "FLAG": True, "LIST": ["a", "b"]}
    job = {"name": "a", "image": "host", "environment": environment, "tasks": [{"build": script}]}
    (read_one,) = returning([job]).jobs
    assert read_one.tasks[0].script == script
    whole = {"TEXT": script, "WHOLE": "-5", "PART": "1.5", "FLAG": "true", "LIST": ("a", "b")}
    assert read_one.environment == whole


def test_a_job_is_read_by_few_calls():
    """A recipe may make ten thousand."""

    def make(many):
        one = '{"name": f"job-{n}", "image": "host", "tasks": [{"build": "make"}]}'
        return calls(lambda: returning(f"[{one} for n in range({many})]"))

    make(1)  # what is done once
    assert (make(60) - make(10)) / 50 < MOST_CALLS


def test_a_function_makes_many_jobs():
    """Loops, functions, f-strings and JSON are there; each map is a manifest with a name."""
    reading = read(
        "SHARDS = [n for n in range(3)]",
        "def job(n):",
        "    return {",
        '        "name": f"test-{n}", "image": "host", "timeout": 1.5,',
        '        "tasks": [{"test": "make SHARD=%d" % n}], "needs": ["build"] if n else [],',
        '        "environment": {"SHARD": n, "ALL": json.encode(SHARDS)},',
        "    }",
        "def jobs(inputs):",
        '    print("not shown", inputs)',
        "    return [job(n) for n in SHARDS]",
    )
    assert reading.complaints == ()
    assert [one.name for one in reading.jobs] == ["test-0", "test-1", "test-2"]
    last = reading.jobs[2]
    assert (last.file, last.base, last.needs, last.timeout_seconds) == (
        *(FILE, "test-2"),
        *(("build",), 90),
    )
    assert last.environment == {"SHARD": "2", "ALL": "[0,1,2]"}
    assert last.tasks[0].script == "make SHARD=2"


def test_a_job_means_what_the_same_manifest_means():
    """Matrix, systems and schedules too."""
    manifest = {
        "image": "host",
        "tasks": [{"build": "make"}],
        "matrix": {"python": ["3.11", "3.12"]},
        "systems": ["x86_64-linux", "aarch64-linux"],
        "schedules": [{"cron": "@daily"}],
    }
    reading = returning("[" + json.dumps({"name": "jobs", **manifest}) + "]")
    same = read_manifest("jobs.yml", json.dumps(manifest), default_system="x86_64-linux")
    assert len(reading.jobs) == 4
    assert [(one.identity, one.environment) for one in reading.jobs] == [
        (one.identity, one.environment) for one in same.jobs
    ]
    assert [one.timing for one in reading.schedules] == [one.timing for one in same.schedules]


def test_the_function_is_given_the_inputs_of_its_jobset():
    """Texts are strings, booleans are True and False."""
    reading = read(
        "def jobs(inputs):",
        '    name = inputs["suite"] if inputs["on"] else "off"',
        '    return [{"name": name, "image": "host", "tasks": [{"build": "make"}]}]',
        inputs={"suite": "all", "on": True},
    )
    assert [one.name for one in reading.jobs] == ["all"]


def test_no_jobs_are_no_fault():
    assert returning("[]").complaints == ()


def test_every_broken_job_is_named_with_its_place():
    """One complaint hides none of the others, of the same job or of another."""
    assert told(
        returning(
            f'[{JOB}, 3, {{"name": "b", "image": 3, "tasks": [], "timeout": "x"}}, '
            '{"image": "host", "tasks": [{"build": "make"}]}, '
            '{"name": "no name", "image": "host", "tasks": [{"build": len}, {1: "x"}]}]'
        )
    ) == [
        ("jobs[1]", "must be a map, not a number"),
        ("jobs[2].image", "must be a string, not a number"),
        ("jobs[2].tasks", "must not be empty"),
        ("jobs[2].timeout", "must be a number of minutes, not a string"),
        ("jobs[3].name", "is required"),
        ("jobs[4].tasks[0].build", "must be plain data, not a function"),
        ("jobs[4].tasks[1]", "a key must be a string, not a number"),
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("3", "must be a string, not a number"),
        ('"a b"', "'a b' is no job name"),
        ('""', "'' is no job name"),
        ("None", "is required"),
    ],
)
def test_a_job_needs_a_name(name, message):
    """The name is the author's, not the file's."""
    job = f'[{{"name": {name}, "image": "host", "tasks": [{{"build": "make"}}]}}]'
    ((field, said),) = told(returning(job))
    assert field == "jobs[0].name"
    assert message in said


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ("3", "", "jobs(inputs) must return a list of maps, not a number"),
        ("None", "", "jobs(inputs) must return a list of maps, not nothing"),
        ('{"a": 1}', "", "jobs(inputs) must return a list of maps, not a map"),
        ("[range(3)]", "jobs[0]", "must be plain data, not a range"),
        ('[{"a": float("nan")}]', "jobs[0].a", "must be a finite number"),
        ('[{"a": [1 << 63]}]', "jobs[0].a[0]", "must be a number of at most 64 bits"),
        ('[{"a": "x" * 300000}]', "jobs[0]", "longer than 256 KiB"),
        ("[[1] * 20000]", "jobs[0]", "more than 10000 values"),
        (
            f"[3] * {MOST_OF_ALL + 1}",
            *("", f"makes more than {MOST_OF_ALL} jobs; {too_many(MOST_OF_ALL)}"),
        ),
        ('["x" * 1000000000]', "", "takes more than 512 MB of memory"),
    ],
)
def test_what_is_no_plain_data_is_told_at_its_place(value, field, message):
    """Also what is plain but too much."""
    assert told(returning(value)) == [(field, message)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x = 1"], "must define a function jobs(inputs)"),
        (["jobs = 3"], "jobs must be a function, not a number"),
        (["def jobs():", "    return []"], "Found 1 extra positional argument(s)"),
        (["def jobs(:"], "line 1, column 10: Parse error"),
        (["def jobs(i):", "    fail('no', 'more')"], "line 2, column 5: fail: no more"),
        (["def f(x):", "    return 1 // x", "def jobs(i):", "    return f(0)"], "by zero: 1 // 0"),
        (["load('other.star', 'x')"], "line 1, column 1: `load` is not allowed"),
        (["def jobs(i):", "    return open('/etc/passwd')"], "`open` not found"),
        (["def jobs(i):", "    return emit('job', 0, {})"], "`emit` not found"),
        (["def jobs(i):", "    while True:", "        pass"], "reserved keyword `while`"),
    ],
)
def test_what_starlark_refuses_is_told_with_line_and_column(lines, message):
    ((field, said),) = told(read(*lines))
    assert field == ""
    assert message in said


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["def jobs(i):", "    return jobs(i)"], "call stack overflow"),
        (
            [
                "def jobs(i):",
                "    x = 'a'",
                "    for _ in range(99):",
                "        x += x",
                "    return x",
            ],
            "takes more than 512 MB of memory",
        ),
        (
            ["def jobs(i):", "    x = []", "    for _ in range(1 << 30):", "        x.append([x])"],
            "takes more than 512 MB of memory",
        ),
        (["x = " + "[" * 50_000 + "]" * 50_000], "is nested too deeply"),
        (["x = " + "-" * 200_000 + "1"], "is nested too deeply"),
    ],
)
def test_a_recipe_that_eats_memory_or_stack_is_told_so(lines, message):
    """The server that asked lives on."""
    ((_, said),) = told(read(*lines))
    assert message in said


def test_lists_and_maps_that_hold_themselves_are_too_deep():
    circle = ["def jobs(i):", "    x = {}", "    x['a'] = [x]", "    return [x]"]
    doubled = ["def jobs(i):", "    x = []", "    for _ in range(99):", "        x = [x, x]"]
    deep = ("jobs[0]", "more than 50 levels deep")
    assert told(read(*circle)) == [deep]
    assert deep in told(read(*doubled, "    return x"))


def test_a_recipe_without_end_is_ended():
    """Nothing of it is left."""
    forever = ["def jobs(i):", "    for a in range(1 << 30):", "        for b in range(1 << 30):"]
    before = running()
    assert told(read(*forever, "            pass", seconds=0.5)) == [
        ("", "takes longer than 0.5 seconds")
    ]
    left = running() - before  # those of other tests, which end by themselves, may be among them
    until(lambda: not left & running())


def running():
    """The evaluations that run now."""
    found = set()
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"starlark_child" in one.read_bytes():
                found.add(one.parent.name)
        except OSError:
            continue
    return found


def test_more_than_fifty_megabytes_are_refused():
    job = '{"name": "j%d" % n, "image": "x" * 250000, "tasks": [{"build": "make"}]}'
    assert told(returning(f"[{job} for n in range(300)]", seconds=60)) == [
        ("", "makes more than 50 MB of jobs")
    ]


def test_the_jobs_of_all_maps_together_are_bounded():
    """A matrix in each map does not get around the limit."""
    axis = "[str(n) for n in range(100)]"
    job = (
        '{"name": "j%d" % n, "image": "host", "tasks": [{"build": "make"}], '
        f'"matrix": {{"A": {axis}, "B": {axis}}}}}'
    )
    reading = returning(f"[{job} for n in range(11)]", seconds=60)
    ((field, said),) = told(reading)
    assert field == "jobs[10].matrix"
    assert "0 of them are left" in said


def test_the_text_of_all_jobs_together_is_bounded():
    """It counts once for each job of a matrix, whatever it takes to write it down."""
    axis = "[str(n) for n in range(150)]"
    job = (
        '{"name": "j%d" % n, "image": "x" * 200000, "tasks": [{"build": "make"}], '
        f'"matrix": {{"A": {axis}}}}}'
    )
    reading = returning(f"[{job} for n in range(12)]", seconds=60)
    first, *rest = told(reading)
    assert first == ("jobs[9]", "the jobs before it hold more than 256 MiB")
    assert [field for field, _ in rest] == ["jobs[10]", "jobs[11]"]


def test_what_the_files_before_it_left_is_all_that_it_may_make():
    """Counted in the list, and in its matrices."""
    one = f"[{JOB}, {JOB}]"
    assert len(returning(one, most_jobs=2).jobs) == 2
    ((field, said),) = told(returning(one, most_jobs=1))
    assert (field, said) == ("", f"makes more than 1 jobs; {too_many(1)}")
    two = JOB.replace('"image"', '"matrix": {"a": ["1", "2"]}, "image"')
    ((field, said),) = told(returning(f"[{JOB}, {two}]", most_jobs=2))
    assert (field, "and 1 of them are left" in said) == ("jobs[1].matrix", True)


def test_text_that_is_not_utf8_is_told():
    reading = read_starlark(FILE, b"x = 1\n\xff", default_system="x86_64-linux", inputs={})
    assert reading.complaints == (Complaint("", "line 2: not valid UTF-8", FILE),)


def test_hundreds_of_faults_are_counted():
    complaints = returning("[3] * 500").complaints
    assert len(complaints) == 101
    assert complaints[-1].message == "and 400 more faults"


def test_without_the_extra_the_complaint_names_it(tmp_path):
    """A Python without starlark-pyo3 answers with what is missing."""
    venv.create(tmp_path / "bare", symlinks=True)
    _, *command = our_program("starlark_child")
    request = {"file": FILE, "text": "", "inputs": {}, "limits": {}}
    answer = subprocess.run(
        [tmp_path / "bare/bin/python", *command],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    fault, end = map(json.loads, answer.stdout.splitlines())
    assert fault[:2] == ["fault", ""]
    assert "pip install 'ciserver[starlark]'" in fault[2]
    assert end == ["end"]


def test_ten_thousand_jobs_are_no_matter():
    """Within the time that a recipe has."""
    job = '{"name": "j%d" % n, "image": "host", "tasks": [{"build": "make"}]}'
    assert len(returning(f"[{job} for n in range(10000)]").jobs) == 10_000
