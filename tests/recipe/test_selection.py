"""What a push asks for, and what is left out with which reason."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.build import Job, Task
from ciserver.model.evaluation import Kind
from ciserver.recipe.globs import Changes
from ciserver.recipe.selection import left_out, recipe_globs, skip_reason, submit_faults

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])

TASKS = (Task("build", "make"),)


def job_of(**filters):
    return Job("build", ".build.yml", "debian", "x86_64-linux", TASKS, **filters)


@pytest.mark.parametrize(
    "message",
    [
        "[skip ci] typo",
        "typo\n\nbody [CI Skip] here",
        "x [no ci]",
        "x [Skip Actions]",
        "x [actions skip]",
        "subject\n\nbody\n\nskip-checks: true",
        "subject\r\n\r\nSigned-off-by: J\r\nSkip-Checks: TRUE\r\n",
    ],
)
def test_a_message_can_ask_for_no_builds(message):
    """The known words count in any case and place, the trailer in the last paragraph."""
    assert skip_reason(message).startswith("the commit message says ")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "skip ci",
        "[skip  ci]",
        "skip-checks: true",
        "subject\n\nskip-checks: true\n\nmore text",
        "subject\n\nskip-checks: false",
    ],
)
def test_other_messages_ask_for_nothing(message):
    """Only the exact words skip."""
    assert skip_reason(message) == ""


@pytest.mark.parametrize(
    ("globs", "ref"),
    [
        ((), "refs/heads/x"),
        ((), ""),
        (("main",), "refs/heads/main"),
        (("refs/heads/main",), "refs/heads/main"),
        (("a", "v*"), "refs/tags/v1"),
        (("release/*",), "refs/heads/release/1/2"),
        (("pull/*",), "refs/pull/3/head"),
    ],
)
def test_a_ref_that_a_glob_matches_is_built(globs, ref):
    """The full and the short name count; no globs match everything."""
    assert left_out(job_of(refs=globs), Kind.PUSH, ref) == ""


def test_a_ref_that_no_glob_matches_is_left_out():
    """The reason names the filter, the ref and the globs; case matters."""
    job = job_of(refs=("main", "v*"))
    assert left_out(job, Kind.PUSH, "refs/heads/Main") == (
        "when.refs: refs/heads/Main matches none of main, v*"
    )
    assert left_out(job, Kind.API, "") == "when.refs: no ref matches none of main, v*"


def test_a_kind_that_is_not_asked_for_is_left_out():
    """By default schedules and pull requests are; the reason names the filter."""
    assert left_out(job_of(), Kind.NIGHTLY, "") == (
        "when.kinds: nightly is none of push, tag, manual, api"
    )
    assert left_out(job_of(kinds=(Kind.NIGHTLY,)), Kind.NIGHTLY, "") == ""
    assert left_out(job_of(kinds=()), Kind.PUSH, "") == "when.kinds: push is none of (nothing)"


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"by_push": False}, "submitter.git.sr.ht.enabled: pushes do not build it"),
        (
            {"push_refs": ("main", "v?")},
            "submitter.git.sr.ht.allow-refs: refs/heads/x matches none of main, v?",
        ),
    ],
)
def test_a_submitter_leaves_out_what_is_pushed(filters, reason):
    """And nothing that is asked for in another way; both filters of refs must fit."""
    job = job_of(**filters)
    assert left_out(job, Kind.PUSH, "refs/heads/x") == reason
    assert left_out(job, Kind.TAG, "refs/heads/x") == reason
    assert left_out(job, Kind.MANUAL, "refs/heads/x") == ""
    both = job_of(push_refs=("x",), refs=("main",))
    assert left_out(both, Kind.PUSH, "refs/heads/x").startswith("when.refs:")


def test_a_push_that_changes_no_path_of_a_job_leaves_it_out():
    """The reason names the filter, how many files changed, and the globs."""
    job = job_of(changed_paths=("src", "**/*.py"))
    assert left_out(job, Kind.PUSH, "", Changes(["README.md", "docs/index.md"])) == (
        "when.paths: none of the 2 changed files matches src, **/*.py"
    )
    assert left_out(job, Kind.PUSH, "", Changes([])).startswith("when.paths: none of the 0")


@pytest.mark.parametrize("changed", [["README.md", "src/a.c"], ["docs/conf.py"]])
def test_a_push_that_changes_a_path_of_a_job_builds_it(changed):
    """One file that one glob names is enough."""
    job = job_of(changed_paths=("src", "**/*.py"))
    assert left_out(job, Kind.PUSH, "", Changes(changed)) == ""


def test_where_changes_are_not_known_no_job_is_left_out_for_its_paths():
    """A new branch has nothing that it could be compared with."""
    assert left_out(job_of(changed_paths=("src",)), Kind.PUSH, "refs/heads/new") == ""


def test_every_filter_must_fit():
    """A changed path does not help a job whose refs do not fit."""
    job = job_of(changed_paths=("src",), refs=("main",))
    assert left_out(job, Kind.PUSH, "refs/heads/x", Changes(["src/a"])).startswith("when.refs:")


@patient
@given(st.text(max_size=30), st.text("[]!*?-za/", max_size=30))
def test_no_glob_breaks_the_choice(ref, glob):
    """Any text may stand where a glob is due."""
    left_out(job_of(refs=(glob,)), Kind.PUSH, ref)


@pytest.mark.parametrize(
    ("options", "globs"),
    [
        ((), ("default",)),
        (("skip-ci", "submit="), ("default",)),
        (("submit=.builds/a*.yml",), (".builds/a*.yml",)),
        (("submit=a, b,,a", "submit=c"), ("a", "b", "c")),
    ],
)
def test_a_push_can_name_its_recipes(options, globs):
    """All patterns of all options, once each; without any the default holds."""
    assert recipe_globs(options, ("default",)) == globs


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("../*.yml", "is no path within what is pushed"),
        ("/etc/*.yml", "is no path within what is pushed"),
        ("ci/./a.yml", "is no path within what is pushed"),
        ("ci/", "is no path within what is pushed"),
        ("*" * 251, "is longer than 250 letters or 32 names"),
        ("*/" * 32 + "*", "is longer than 250 letters or 32 names"),
    ],
)
def test_a_pattern_that_leads_elsewhere_does_not_count(pattern, fault):
    """The others do; when none is left nothing is looked for, not the default."""
    assert recipe_globs((f"submit={pattern},a",), ("default",)) == ("a",)
    assert recipe_globs((f"submit={pattern}",), ("default",)) == ()
    assert submit_faults((f"submit={pattern}",)) == (f"submit={pattern[:40]} {fault}",)


def test_patterns_are_bounded():
    """A push that names very many is built by the first hundred, and says so."""
    options = ("submit=" + ",".join(map(str, range(150))),)
    assert recipe_globs(options, ()) == tuple(map(str, range(100)))
    assert submit_faults(options) == (
        "submit= has more than 100 patterns; the others do not count",
    )
