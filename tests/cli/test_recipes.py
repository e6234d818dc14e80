"""`ciserver lint`, `plan` and `run` over several recipes: needs, filters, faults across files."""

import json
import subprocess

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from ciserver.cli.main import main

JOB = "image: host\ntasks:\n  - work: echo worked\n"


def ciserver(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def tree(tmp_path):
    """A committed working tree; `write` adds recipes to it."""
    made = tmp_path / "hello"
    made.mkdir()
    git(made, "init", "-q", "-b", "main")
    (made / "word.txt").write_text("one\n")
    git(made, "add", "-A")
    git(made, "-c", "user.name=Ada", "-c", "user.email=a@example.org", "commit", "-qm", "One")
    return made


def git(tree, *arguments):
    subprocess.run(["git", "-C", str(tree), *arguments], check=True, capture_output=True)


def write(tree, **recipes):
    (tree / ".builds").mkdir(exist_ok=True)
    for name, text in recipes.items():
        (tree / ".builds" / f"{name}.yml").write_text(text)


# -- lint -----------------------------------------------------------------------------------------


def test_lint_of_a_directory_looks_at_all_recipes_together(tree):
    """What is needed must be there, and nothing may wait for itself: each fault with its file."""
    write(tree, a=JOB + "needs: [b]\n", b=JOB + "needs: [a]\n", c=JOB + "needs: [cake]\n")
    done = ciserver("lint", tree)
    lines = done.output.splitlines()
    assert (done.exit_code, len(lines)) == (2, 2)
    assert any(
        f"{tree}/.builds/c.yml: needs[0]: no recipe makes the job 'cake'" in one for one in lines
    )
    assert any("goes round in a circle: " in one for one in lines)
    write(tree, b=JOB, c=JOB)
    assert ciserver("lint", tree).output == f"{tree}: no faults\n"


def test_lint_does_not_blame_who_needs_a_broken_recipe(tree):
    """Only the broken one has faults; a fault of another is named beside."""
    write(tree, broken="image: host\n", needy=JOB + "needs: [broken]\n", own=JOB + "needs: [own]\n")
    lines = ciserver("lint", tree).output.splitlines()
    assert lines == [
        f"{tree}/.builds/broken.yml: tasks: is required",
        f"{tree}/.builds/own.yml: needs[0]: a job cannot need itself",
    ]


def test_lint_takes_several_files(tree):
    """Each by itself: what one needs may lie in a file that was not named."""
    write(tree, good=JOB + "needs: [elsewhere]\n", bad="image: host\n", worse="- list\n")
    files = [tree / ".builds" / f"{name}.yml" for name in ("good", "bad", "worse")]
    done = ciserver("lint", *files)
    good, bad, worse = done.output.splitlines()
    assert (done.exit_code, good) == (2, f"{files[0]}: no faults")
    assert bad == f"{files[1]}: tasks: is required"
    assert worse.startswith(f"{files[2]}: must be a map")


def test_lint_without_a_recipe_is_exit_4(tree):
    """With the names that were looked for; a directory of such a name is no recipe."""
    (tree / ".build.yml").mkdir()
    done = ciserver("lint", tree)
    assert (done.exit_code, ".build.yaml" in done.output) == (4, True)
    assert ciserver("lint", tree / "absent").exit_code == 2


def test_lint_prints_the_schema():
    """Of JSON, for editors."""
    done = ciserver("lint", "--schema")
    schema = json.loads(done.stdout)
    Draft202012Validator.check_schema(schema)
    assert (done.exit_code, "needs" in schema["properties"]) == (0, True)


# -- plan -----------------------------------------------------------------------------------------


def test_plan_tells_the_order_and_what_is_left_out(tree):
    """Jobs after what they need, and the filter that keeps the others away."""
    when = "when:\n  kinds: [nightly]\n"
    write(tree, a=JOB + "needs: [b]\n", b=JOB, night=JOB + when, after=JOB + "needs: [night]\n")
    done = ciserver("plan", tree)
    heading, *jobs = done.output.splitlines()[:3]
    assert heading.split() == ["JOB", "SYSTEM", "NEEDS"]
    assert [one.split()[0] for one in jobs] == ["b", "a"]
    assert jobs[1].split()[-1] == "b"
    assert set(done.output.splitlines()[3:]) == {
        "left out: after: needs: night is left out",
        "left out: night: when.kinds: push is none of nightly",
    }
    assert "night" in ciserver("plan", tree, "--kind", "nightly").output.splitlines()[1]


def test_plan_names_a_file_whose_job_another_one_makes(tree):
    """As the evaluation of a push does; it is not even read."""
    write(tree, a=JOB)
    (tree / ".builds" / "a.yaml").write_text("image: 3")
    assert ciserver("plan", tree).output.splitlines()[2:] == [
        "left out: a: .builds/a.yaml: the job is made by .builds/a.yml"
    ]


def test_plan_as_json(tree):
    """The same for programs."""
    write(tree, a=JOB + "needs: [b]\n", b=JOB, off=JOB + "when:\n  refs: [never]\n")
    told = json.loads(ciserver("plan", tree, "-o", "json").stdout)
    assert [one["job"] for one in told["jobs"]] == ["b", "a"]
    system = told["jobs"][0]["system"]
    assert told["jobs"][1]["needs"] == [{"job": "b", "system": system}]
    assert [one["job"] for one in told["skipped"]] == ["off"]


def test_plan_for_another_ref(tree):
    """By default for the branch that is checked out."""
    write(tree, main=JOB + "when:\n  refs: [main]\n", release=JOB + "when:\n  refs: ['v*']\n")
    jobs = [one.split()[0] for one in ciserver("plan", tree).output.splitlines()]
    assert jobs[:2] == ["JOB", "main"]
    tagged = ciserver("plan", tree, "--ref", "refs/tags/v1").output.splitlines()
    assert tagged[1].split()[0] == "release"


def test_plan_compares_with_a_revision(tree):
    """Changed files and new ones count, committed or not; an unknown revision is exit 4."""
    write(tree, docs=JOB + "when:\n  paths: [docs]\n", words=JOB + "when:\n  paths: [word.txt]\n")

    def planned(*arguments):
        told = json.loads(ciserver("plan", tree, "-o", "json", *arguments).stdout)
        return [one["job"] for one in told["jobs"]]

    assert planned() == ["docs", "words"]
    assert planned("--base", "HEAD") == []
    (tree / "docs").mkdir()
    (tree / "docs" / " a\u00e4.txt").write_text("new\n")
    assert planned("--base", "main") == ["docs"]
    (tree / "word.txt").write_text("two\n")
    assert planned("--base", "main") == ["docs", "words"]
    for wrong in ("cake", "--output=x"):
        done = ciserver("plan", tree, f"--base={wrong}")
        assert (done.exit_code, "cannot be compared" in done.output) == (4, True), wrong
    assert not (tree / "x").exists()


def test_plan_of_a_broken_recipe_is_exit_2(tree):
    """Every fault is named, and nothing is planned."""
    write(tree, a=JOB + "needs: [cake]\n", b="image: host\n")
    done = ciserver("plan", tree)
    assert done.exit_code == 2
    assert ".builds/a.yml: needs[0]: no recipe makes the job 'cake'" in done.output
    assert ".builds/b.yml: tasks: is required" in done.output
    assert "JOB" not in done.output


# -- run ------------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_jobs_run_after_those_they_need(offline, place):
    """In the order of their needs; what needs a failed one is skipped, which is said."""
    tree = place / "hello"
    tree.mkdir()
    failing = "image: host\ntasks:\n  - work: exit 3\n"
    write(
        tree,
        a=JOB + "needs: [b]\n",
        b=JOB,
        c=failing,
        d=JOB + "needs: [c]\n",
        e=JOB + "needs: [d]\n",
    )
    done = offline.cli("run", str(tree), check=False)
    ends = [one for one in done.stderr.splitlines() if " in " in one or "skipped" in one]
    assert done.returncode == 1
    assert [one.split()[1:3] for one in ends] == [
        ["b", "succeeded"],
        ["a", "succeeded"],
        ["c", "failed"],
        ["d", "is"],
        ["e", "is"],
    ]
    assert "== d is skipped: it needs c, which did not succeed" in ends
    assert "== e is skipped: it needs d, which did not succeed" in ends
    alone = offline.cli("run", str(tree), "--job", "d", check=False)
    assert (alone.returncode, "d succeeded" in alone.stderr) == (0, True)
