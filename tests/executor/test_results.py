"""What a script leaves in `results/` and `archives/` of its work tree."""

import gzip
import io
import tarfile

import pytest

from ciserver.model.build import Source
from ciserver.model.errors import OverQuota
from ciserver.model.status import BuildStatus, Reason


@pytest.fixture
def run(world, place):
    """Runs this in the work tree of a build, which has a script of a repository to run."""
    tree = place / "tree"
    tree.mkdir()
    tree.chmod(0o777)  # and so will be its copy, which the build writes to

    def run(text, script="MATRIX", **job):
        sources = (Source(str(tree), "tools"),)
        job = {"script": script, "sources": sources, "partial_exit_code": 6} | job
        return world.run(f"set +x; cd tools; {text}", **job)

    return run


def kept(world):
    """The names and contents of what was handed in, by path."""
    recorder = world.recorder
    return {path: (recorder.kinds[path][0], recorder.products[path]) for path in recorder.products}


def test_each_file_of_results_is_kept_by_itself(world, run):
    """At any depth, by its own name."""
    script = "mkdir -p results/x86_64; echo iso > results/a.iso; echo sum > results/x86_64/a.md5"
    assert run(script).status is BuildStatus.SUCCEEDED
    assert kept(world) == {
        "tools/results/a.iso": ("a.iso", b"iso\n"),
        "tools/results/x86_64/a.md5": ("a.md5", b"sum\n"),
    }
    assert world.recorder.log(1).endswith("results: 2 files kept\n")


def test_archives_are_kept_as_one_file(world, run):
    """A packed archive, the same for the same content."""
    assert run("mkdir -p archives/deep; echo a > archives/deep/a").status is BuildStatus.SUCCEEDED
    ((path, (name, content)),) = kept(world).items()
    assert (path, name) == ("tools/archives", "archives.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        assert archive.getnames() == ["archives", "archives/deep", "archives/deep/a"]
        assert archive.extractfile("archives/deep/a").read() == b"a\n"
    assert gzip.compress(gzip.decompress(content), mtime=0)[4:8] == content[4:8]
    assert world.recorder.log(1).endswith("results: 1 file kept\n")


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        ("exit 6", BuildStatus.PARTIAL, Reason.NONE),
        ("exit 1", BuildStatus.FAILED, Reason.EXIT_CODE),
        ("sleep 60", BuildStatus.TIMED_OUT, Reason.TIME_LIMIT),
    ],
)
def test_they_are_kept_however_it_ends(world, run, end, status, reason):
    """Also of a script that failed or ran for too long."""
    world.limit(timeout_seconds=1.5)
    result = run(f"mkdir results; echo iso > results/a.iso; {end}")
    assert (result.status, result.reason) == (status, reason)
    assert list(kept(world)) == ["tools/results/a.iso"]


def test_nothing_is_kept_of_what_was_canceled(world, run):
    """Nobody waits for it any more."""
    world.recorder.canceling = True
    result = run("mkdir results; echo iso > results/a.iso; sleep 60")
    assert result.status is BuildStatus.CANCELED
    assert not kept(world)


def test_only_scripts_leave_results(world, run):
    """A recipe names its artifacts itself."""
    assert run("mkdir results; echo iso > results/a.iso", script="").status is BuildStatus.SUCCEEDED
    assert not kept(world)


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("ln -s /etc/passwd results/x", "tools/results/x is not kept: x is a symbolic link"),
        ("ln -s /etc results/x", "tools/results/x is not kept: x is a symbolic link"),
        ("mkfifo results/x", "tools/results/x is not kept: not a regular file"),
        (
            "rm -r results; ln -s /etc results",
            "tools/results is not kept: results is a symbolic link",
        ),
        ("ln -s /etc archives", "tools/archives is not kept: archives is a symbolic link"),
        ("echo > archives", "tools/archives is not kept: not a directory"),
        ("mkdir archives; mkfifo archives/x", "archives/x is a named pipe"),
        ("mkdir -p results/$(printf 'd/%.0s' $(seq 100))", "nested more than 64 levels deep"),
    ],
)
def test_what_is_no_file_is_not_kept_and_said(world, run, script, line):
    """No link is followed; the build is not worse for it."""
    assert run(f"mkdir results; {script}").status is BuildStatus.SUCCEEDED
    assert line in world.recorder.log(1)
    assert not kept(world)


def test_names_that_are_no_text(world, run):
    """They are shown as far as they can be."""
    assert run("mkdir results; echo a > $'results/\\xff'").status is BuildStatus.SUCCEEDED
    assert kept(world) == {"tools/results/\ufffd": ("\ufffd", b"a\n")}


def test_a_very_great_many_are_not_all_kept(world, run):
    """The log says so."""
    script = "mkdir results; cd results; for i in $(seq 1001); do echo > $i; done"
    assert run(script).status is BuildStatus.SUCCEEDED
    assert len(kept(world)) == 1000
    assert "results: only 1000 files of a build are kept\n" in world.recorder.log(1)


@pytest.mark.parametrize(
    ("end", "reason"), [("exit 0", Reason.OUTPUT_LIMIT), ("exit 1", Reason.EXIT_CODE)]
)
def test_more_than_may_be_kept(world, run, end, reason):
    """It fails the build, unless that failed by itself: that is worth more to know."""
    world.limit(products_bytes=1000)
    script = f"mkdir results archives; head -c 600 /dev/zero | tee results/a > archives/b; {end}"
    result = run(script)
    assert (result.status, result.reason) == (BuildStatus.FAILED, reason)
    assert "what is to be kept is larger than the limit of 1000 bytes" in world.recorder.log(1)


@pytest.mark.parametrize(
    ("end", "reason"), [("exit 0", Reason.PROJECT_QUOTA), ("exit 1", Reason.EXIT_CODE)]
)
def test_a_project_without_room(world, run, end, reason):
    """The same, with what the server says of it."""
    world.recorder.product_error = OverQuota("project hello may keep 2 MiB")
    result = run(f"mkdir results; echo > results/a; {end}")
    assert (result.status, result.reason) == (BuildStatus.FAILED, reason)
    assert "project hello may keep 2 MiB\n" in world.recorder.log(1)


def test_results_and_archives_share_the_limit(world, run):
    """With the products of outputs."""
    world.limit(products_bytes=1000)
    script = (
        "mkdir results $CISERVER_OUT/nix-support; head -c 600 /dev/zero | tee results/a > b;"
        'echo "file x $PWD/b" > $CISERVER_OUT/nix-support/hydra-build-products'
    )
    assert run(script).reason is Reason.OUTPUT_LIMIT
