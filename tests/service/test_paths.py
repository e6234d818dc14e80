"""Paths as inputs: pinned by content, built from, looked at, and read by those who may."""

import os
import shutil

import pytest
from support.factories import ADMIN, Factory

from ciserver.config import Git, Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.lease import Stop
from ciserver.executor.limits import Limits
from ciserver.executor.plain import Plain
from ciserver.executor.run import Runner
from ciserver.machine import build_user, work_root
from ciserver.model.build import Offer
from ciserver.model.errors import Invalid
from ciserver.model.evaluation import Kind, PinnedInput
from ciserver.model.project import (
    Input,
    InputType,
    Jobset,
    JobsetMode,
    JobsetSettings,
    ProjectSettings,
)
from ciserver.model.status import BuildStatus, EvaluationStatus
from ciserver.recipe.text import job_from_json
from ciserver.service.exports import Exports
from ciserver.service.pinning import Pinned
from ciserver.service.sources import MirrorSources
from ciserver.wiring import make_parts, native_system, scratch_root

RECIPE = "image: host\ntasks:\n  - build: cat data/value project/.build.yml\n"
OFFER = Offer("local-0", (native_system(),))


class Works:
    """A server, a directory with a recipe and one with data; both are inputs."""

    def __init__(self, parts, clock, place):
        self.parts, self.clock = parts, clock
        self.services, self.store = parts.services, parts.store
        self.make = Factory(parts, clock)
        self.project, self.data = place / "project", place / "files" / "data"
        for folder in (self.project, self.data):
            folder.mkdir(parents=True)
        (self.project / ".build.yml").write_text(RECIPE)
        (self.data / "value").write_text("one\n")
        self.services.projects.put_project(ADMIN, "project", ProjectSettings())

    @property
    def inputs(self):
        return (
            Input("source", str(self.project), type=InputType.PATH, refresh_seconds=0),
            Input("data", str(self.data), type=InputType.PATH, refresh_seconds=0),
        )

    def put(self, *inputs, by=ADMIN, **settings):
        jobset, _ = self.services.jobsets.put(
            by, "project", "main", JobsetSettings(**settings), inputs or self.inputs
        )
        return jobset

    def jobset(self) -> Jobset:
        return self.store.jobsets.get_by_name("project", "main")

    def evaluate(self, kind=Kind.API, revision=""):
        made = self.services.evaluations.request(ADMIN, self.jobset(), kind=kind, revision=revision)
        assert self.services.evaluations.evaluate_next()
        return self.store.evaluations.get(made)

    def look(self, seconds=60):
        """A look of the clock; answers the evaluation that came of it, or None."""
        self.clock.forward(seconds=seconds)
        assert self.services.polls.check_next()
        if not self.services.evaluations.evaluate_next():
            return None
        newest = self.store.history.newest_push(self.jobset().id)
        return self.store.evaluations.get(newest)

    def builds(self, evaluation):
        return self.store.builds.list_of_evaluation(evaluation.id)


@pytest.fixture
def works(place, clock):
    """A server that those who build may pass through; `place/files` is open to all."""
    data = DataDirectory(place / "data")
    settings = Settings(git=Git(local_roots=(place / "files",)))
    parts = make_parts(settings, data, clock=clock)
    yield Works(parts, clock, place)
    parts.store.database.close()
    scratch = scratch_root(settings, data)
    if scratch != data.root:
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture
def run(works, clock):
    """Run the next build in a real work tree; answers it with its log."""
    parts = works.parts
    runner = Runner(
        parts.reporter,
        Plain(user=build_user(parts.settings)),
        MirrorSources(parts.store, parts.mirrors),
        clock,
        work_root=work_root(parts.settings, parts.data),
        limits=Limits(timeout_seconds=60, grace_seconds=0.1),
    )
    stop = Stop()

    def run():
        work = parts.reporter.claim(OFFER)
        runner.run(work, stop)
        build = parts.store.builds.get(work.lease.build_id)
        with parts.store.files.open_log(build.id, build.attempt, 1) as file:
            return build, file.read().decode()

    yield run
    runner.close()
    stop.close()


@pytest.fixture
def member(works):
    """Somebody who owns the project and is no administrator."""
    ada = works.make.user("ada")
    works.services.projects.put_project(ADMIN, "project", ProjectSettings(), owner="ada")
    return ada


def test_a_build_sees_what_was_pinned(works, run):
    """The recipe's directory and the other, as they were when they were pinned."""
    works.put()
    evaluation = works.evaluate()
    assert (evaluation.status, evaluation.complaints) == (EvaluationStatus.SUCCEEDED, ())
    assert evaluation.ref == ""
    source, data = evaluation.inputs
    assert (source.type, source.uri) == (InputType.PATH, str(works.project))
    assert (data.type, data.uri) == (InputType.PATH, str(works.data))
    assert evaluation.revision == source.revision
    (works.data / "value").write_text("two\n")
    build, log = run()
    assert build.status is BuildStatus.SUCCEEDED
    assert log.splitlines()[-4:] == ["one", *RECIPE.splitlines()]


