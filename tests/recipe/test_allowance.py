"""What the recipes of one evaluation may make, all files together, and how much is said of them."""

import tracemalloc

import pytest

from ciserver.model.errors import Complaint
from ciserver.recipe.complaints import MOST, Faults, at_most
from ciserver.recipe.evaluators import read_recipes
from ciserver.recipe.expand import MOST_JOBS, MOST_OF_ALL, Allowance

JOB = b"image: host\ntasks:\n  - work: make\n"
PROGRAM = b"""\
def jobs(inputs):
    return [{"name": "star-%d" % n, "image": "host", "tasks": [{"b": "c"}]} for n in range(3)]
"""


def matrix(*lengths):
    axes = "".join(f"  a{n}: {list(map(str, range(size)))}\n" for n, size in enumerate(lengths))
    return JOB + b"matrix:\n" + axes.replace("'", '"').encode()


class Files:
    """Files that are counted when they are asked for."""

    def __init__(self, files):
        self._files = files
        self.asked = 0

    def __iter__(self):
        for one in self._files:
            self.asked += 1
            yield one


def read(files, **most):
    """Jobs and complaints of these files, and how many of them were asked for."""
    given, jobs, complaints = Files(files), 0, []
    for _, _, reading in read_recipes(
        given,
        default_system="x86_64-linux",
        inputs={},
        tree=None,
        allowance=Allowance(**most) if most else None,
    ):
        jobs += len(reading.jobs)
        complaints += reading.complaints
    return jobs, complaints, given.asked


def test_what_fits_together_is_read():
    files = [("a.yml", matrix(3)), ("b.star", PROGRAM), ("c.yml", matrix(2))]
    assert read(files, of_manifests=5, of_all=8) == (8, [], 3)


def test_the_file_that_makes_too_many_is_told_what_is_left():
    """Those after it are read: their faults are worth knowing, and they may fit."""
    files = [("a.yml", matrix(3)), ("b.yml", matrix(4)), ("c.yml", JOB), ("d.yml", b"image: 3")]
    jobs, complaints, _ = read(files, of_manifests=5)
    assert jobs == 4
    first, *rest = complaints
    assert (first.file, first.field) == ("b.yml", "matrix")
    assert first.message.startswith("makes 4 jobs before any is excluded")
    assert first.message.endswith("and 2 of them are left")
    assert {one.file for one in rest} == {"d.yml"}


def test_where_nothing_is_left_the_next_file_is_the_last():
    """It is named, and nothing after it is asked for."""
    files = [(f"{n}.yml", JOB) for n in range(1000)]
    jobs, (told,), asked = read(files, of_manifests=5)
    assert (jobs, asked, told.file) == (5, 6, "5.yml")
    assert told.message == (
        "was not read, and no file after it: the manifests before it make all of the 5 jobs that "
        "manifests may make together"
    )


def test_programs_go_on_where_manifests_end():
    """Up to what all together may make."""
    files = [("a.yml", matrix(2)), ("b.star", PROGRAM), ("c.star", PROGRAM), ("d.yml", JOB)]
    jobs, complaints, _ = read(files, of_manifests=2, of_all=8)
    assert (jobs, [one.file for one in complaints]) == (8, ["d.yml"])
    jobs, (told, *_), _ = read(files, of_manifests=2, of_all=7)
    assert (jobs, told.file) == (5, "c.star")
    assert told.message.startswith("makes more than 2 jobs; the recipes of a jobset together")
    jobs, (told,), _ = read(files[:3], of_manifests=2, of_all=5)
    assert told.message.endswith(
        "recipes before it make all of the 5 jobs that recipes may make together"
    )


def test_long_jobs_are_fewer():
    """Text counts once for each job that it is made for."""
    long = matrix(10) + b"# " + b"x" * 1000
    files = [(f"{n}.yml", long) for n in range(100)]
    jobs, (told,), _ = read(files, text=50_000)
    assert jobs == 50 == 10 * int(told.file.removesuffix(".yml"))
    assert "that jobs may hold together" in told.message


def test_the_usual_allowance():
    """As much as the documents say, however it is divided."""
    assert (MOST_JOBS, MOST_OF_ALL) == (10_000, 100_000)
    files = [(f"{n}.yml", matrix(100)) for n in range(200)]
    jobs, (told,), asked = read(files)
    assert (jobs, told.file, asked) == (10_000, "100.yml", 101)


def test_memory_is_bounded_whatever_there_is_to_read():
    """Files that would make hundreds of thousands of jobs, and as many with thousands of faults."""
    big = matrix(100, 100)
    files = ((f"{n}.yml", big) for n in range(40))
    faulty = ((f"f{n}.yml", b"".join(b"k%d: 1\n" % k for k in range(500))) for n in range(40))
    kept = Faults()
    tracemalloc.start()
    jobs = 0
    for source in (faulty, files):
        for _, _, reading in read_recipes(
            source, default_system="x86_64-linux", inputs={}, tree=None
        ):
            jobs += len(reading.jobs)
            kept.extend(reading.complaints)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert jobs == MOST_JOBS
    assert len(kept) == 40 * 502 + 1
    assert len(list(kept)) == MOST + 1
    assert peak < 64 << 20


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + 1, 10_000])
def test_so_many_faults_as_a_person_can_use(count):
    """The rest is counted in the last line."""
    told = at_most(Complaint(f"f{n}", "is wrong") for n in range(count))
    assert len(told) == min(count, MOST + 1)
    if count > MOST:
        rest = count - MOST
        assert str(told[-1]) == f"and {rest} more fault{'s' if rest > 1 else ''}"


def test_what_was_counted_is_counted_again():
    """Many files with many faults end in one line, which is right."""
    files = [at_most(Complaint(f"f{n}", "is wrong", file) for n in range(250)) for file in "abc"]
    told = at_most(one for each in files for one in each)
    assert {one.file for one in told[:-1]} == {"a"}
    assert (len(told), str(told[-1])) == (MOST + 1, "and 650 more faults")
    assert at_most(told) == told
