"""`ciserver run` and `ciserver lint`: what needs no server and leaves nothing behind."""

import subprocess

import pytest
from support.server import cli

pytestmark = pytest.mark.e2e

RECIPE = """\
image: host
tasks:
  - build: |
      cd hello
      cat word.txt
artifacts:
  - hello/word.txt
"""
TEN_FAULTS = """\
image: 7
tasks: compile
sources: https://git.example.org/one
environment: production
artifacts: [../secret.txt]
timeout: -1
silence: soon
priority: high
network: perhaps
tirggers: []
"""


@pytest.fixture
def hello(place):
    """A working tree with a recipe that was committed and a file that was changed since."""
    tree = place / "hello"
    tree.mkdir()
    for command in (["init", "-q", "-b", "main"], ["add", "-A"]):
        subprocess.run(["git", "-C", str(tree), *command], check=True)
        (tree / ".build.yml").write_text(RECIPE)
        (tree / ".gitignore").write_text("ignored.txt\n")
        (tree / "word.txt").write_text("committed\n")
    (tree / "word.txt").write_text("changed since\n")
    (tree / "ignored.txt").write_text("ignored\n")
    return tree


def run(offline, tree, *arguments):
    return offline.cli("run", str(tree), *arguments, check=False)


def test_the_working_tree_is_built_as_it_is(offline, hello, tmp_path):
    """What is not committed is taken along, what git ignores is not; artifacts are kept on wish."""
    (hello / ".build.yml").write_text(RECIPE.replace("cat word.txt", "ls; cat word.txt"))
    done = run(offline, hello, "--products", str(tmp_path / "products"))
    assert done.returncode == 0, done.stderr
    assert "changed since\n" in done.stdout
    assert "ignored.txt" not in done.stdout
    assert (tmp_path / "products" / "word.txt").read_text() == "changed since\n"
    assert "build succeeded" in done.stderr


def test_a_run_leaves_the_tree_and_the_data_directory_alone(offline, hello):
    """Nothing is written beside what the recipe says."""
    before = {path.name for path in hello.iterdir()}, {path.name for path in offline.data.iterdir()}
    assert run(offline, hello).returncode == 0
    after = {path.name for path in hello.iterdir()}, {path.name for path in offline.data.iterdir()}
    assert after == before


@pytest.mark.parametrize(
    ("recipe", "code", "said"),
    [
        ("image: host\ntasks:\n  - fail: exit 9\n", 1, "exited with status 9"),
        ("image: host\ntimeout: 0.01\ntasks:\n  - slow: sleep 60\n", 124, "longer than its limit"),
        ("image: host\nartifacts: [absent]\ntasks:\n  - work: 'true'\n", 1, "absent"),
        ("image: host\n", 2, "tasks: is required"),
    ],
    ids=["failure", "time limit", "missing artifact", "broken recipe"],
)
def test_the_exit_status_is_the_result(offline, hello, recipe, code, said):
    """1 for a failure, 124 for a time limit, 2 for a broken recipe; each with the reason."""
    (hello / ".build.yml").write_text(recipe)
    done = run(offline, hello)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_one_of_several_jobs_is_run(offline, hello):
    """--job chooses; without it all run and the worst result counts; an unknown job is exit 4."""
    (hello / ".builds").mkdir()
    (hello / ".builds" / "bad.yml").write_text("image: host\ntasks:\n  - fail: exit 9\n")
    assert run(offline, hello, "--job", "build").returncode == 0
    assert run(offline, hello).returncode == 1
    done = run(offline, hello, "--job", "cake")
    assert (done.returncode, "no job cake" in done.stderr) == (4, True)


def test_a_directory_without_a_recipe_is_exit_4(offline, place):
    """With the names that were looked for; a directory that is not there is exit 2."""
    (place / "empty").mkdir()
    done = run(offline, place / "empty")
    assert (done.returncode, ".build.yml" in done.stderr) == (4, True)
    assert run(offline, place / "absent").returncode == 2


def test_lint_names_every_fault(tmp_path):
    """Exit 2 and a line for each fault with the file and the key; exit 0 for a good recipe."""
    file = tmp_path / ".build.yml"
    file.write_text(TEN_FAULTS)
    done = cli("lint", str(file), check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode, len(lines)) == (2, 10), lines
    assert all(line.startswith(f"{file}: ") for line in lines)
    assert any("tirggers: " in line and "triggers" in line for line in lines)
    file.write_text(RECIPE)
    assert cli("lint", str(file)).stdout == f"{file}: no faults\n"
    assert cli("lint", str(tmp_path / "absent"), check=False).returncode == 2