def test_a_rerun_sees_the_same_and_a_new_evaluation_what_is_there(works, run):
    works.put()
    works.evaluate()
    build, _ = run()
    (works.data / "value").write_text("two\n")
    works.services.builds.rerun(ADMIN, build.id)
    assert "one" in run()[1]
    works.evaluate()
    assert "two" in run()[1]


def test_an_earlier_result_stands_while_the_content_is_the_same(works, run):
    """Of what the job gets; the time of the files does not count."""
    works.put()
    first = works.evaluate(Kind.PUSH)
    run()
    works.clock.forward(hours=1)
    (works.data / "value").touch()
    assert works.builds(works.evaluate(Kind.PUSH)) == ()
    (works.data / "value").write_text("two\n")
    changed = works.evaluate(Kind.PUSH)
    assert [one.id for one in works.builds(changed)] != [one.id for one in works.builds(first)]
    run()
    (works.data / "value").write_text("one\n")
    assert works.builds(works.evaluate(Kind.PUSH)) == ()


def test_a_revision_that_was_seen_is_evaluated_again(works):
    works.put()
    first = works.evaluate()
    (works.project / ".build.yml").write_text("image: host\ntasks: []\n")
    assert works.evaluate(revision=first.revision).revision == first.revision


def test_a_revision_that_was_never_seen_is_refused(works):
    works.put()
    evaluation = works.evaluate(revision="1" * 40)
    assert evaluation.status is EvaluationStatus.FAILED
    (fault,) = evaluation.complaints
    assert f"no content that {works.project} was seen with" in fault.message


def test_what_cannot_be_read_is_told(works):
    """Each thing in its way, with its place."""
    works.put()
    (works.data / ".GIT").write_text("")
    (works.data / "back\\slash").write_text("")
    evaluation = works.evaluate()
    assert evaluation.status is EvaluationStatus.FAILED
    assert sorted(one.file for one in evaluation.complaints) == [
        f"{works.data}/.GIT",
        f"{works.data}/back\\slash",
    ]


def test_schedules_of_a_recipe_in_a_path_are_in_force(works, store):
    """A look is to a path what a push to the default branch is to a repository."""
    (works.project / ".build.yml").write_text(
        RECIPE + "schedules:\n  - {kind: nightly, cron: '0 3 * * *'}\n"
    )
    works.put(check_interval_seconds=60)
    works.look()
    (schedule,) = works.store.schedules.list_of_jobset(works.jobset().id)
    works.clock.forward(days=1)
    works.services.schedules.fire_due()
    assert works.services.evaluations.evaluate_next()
    (fired,) = (
        one
        for one in works.services.queries.jobset(ADMIN, "project", "main").evaluations.evaluations
        if one.schedule_id == schedule.id
    )
    assert fired.ref == ""


# -- looks ----------------------------------------------------------------------------------------


def test_a_look_sees_a_change_of_the_recipes_path(works):
    """Once each, and also when it is what it was before."""
    works.put(check_interval_seconds=60)
    first = works.look()
    assert (first.status, first.requested_by) == (EvaluationStatus.SUCCEEDED, "poll")
    assert works.look() is None
    (works.project / "more").write_text("x")
    second = works.look()
    assert second.revision != first.revision
    (works.project / "more").unlink()
    assert works.look().revision == first.revision
    assert works.look() is None


def test_a_look_sees_a_change_of_another_path(works):
    works.put(check_interval_seconds=60)
    first = works.look()
    (works.data / "value").write_text("two\n")
    second = works.look()
    assert second.revision == first.revision
    assert second.inputs[1].revision != first.inputs[1].revision
    assert works.look() is None
    (works.data / "value").write_text("one\n")
    assert works.look().inputs == first.inputs


def test_a_look_sees_a_change_beside_a_repository(works, repository):
    repository.commit({".build.yml": RECIPE})
    repository.push()
    works.put(Input("source", str(repository.bare)), works.inputs[1], check_interval_seconds=60)
    first = works.look()
    assert works.look() is None
    (works.data / "value").write_text("two\n")
    assert works.look().inputs[1].revision != first.inputs[1].revision
    assert works.look() is None


def test_a_look_is_no_closer_than_the_path_wants(works):
    source, data = works.inputs
    lazy = Input("data", data.uri, type=InputType.PATH, refresh_seconds=3600)
    works.put(source, lazy, check_interval_seconds=60)
    works.look()
    (works.data / "value").write_text("two\n")
    assert works.look() is None
    assert works.look(3600) is not None


def test_a_path_that_is_gone_makes_no_evaluation_at_every_look(works):
    works.put(check_interval_seconds=60)
    works.look()
    shutil.rmtree(works.data)
    assert works.look() is None
    shutil.rmtree(works.project)
    assert works.look() is None


def test_an_evaluation_that_fails_is_not_asked_for_again(works):
    """Until something changes."""
    works.put(check_interval_seconds=60)
    (works.data / ".GIT").write_text("")
    assert works.look().status is EvaluationStatus.FAILED
    assert works.look() is None
    (works.project / "more").write_text("x")
    assert works.look().status is EvaluationStatus.FAILED


