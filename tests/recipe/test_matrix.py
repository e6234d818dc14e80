"""One recipe makes a job for each combination of its matrix and each of its systems."""

import json
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.recipe.manifest import read_manifest

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(suppress_health_check=[HealthCheck.too_slow])


def read_with(text="", **keys):
    text = text or json.dumps({"image": "host", "tasks": [{"test": "make"}]} | keys)
    return read_manifest(".builds/test.yml", text, default_system="x86_64-linux")


def jobs_with(text="", **keys):
    reading = read_with(text, **keys)
    assert reading.complaints == ()
    return reading.jobs


MATRIX = """
image: host
environment: {MODE: quick}
matrix:
  python: ["3.10", 3, pypy3.10]
  db: [sqlite, postgres]
  exclude:
    - {python: 3, db: postgres}
    - {python: pypy3.10}
tasks:
  - test: make check
"""


def test_a_matrix_makes_a_job_for_each_combination():
    """Names and variables follow the order of its keys; other variables stay."""
    jobs = jobs_with(MATRIX)
    assert [job.name for job in jobs] == ["test.3.10.sqlite", "test.3.10.postgres", "test.3.sqlite"]
    assert {job.base for job in jobs} == {"test"}
    assert jobs[1].environment == {"MODE": "quick", "python": "3.10", "db": "postgres"}


def test_each_combination_is_built_for_each_system():
    """The system is not part of the name; the builds of one job stand together."""
    jobs = jobs_with(matrix={"a": ["x", "y"]}, systems=["x86_64-linux", "arm64-linux"])
    assert [(job.name, job.system) for job in jobs] == [
        ("test.x", "x86_64-linux"),
        ("test.x", "aarch64-linux"),
        ("test.y", "x86_64-linux"),
        ("test.y", "aarch64-linux"),
    ]


def test_systems_need_no_matrix():
    """Both common names of a machine mean one system, which is built once."""
    jobs = jobs_with(systems=["aarch64-linux", "riscv64-linux", "arm64-linux"])
    assert [(job.name, job.system) for job in jobs] == [
        ("test", "aarch64-linux"),
        ("test", "riscv64-linux"),
    ]


def test_values_are_the_text_that_was_written():
    """Whole numbers and quoted ones; true and false by their plain names."""
    (job,) = jobs_with(matrix={"a": [7], "b": ["3.10"], "c": [True], "d": ["-O2"], "e": ["c++"]})
    assert job.name == "test.7.3.10.true.-O2.c++"
    assert job.environment == {"a": "7", "b": "3.10", "c": "true", "d": "-O2", "e": "c++"}


def test_what_a_name_says_is_text_and_never_a_template():
    """No part of a recipe is filled in."""
    (job,) = jobs_with(
        matrix={"a": ["x"]}, environment={"B": "${{ matrix.a }}"}, tasks=[{"t": "echo $a {a}"}]
    )
    assert job.environment["B"] == "${{ matrix.a }}"
    assert job.tasks[0].script == "echo $a {a}"


def test_faults_of_a_matrix_are_told_together():
    """A fault in one list hides none in another, nor in what is excluded."""
    reading = read_with(
        arch="x86_64",
        systems=["x"],
        environment={"c": 1},
        matrix={
            "a": [1.5, "x"],
            "b": ["x", "x"],
            "c": ["x"],
            "d e": ["x"],
            "exclude": [{"b": "y"}, {"a": None}],
        },
    )
    assert sorted(one.field for one in reading.complaints) == [
        "matrix.a[0]",
        "matrix.b[1]",
        "matrix.c",
        "matrix.d e",
        "matrix.exclude[0].b",
        "matrix.exclude[1].a",
        "systems",
        "systems[0]",
    ]


def test_ten_thousand_jobs_are_made_soon():
    """As many as there may be, in less than two seconds."""
    values = [str(number) for number in range(100)]
    excluded = [{"a": str(number), "b": "0"} for number in range(100)]
    began = time.process_time()
    jobs = jobs_with(matrix={"a": values, "b": values, "exclude": excluded})
    assert time.process_time() - began < 10
    assert len({job.name for job in jobs}) == len(jobs) == 9900


@pytest.mark.parametrize(
    ("keys", "field", "number"),
    [
        ({"matrix": {"a": list(range(101)), "b": list(range(100))}}, "matrix", "10100 jobs"),
        ({"matrix": {"a": list(range(5001))}, "systems": ["x-linux"] * 2}, "matrix", "10002 jobs"),
        ({"matrix": {k: list(range(10)) for k in "abcdef"}}, "matrix", "1000000 jobs"),
        ({"matrix": {f"k{n}": [1, 2] for n in range(2000)}}, "matrix", "more than 1000000000000"),
    ],
)
def test_a_matrix_that_is_too_large_is_refused_by_its_size(keys, field, number):
    """The number is computed and nothing is made, whatever is excluded."""
    began = time.process_time()
    complaints = read_with(**keys).complaints
    assert time.process_time() - began < 10
    (told,) = [one for one in complaints if "jobs before any is excluded" in one.message]
    assert told.field == field
    assert f"makes {number}" in told.message
    assert told.message.endswith("one may make 10000")


def test_the_jobs_of_earlier_files_count_too():
    """Who reads many files says how many more jobs there may be."""
    text = "image: a\ntasks: [b: c]\n"
    systems = f"{text}systems: [x-linux, y-linux]\n"

    def read(text, most):
        return read_manifest("a.yml", text, default_system="s", most_jobs=most)

    assert len(read(systems, 2).jobs) == 2
    (complaint,) = read(systems, 1).complaints
    assert (complaint.field, complaint.message[:12]) == ("systems", "makes 2 jobs")
    (complaint,) = read(text, 0).complaints
    assert "and 0 of them are left" in complaint.message


def test_a_long_recipe_makes_fewer_jobs():
    """What is held of a recipe times its jobs is bounded."""
    environment = {f"NAME_{number}": "x" for number in range(4500)}
    values = [str(number) for number in range(900)]
    began = time.process_time()
    (complaint,) = read_with(environment=environment, matrix={"a": values}).complaints
    assert time.process_time() - began < 10
    assert complaint.field == "matrix"
    assert "too many for a recipe of this length" in complaint.message


def test_a_matrix_of_faults_is_read_soon():
    """Thousands of wrong values, names and exclusions cost little."""
    matrix = {f"k {n}": [1.5] for n in range(1000)} | {
        "v": [str(n) for n in range(1000)],
        "exclude": [{"v": f"x{n}", "w": 1} for n in range(1000)],
    }
    began = time.process_time()
    assert len(read_with(matrix=matrix).complaints) == 101
    assert time.process_time() - began < 10


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
lists = st.lists(st.sampled_from(["a", "b", "1", 1, True]) | scalars, max_size=4)
axes = st.dictionaries(st.sampled_from(["A", "b", "c d"]), lists | scalars, max_size=3)
parts = st.lists(st.dictionaries(st.sampled_from(["A", "b"]), scalars, max_size=2), max_size=3)


@patient
@given(axes, parts | scalars, st.sampled_from([{}, {"A": "x"}]))
def test_random_matrices_never_raise(matrix, exclude, environment):
    """Whatever the values are, there are jobs with names of their own, or complaints."""
    keys = {"matrix": matrix | {"exclude": exclude}, "environment": environment}
    recipe = {"image": "host", "tasks": [{"test": "make"}]} | keys
    reading = read_with(yaml.safe_dump(recipe, allow_unicode=True))
    assert (reading.jobs == ()) == bool(reading.complaints)
    assert len({job.name for job in reading.jobs}) == len(reading.jobs)
