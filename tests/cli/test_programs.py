"""`ciserver lint`, `plan` and `run` over recipes that are programs."""

import json
import os
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from ciserver.cli.main import main

needs_nix = pytest.mark.skipif(
    shutil.which("nix-instantiate") is None and os.environ.get("CI") != "true",
    reason="Nix is not installed (Debian: nix-bin)",
)

STARLARK = """\
def jobs(inputs):
    script = "echo flavor $INPUT_FLAVOR; echo kind " + type(inputs.get("on"))
    return [
        {"name": name, "image": "host", "tasks": [{"work": script}]}
        for name in [inputs.get("flavor", "plain"), "other"]
    ]
"""
NIX = """\
{ src, flavor ? "none", on ? false }: {
  good = import ./derivation.nix { inherit src flavor; };
} // (if on then { bad = throw "not today"; } else { })
"""
DERIVATION = """\
{ src, flavor }: derivation {
  name = "made"; system = builtins.currentSystem; builder = "/bin/sh"; inherit src flavor;
  args = [ "-c" "read word < $src/word; echo $word $flavor; echo done > $out" ];
}
"""


def ciserver(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def tree(place):
    """A working tree that only its owner may read, with nothing committed."""
    made = place / "hello"
    made.mkdir(mode=0o700)
    subprocess.run(["git", "-C", str(made), "init", "-q", "-b", "main"], check=True)
    return made


def write(tree, **files):
    (tree / "ci").mkdir(exist_ok=True)
    for name, text in files.items():
        file = tree / "ci" / name.replace("_", ".")
        file.write_text(text)
        file.chmod(0o600)


def planned(tree, *arguments):
    done = ciserver("plan", tree, "-o", "json", *arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    return [one["job"] for one in told["jobs"]], [one["field"] for one in told["broken"]]


# -- Starlark -------------------------------------------------------------------------------------


def test_a_starlark_recipe_is_planned_with_its_inputs(tree):
    """Which files are recipes is said as for a jobset; without it the usual ones are."""
    write(tree, jobs_star=STARLARK)
    assert ciserver("plan", tree).exit_code == 4
    assert planned(tree, "--recipe", "ci/*.star") == (["plain", "other"], [])
    assert planned(tree, "--recipe", "ci/*.star", "--input", "flavor=sweet")[0][0] == "sweet"


def test_faults_of_a_starlark_recipe_are_told(tree):
    """With the words of a server, of a file as of a directory."""
    write(tree, jobs_star='def jobs(inputs):\n    return [{"name": "a", "image": 3}]\n')
    file = tree / "ci" / "jobs.star"
    for arguments in ([file], [tree, "--recipe", "ci/*.star"]):
        done = ciserver("lint", *arguments)
        assert done.exit_code == 2
        assert done.output.splitlines() == [
            f"{file}: jobs[0].image: must be a string, not a number",
            f"{file}: jobs[0].tasks: is required",
        ]
    write(tree, jobs_star=STARLARK)
    assert ciserver("lint", file).output == f"{file}: no faults\n"


def test_who_needs_what_a_broken_program_makes_is_not_blamed(tree):
    """Nobody knows what it would have made."""
    job = "image: host\nneeds: [made]\ntasks:\n  - work: make\n"
    write(tree, needy_yml=job, jobs_star="def jobs(inputs):\n    fail('no')\n")
    (told,) = ciserver("lint", tree, "--recipe", "ci/*").output.splitlines()
    assert told.startswith(f"{tree}/ci/jobs.star: line 2, column 5: fail: no")


def test_values_are_booleans_and_strings(tree):
    """`true` and `false` are no strings, unless it is said."""
    recipe = 'def jobs(inputs):\n    fail(type(inputs["on"]), inputs["on"])\n'
    write(tree, jobs_star=recipe)
    for value, told in {
        "on=true": "bool True",
        "on:boolean=false": "bool False",
        "on:string=true": "string true",
        "on=": "string",
        "on=a=b": "string a=b",
    }.items():
        said = ciserver("lint", tree, "--recipe", "ci/*.star", "--input", value).output
        assert f"fail: {told}\n" in said, value


def test_options_are_checked_as_a_jobset_checks_them(tree):
    """Every fault at once."""
    given = ("x", "2=3", "a=1", "a=2", "b:path=x", "c:boolean=5")
    inputs = [word for one in given for word in ("--input", one)]
    done = ciserver("lint", tree, "--recipe", "../*", "--recipe", "/etc/*", *inputs)
    assert done.exit_code == 2
    for told in (
        "--input: must be NAME=VALUE, not 'x'",
        "--input: must be NAME=VALUE, not 'b:path=x'",
        "inputs.2: must be letters",
        "inputs.a: is there twice",
        "inputs.c: must be true or false",
        "recipe_path: must be a path inside the repository",
    ):
        assert told in done.output


def test_a_file_that_is_too_large_is_told(tree):
    """What a server would not read is not read here."""
    write(tree, jobs_star=STARLARK + "#" * (256 * 1024))
    done = ciserver("lint", tree / "ci" / "jobs.star")
    assert (done.exit_code, "more than the 262144 bytes allowed" in done.output) == (2, True)


def test_what_git_would_not_read_is_no_recipe(tree):
    """A link is none, and a star does not match a slash."""
    write(tree, jobs_star=STARLARK)
    (tree / "ci" / "link.star").symlink_to("jobs.star")
    (tree / "ci" / "deep").mkdir()
    (tree / "ci" / "deep" / "more.star").write_text("broken")
    assert planned(tree, "--recipe", "*/*.star") == (["plain", "other"], [])


def test_thousands_of_faults_end_in_one_line(tree):
    """Of many files together."""
    for number in range(5):
        write(tree, **{f"{number}_yml": "".join(f"key{n}: 1\n" for n in range(2000))})
    lines = ciserver("lint", tree, "--recipe", "ci/*.yml").output.splitlines()
    assert (len(lines), lines[-1]) == (101, "and 9910 more faults")


@pytest.mark.e2e
def test_a_starlark_job_is_run_with_its_inputs(offline, tree):
    """They are in its environment, as on a server."""
    write(tree, jobs_star=STARLARK)
    arguments = ("run", str(tree), "--recipe", "ci/*.star", "--job", "sweet")
    done = offline.cli(*arguments, "--input", "flavor=sweet", "--input", "on=true", check=False)
    assert done.returncode == 0, done.stderr
    assert "\nflavor sweet\n" in done.stdout
    assert "\nkind bool\n" in done.stdout


# -- Nix ------------------------------------------------------------------------------------------


@needs_nix
def test_a_nix_recipe_is_planned_with_its_inputs(tree):
    """A broken attribute keeps only itself from being built, and is a fault for lint."""
    write(tree, release_nix=NIX, derivation_nix=DERIVATION)
    where = ("--recipe", "ci/release.nix")
    assert planned(tree, *where) == (["good"], [])
    assert planned(tree, *where, "--input", "on=true") == (["good"], ["bad"])
    done = ciserver("plan", tree, *where, "--input", "on=true")
    assert done.output.endswith("broken: ci/release.nix: bad: not today\n")
    file = tree / "ci" / "release.nix"
    for arguments in ([tree, *where], [file]):
        done = ciserver("lint", *arguments, "--input", "on=true")
        assert (done.exit_code, done.output) == (2, f"{file}: bad: not today\n")
        assert ciserver("lint", *arguments).exit_code == 0


@needs_nix
def test_only_broken_attributes_are_nothing_to_plan(tree):
    write(tree, release_nix='{ bad = throw "not today"; }')
    done = ciserver("plan", tree, "--recipe", "ci/release.nix")
    assert (done.exit_code, "bad: not today" in done.output) == (2, True)


@needs_nix
def test_a_nix_file_without_a_repository_is_told(place):
    """Nobody knows how much around it belongs to it; its directory can be named."""
    file = place / "alone.nix"
    file.write_text("{ }")
    done = ciserver("lint", file)
    assert (done.exit_code, "is in no git repository" in done.output) == (2, True)
    folder = place / "folder"
    folder.mkdir()
    (folder / "a.nix").write_text("{ a = null; }")
    assert ciserver("lint", folder, "--recipe", "*.nix").exit_code == 0


@needs_nix
@pytest.mark.e2e
def test_a_nix_job_is_run_as_a_server_runs_it(offline, tree):
    """In its sandbox, with the files that are not committed; what is broken is a failure."""
    write(tree, release_nix=NIX, derivation_nix=DERIVATION)
    (tree / "word").write_text("own\n")
    arguments = ("run", str(tree), "--recipe", "ci/release.nix", "--input", "flavor=sweet")
    done = offline.cli(*arguments, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "own sweet" in done.stdout
    done = offline.cli(*arguments, "--input", "on=true", check=False)
    assert done.returncode == 1
    assert "broken: ci/release.nix: bad: not today" in done.stderr
    assert "good succeeded" in done.stderr
