"""What a manifest of builds.sr.ht may rely on in the worker, read and run in every sandbox."""

import json
from dataclasses import replace

import pytest

from ciserver.executor.facts import source_line
from ciserver.model.build import Source
from ciserver.model.status import BuildStatus, Reason, StepStatus
from ciserver.recipe.manifest import read_manifest

TYPES = """
image: alpine/edge
environment:
  TEXT: "a 'b' $HOME"
  WHOLE: 42
  FRACTION: 1.5
  YES: true
  NO: false
  NOTHING:
  LIST: [one, "two words", ""]
tasks:
  - _show: |
      set +x
      printf '<%s>' "$TEXT" "$WHOLE" "$FRACTION" "$YES" "$NO" "$NOTHING" "${LIST[@]}"
      echo
      printf '<%s>' "$(printenv TEXT)" "$(printenv WHOLE)" "${NOTHING-unset}"
      printenv LIST || echo not exported
      echo
      printf '<%s>' "$(bash -c '. ~/.buildenv; echo "${LIST[1]}"')"
"""


@pytest.fixture
def run(world, tools):
    """Runs the one job of a manifest to its end; answers its result."""

    def run(text, **work):
        reading = read_manifest(".build.yml", text, default_system="here")
        assert reading.complaints == ()
        (job,) = reading.jobs
        made = tools.make_work(**work)
        job = replace(job, sources=made.job.sources)
        world.runner().run(replace(made, job=job), world.stop)
        return world.recorder.result

    return run


def manifest(*tasks, **keys):
    numbered = [{f"task{number}": script} for number, script in enumerate(tasks, start=1)]
    return json.dumps({"image": "host", "tasks": numbered, **keys})


def test_values_of_every_type_reach_the_tasks(run, world):
    """Texts, numbers and switches are exported, nothing is an empty text, and a list is an array of
    bash that is not exported; whoever reads `~/.buildenv` has them all.
    """
    assert run(TYPES).status is BuildStatus.SUCCEEDED
    log = world.recorder.log(1)
    assert "<a 'b' $HOME><42><1.5><true><false><><one><two words><>\n" in log
    assert "<a 'b' $HOME><42><>not exported\n" in log
    assert log.endswith("<two words>")


def test_a_task_may_add_to_the_environment_of_those_after_it(run, world):
    """Variables end with their task, and what it writes into `~/.buildenv` does not."""
    told = manifest(
        "export GONE=1; echo 'export KEPT=\"two words\"' >> ~/.buildenv",
        'test -z "$GONE"; test "$KEPT" = "two words"; test "$PWD" = "$HOME"',
    )
    assert run(told).status is BuildStatus.SUCCEEDED


def test_every_command_is_shown_and_the_first_that_fails_ends_the_task(run, world):
    """As `set -xe` does: not of a pipe but its last one, and nothing after a failure runs."""
    result = run(manifest("false | true\nexpr 1 + 1\n(exit 4)\necho not reached", "true"))
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.EXIT_CODE)
    log = world.recorder.log(1)
    assert "+ expr 1 + 1\n2\n" in log
    assert "not reached" not in log
    assert [one.status for one in world.recorder.steps] == [StepStatus.FAILED]


def test_a_build_may_be_complete_before_its_last_task(run, world):
    """From wherever in a script, as long as it is not in a subshell; the artifacts are kept."""
    told = manifest(
        'echo x > made; enough() { if test "$1" = yes; then complete-build; fi; }\n'
        "enough no\nenough yes\nfalse",
        "rm made; false",
        artifacts=["made"],
    )
    assert run(told).status is BuildStatus.SUCCEEDED
    assert [one.status for one in world.recorder.steps] == [
        StepStatus.SUCCEEDED,
        StepStatus.SKIPPED,
    ]
    assert world.recorder.products == {"made": b"x\n"}


def test_artifacts_are_kept_of_builds_that_succeeded(run, world):
    """A file that is there when a task fails is none."""
    result = run(manifest("echo x > made", "false", artifacts=["made"]))
    assert result.reason is Reason.EXIT_CODE
    assert world.recorder.products == {}


def test_an_artifact_that_is_not_there_fails_the_build(run, world):
    """Which one, and that it was not there; the tasks were good all the same."""
    result = run(manifest("true", artifacts=["~/made", "other"]))
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.MISSING_ARTIFACT)
    assert "other (no such file or directory)" in result.detail
    assert [one.status for one in world.recorder.steps] == [StepStatus.SUCCEEDED]


def test_tasks_have_their_names_and_what_comes_before_them_is_the_setup(run, world, place):
    """Sources are in place before the first one, and the setup's log has them in their order."""
    (place / "tree").mkdir()
    (place / "tree" / "file").write_text("content\n")
    sources = tuple(
        Source(uri=str(place / "tree"), directory=one, revision="1234") for one in ("b", "a/c")
    )
    told = json.dumps(
        {
            "image": "host",
            "oauth": "git.sr.ht/REPOSITORIES:RO",
            "shell": True,
            "tasks": [{"_hidden": "cat b/file a/c/file"}, {"0-9_a": 'test "${0##*/}" = 0-9_a'}],
        }
    )
    assert run(told, sources=sources).status is BuildStatus.SUCCEEDED
    setup = world.recorder.log(0)
    order = ["environment:", *map(source_line, sources)]
    assert sorted(order, key=setup.index) == order
    assert "note: oauth: not available in this version" in setup
    assert "note: shell: not available in this version" in setup
