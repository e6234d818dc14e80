"""Names in `needs` become builds, in an order in which nothing waits for itself."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.build import Job, Task
from ciserver.recipe.graph import Placed, order
from ciserver.recipe.manifest import read_manifest

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])

X86, ARM = "x86_64-linux", "aarch64-linux"


def make_job(name, *needs, base="", system=X86, file=""):
    return Job(
        name,
        file or f"{base or name}.yml",
        "host",
        system,
        (Task("t", "make"),),
        base=base or name,
        needs=needs,
    )


def placed(jobs):
    made, complaints = order(jobs)
    assert complaints == ()
    return made


def names_of(made):
    return [one.job.name for one in made]


def needs_of(jobs):
    return {one.job.identity: one.needs for one in placed(jobs)}


def complaints_of(*jobs):
    made, complaints = order(jobs)
    assert made == ()
    return [str(one) for one in complaints]


def test_jobs_come_after_what_they_need():
    """Those that need nothing keep their places."""
    deploy, test = make_job("deploy", "test"), make_job("test", "build")
    build, other = make_job("build"), make_job("a")
    assert placed([deploy, test, build, other]) == (
        Placed(build, ()),
        Placed(test, (("build", X86),)),
        Placed(deploy, (("test", X86),)),
        Placed(other, ()),
    )


def test_a_recipe_means_all_that_its_matrix_makes():
    """A job's own name means that one."""
    variants = [make_job(f"test.{number}", base="test") for number in (1, 2)]
    needs = needs_of([*variants, make_job("all", "test"), make_job("one", "test.2")])
    assert needs["all", X86] == (("test.1", X86), ("test.2", X86))
    assert needs["one", X86] == (("test.2", X86),)


def test_the_same_system_is_meant_where_there_is_one():
    """Otherwise the builds for every system are."""
    jobs = [
        *(make_job("build", system=system) for system in (X86, ARM)),
        *(make_job("test", "build", system=system) for system in (X86, ARM)),
        make_job("report", "test", system="riscv64-linux"),
    ]
    needs = needs_of(jobs)
    assert needs["test", ARM] == (("build", ARM),)
    assert needs["report", "riscv64-linux"] == (("test", X86), ("test", ARM))


def test_a_recipe_goes_before_a_job_of_the_same_name():
    """`a.b` is the file's job, not the one that another file's matrix makes."""
    jobs = [
        make_job("a.c", base="a"),
        *(make_job(f"a.b.{number}", base="a.b") for number in (1, 2)),
        make_job("last", "a.b"),
    ]
    assert needs_of(jobs)["last", X86] == (("a.b.1", X86), ("a.b.2", X86))


def test_needs_are_read_from_recipes():
    """What the reader makes fits together."""
    files = {
        "build.yml": "systems: [x86_64-linux, aarch64-linux]",
        "test.yml": "matrix: {py: [3, 4]}\nneeds: [build]",
        "deploy.yml": "needs: [test, build]",
    }
    jobs = [
        job
        for file, keys in files.items()
        for job in read_manifest(
            file, f"image: host\ntasks: [t: make]\n{keys}", default_system=X86
        ).jobs
    ]
    made = placed(jobs)
    assert names_of(made) == ["build", "build", "test.3", "test.4", "deploy"]
    assert made[-1].needs == (("test.3", X86), ("test.4", X86), ("build", X86))


def test_an_unknown_name_is_told_with_the_nearest():
    """Once for all jobs of a recipe, at its place in the list."""
    jobs = [make_job(f"test.{number}", "build", "buidl", base="test") for number in (1, 2)]
    assert complaints_of(make_job("build"), *jobs) == [
        "test.yml: needs[1]: no recipe makes the job 'buidl'; did you mean build?"
    ]
    assert complaints_of(make_job("a", "zzz")) == ["a.yml: needs[0]: no recipe makes the job 'zzz'"]


@pytest.mark.parametrize("name", ["test", "test.1"])
def test_a_job_does_not_need_itself(name):
    """By its own name or its recipe's."""
    assert complaints_of(make_job("test.1", name, base="test")) == [
        "test.yml: needs[0]: a job cannot need itself"
    ]