def test_what_is_off_is_not_read(works):
    works.put(check_interval_seconds=60, mode=JobsetMode.OFF)
    assert works.look() is None


# -- leave ----------------------------------------------------------------------------------------


def refused(works, *inputs, by=ADMIN):
    with pytest.raises(Invalid) as caught:
        works.put(*inputs, by=by)
    return {one.field: one.message for one in caught.value.complaints}


def test_only_administrators_name_any_path(works, member):
    """Others what lies beneath an open root, or was registered as a path already."""
    source, data = works.inputs
    told = refused(works, source, data, by=member)
    assert set(told) == {"inputs.source"}
    assert "on the server's machine" in told["inputs.source"]
    works.put(Input("source", str(works.data), type=InputType.PATH), by=member)
    works.put(*works.inputs)
    saved = works.put(source, by=member)
    assert saved.source.local


def test_a_registered_repository_is_no_leave_to_read_it_as_a_path(works, member, repository):
    works.put(Input("source", str(repository.bare)))
    as_path = Input("source", str(repository.bare), type=InputType.PATH)
    assert set(refused(works, as_path, by=member)) == {"inputs.source"}


def test_the_servers_own_data_is_refused_to_administrators_too(works):
    root = works.parts.data.root
    scratch = scratch_root(works.parts.settings, works.parts.data)
    for place in (root, root / "files", root.parent, scratch / "mirrors"):
        told = refused(works, Input("source", str(place), type=InputType.PATH))
        assert "its own data" in told["inputs.source"]


def test_all_faults_are_told_at_once(works):
    told = refused(
        works,
        Input("source", "https://files.example/..git", type=InputType.PATH),
        Input("one", "relative", type=InputType.PATH),
        Input("two", "/srv", type=InputType.PATH, refresh_seconds=-1),
        Input("three", type=InputType.NIX, value="  "),
        Input("four", type=InputType.NIX, value="1" * 20_000),
    )
    assert set(told) == {
        *("inputs.source", "inputs.one", "inputs.two.refresh_seconds"),
        *("inputs.three", "inputs.four"),
    }


def test_what_a_path_has_no_use_for_is_dropped(works):
    saved = works.put(Input("source", str(works.project), "refs/heads/x", type=InputType.PATH))
    assert (saved.source.ref, saved.source.watch) == ("", ())


# -- evaluators -----------------------------------------------------------------------------------


def test_evaluators_have_the_files(works):
    """Beside the recipe's own, under the name of the input."""
    jobset = works.put()
    mirror = works.parts.mirrors.open_path(str(works.project), local=True)
    other = works.parts.mirrors.open_path(str(works.data), local=True)
    source = PinnedInput("source", str(works.project), "", mirror.pin(""), InputType.PATH)
    data = PinnedInput("data", str(works.data), "", other.pin(""), InputType.PATH)
    pinned = Pinned(mirror, source, mirror.commit(source.revision), (data,), works.clock.now())
    scratch = scratch_root(works.parts.settings, works.parts.data)
    with Exports(works.store, works.parts.mirrors, scratch).lend(jobset, pinned) as tree:
        root = tree()
        assert root.name == "project"
        assert sorted(one.name for one in root.iterdir()) == [".build.yml"]
        assert (root.parent / "data" / "value").read_text() == "one\n"


@pytest.mark.parametrize("recipe", [".build.yml", "jobs.star"])
def test_a_nix_expression_is_for_nix_alone(works, recipe):
    (works.project / "jobs.star").write_text("def jobs(inputs):\n    return []\n")
    nix = Input("more", type=InputType.NIX, value="{ a = 1; }")
    works.put(*works.inputs, nix, recipe_path=(recipe,))
    evaluation = works.evaluate()
    assert evaluation.status is EvaluationStatus.FAILED
    (fault,) = evaluation.complaints
    assert (fault.file, fault.field) == (recipe, "inputs.more")
    assert "only a recipe *.nix can use" in fault.message


@pytest.mark.skipif(
    shutil.which("nix-instantiate") is None and os.environ.get("CI") != "true",
    reason="Nix is not installed (Debian: nix-bin)",
)
def test_a_nix_recipe_has_its_expressions_and_the_files_of_paths(works):
    """The expression is no variable of the build, and another one makes another build."""
    (works.project / "release.nix").write_text(
        "{ names, data }: builtins.listToAttrs (map (name: { inherit name; value = derivation {"
        ' inherit name; system = "x86_64-linux"; builder = "/bin/sh";'
        ' args = [ "-c" (builtins.readFile (data + "/value")) ]; }; }) names)\n'
    )
    nix = Input("names", type=InputType.NIX, value='[ "a" "b" ]')
    works.put(*works.inputs, nix, recipe_path=("release.nix",))
    evaluation = works.evaluate()
    assert (evaluation.status, evaluation.complaints) == (EvaluationStatus.SUCCEEDED, ())
    builds = works.builds(evaluation)
    assert sorted(one.job for one in builds) == ["a", "b"]
    job = job_from_json(works.store.builds.job_text(builds[0].id))
    assert "INPUT_NAMES" not in job.environment
    assert [one.directory for one in job.sources] == ["project", "data"]