def test_a_circle_is_spelled_out():
    """Where it closes; jobs that only lead to it are not blamed."""
    jobs = [
        make_job("first", "a"),
        make_job("a", "b"),
        make_job("b", "last", "c"),
        make_job("c", "a"),
        make_job("last"),
    ]
    assert complaints_of(*jobs) == [
        "c.yml: needs[0]: goes round in a circle: c needs a needs b needs c"
    ]


def test_every_circle_is_told_once():
    """However many jobs a matrix brings into it."""
    left = [make_job(f"a.{number}", "b", base="a") for number in range(30)]
    right = [make_job(f"b.{number}", "a", base="b") for number in range(30)]
    complaints = complaints_of(*left, *right, make_job("c", "d"), make_job("d", "c"))
    assert [one.partition(": goes")[0] for one in complaints] == [
        "b.yml: needs[0]",
        "d.yml: needs[0]",
    ]


def test_all_faults_are_told_at_once():
    """An unknown name hides no circle, and none of both a name that is taken."""
    twin = make_job("a", file="other.yml", system=ARM)
    complaints = complaints_of(make_job("a", "b", "x"), make_job("b", "a"), twin)
    assert [one.partition(":")[0] for one in complaints] == ["other.yml", "a.yml", "b.yml"]
    assert "the job a is already made by a.yml" in complaints[0]


def test_a_file_makes_a_job_for_a_system_once():
    """Two builds could not be told apart."""
    assert complaints_of(make_job("a"), make_job("a")) == [
        f"a.yml: makes the job a for {X86} twice"
    ]


def make_jobs(number, needs_of):
    return [make_job(f"job-{place}", *needs_of(place)) for place in range(number)]


@pytest.mark.parametrize(
    "needs_of",
    [lambda place: [f"job-{place + 1}"] * (place < 9999), lambda place: ["job-0"] * (place > 0)],
    ids=["chain", "star"],
)
def test_ten_thousand_jobs_are_ordered_soon(needs_of):
    """However deep or wide they hang together."""
    jobs = make_jobs(10_000, needs_of)
    began = time.process_time()
    made = placed(jobs)
    assert time.process_time() - began < 10
    assert len(made) == 10_000


@pytest.mark.parametrize(
    ("needs_of", "count"),
    [
        (lambda place: [f"job-{(place + 1) % 10_000}"], 1),
        (lambda place: [f"job-{(place + 1) % 10_000}", "job-0"], 100),
        (lambda place: [f"job-x{place}"], 101),
    ],
    ids=["circle", "circles", "unknown"],
)
def test_ten_thousand_jobs_with_faults_are_refused_soon(needs_of, count):
    """The cost is bounded by what was written, not by what it means."""
    jobs = make_jobs(10_000, needs_of)
    began = time.process_time()
    complaints = complaints_of(*jobs)
    assert time.process_time() - began < 10
    assert len(complaints) == count


def test_a_matrix_with_a_thousand_needs_is_refused_soon():
    """Its names are looked up once and not for each of its jobs."""
    needs = [f"x{number}" for number in range(1000)]
    jobs = [make_job(f"a.{number}", *needs, base="a") for number in range(10_000)]
    began = time.process_time()
    assert len(complaints_of(*jobs)) == 101
    assert time.process_time() - began < 10


def test_builds_do_not_wait_for_too_many_others():
    """Two matrices of a thousand would be a million needs."""
    jobs = [make_job(f"a.{number}", "b", base="a") for number in range(1000)]
    jobs += [make_job(f"b.{number}", base="b") for number in range(1000)]
    (complaint,) = complaints_of(*jobs)
    assert (
        complaint == "a.yml: needs: the builds would wait for more than 100000 others; name fewer"
    )


letters = st.sampled_from("abcdef")


@patient
@given(st.dictionaries(letters, st.lists(letters, max_size=3, unique=True)))
def test_an_order_is_right_or_there_is_a_complaint(needs):
    """Every job stands after all that it needs."""
    made, complaints = order([make_job(name, *needed) for name, needed in needs.items()])
    if complaints:
        assert made == ()
        return
    names = names_of(made)
    assert sorted(names) == sorted(needs)
    for name, needed in needs.items():
        assert all(names.index(one) < names.index(name) for one in needed)
