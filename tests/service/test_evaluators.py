"""Recipes that are programs, from the push to the builds."""

import os
import shutil
from pathlib import Path

import pytest
from support.factories import ADMIN, MAIN, Factory, make_push
from support.repositories import Repository

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.project import Input, InputType, JobsetSettings
from ciserver.model.push import RefChange
from ciserver.model.request import RequestStatus
from ciserver.model.status import EvaluationStatus
from ciserver.recipe.text import job_from_json
from ciserver.wiring import make_parts, scratch_root

STARLARK = """\
def jobs(inputs):
    flavor = inputs.get("flavor", "plain")
    return [{
        "name": "%s-%d" % (flavor if inputs.get("on") else "off", n),
        "image": "host", "tasks": [{"build": "make"}], "needs": ["%s-0" % flavor] if n else [],
    } for n in range(2)]
"""
DERIVATION = """\
derivation { name = "a"; system = "x86_64-linux"; builder = "/bin/sh"; }
"""
NIX = """\
{ flavor ? "none", on ? false, library ? null }: {
  good = import ./derivation.nix;
  bad = throw "not today";
  ${flavor} = if on then import (library + "/derivation.nix") else null;
}
"""
needs_nix = pytest.mark.skipif(
    shutil.which("nix-instantiate") is None and os.environ.get("CI") != "true",
    reason="Nix is not installed (Debian: nix-bin)",
)


class Works:
    def __init__(self, parts, clock, repository):
        self.parts, self.repository = parts, repository
        self.services, self.store = parts.services, parts.store
        self.make = Factory(parts, clock)
        repository.commit({"README": "hello\n"}, "First")
        repository.push()
        self.services.projects.watch(ADMIN, "project", str(repository.bare), local=True)

    def give(self, *others):
        """The jobset with these inputs beside its repository."""
        jobset = self.store.jobsets.get_by_name("project", "main")
        self.services.jobsets.put(
            ADMIN, "project", "main", JobsetSettings(), (*jobset.inputs, *others)
        )

    def push(self, files, recipe):
        revision = self.repository.commit(files, "Change")
        self.repository.push()
        push = make_push(RefChange(MAIN, "0" * 40, revision), options=(f"submit={recipe}",))
        (one,) = self.services.pushes.accept_push(self.make.received(), push).evaluations
        assert self.services.evaluations.evaluate_next()
        return self.store.evaluations.get(one.id)

    def jobs(self, evaluation):
        builds = self.store.builds.list_of_evaluation(evaluation.id)
        jobs = [job_from_json(self.store.builds.job_text(one.id)) for one in builds]
        return {one.name: one for one in jobs}


@pytest.fixture
def works(place, clock):
    """A server whose data directory those who evaluate can pass through."""
    data = DataDirectory(place / "data")
    parts = make_parts(Settings(), data, clock=clock)
    yield Works(parts, clock, Repository(place / "repositories"))
    parts.store.database.close()
    scratch = scratch_root(Settings(), data)
    if scratch != data.root:
        shutil.rmtree(scratch, ignore_errors=True)


FLAVOR = Input("flavor", type=InputType.STRING, value="sweet")
ON = Input("on", type=InputType.BOOLEAN, value="true")


def left_behind(works):
    return list(scratch_root(works.parts.settings, works.parts.data).glob("evaluation-*"))


def test_a_starlark_recipe_makes_builds_of_its_inputs(works):
    """The values of the jobset are what the function is given."""
    works.give(FLAVOR, ON)
    evaluation = works.push({"ci/jobs.star": STARLARK}, "ci/*.star")
    assert (evaluation.status, evaluation.complaints) == (EvaluationStatus.SUCCEEDED, ())
    jobs = works.jobs(evaluation)
    assert set(jobs) == {"sweet-0", "sweet-1"}
    assert jobs["sweet-1"].needs == ("sweet-0",)


def test_a_broken_starlark_recipe_builds_nothing(works):
    """Every fault has file and place."""
    recipe = STARLARK.replace('"image": "host"', '"image": n')
    evaluation = works.push({"jobs.star": recipe}, "jobs.star")
    assert evaluation.status is EvaluationStatus.FAILED
    assert [(one.file, one.field) for one in evaluation.complaints] == [
        ("jobs.star", "jobs[0].image"),
        ("jobs.star", "jobs[1].image"),
    ]
    assert works.jobs(evaluation) == {}


def test_two_files_cannot_make_the_same_job(works):
    """Whichever evaluators they are for."""
    yaml = "image: host\ntasks:\n  - build: make\n"
    star = 'def jobs(inputs):\n    return [{"name": "a", "image": "x", "tasks": [{"b": "c"}]}]\n'
    evaluation = works.push({"ci/a.yml": yaml, "ci/b.star": star}, "ci/*")
    (complaint,) = evaluation.complaints
    assert complaint.file == "ci/b.star"
    assert "the job a is already made by ci/a.yml" in complaint.message


def test_the_limit_of_jobs_is_that_of_all_files(works):
    """The file that would pass it is named, and nothing is built."""
    values = ", ".join(f'"{n}"' for n in range(100))
    yaml = f"image: host\ntasks:\n  - b: make\nmatrix:\n  a: [{values}]\n  b: [{values}]\n"
    one = "image: host\ntasks:\n  - b: make\n"
    evaluation = works.push({"ci/a.yml": yaml, "ci/b.yml": one, "ci/c.yml": one}, "ci/*.yml")
    assert evaluation.status is EvaluationStatus.FAILED
    (complaint,) = evaluation.complaints
    assert complaint.file == "ci/b.yml"
    assert "was not read, and no file after it" in complaint.message
    assert "make all of the 10000 jobs that manifests may make together" in complaint.message
    assert works.jobs(evaluation) == {}


def test_complaints_of_all_files_are_bounded(works):
    """What is stored and shown of tens of thousands of faults; the last line counts the rest."""
    faulty = "".join(f"key{n}: 1\n" for n in range(2000))
    files = {f"ci/{n}.yml": faulty for n in range(5)}
    starlark = 'def jobs(inputs):\n    return [{"name": "a b", "image": 3}] * 1000\n'
    evaluation = works.push({**files, "ci/jobs.star": starlark}, "ci/*")
    assert len(evaluation.complaints) == 101
    assert evaluation.complaints[-1].message == "and 12910 more faults"
    assert {one.file for one in evaluation.complaints[:-1]} == {"ci/0.yml"}


@needs_nix
def test_a_broken_nix_job_stops_none_of_the_others(works, place):
    """The evaluation has succeeded, and says what is wrong with the broken one."""
    library = Repository(place / "others", "library")
    library.commit({"derivation.nix": DERIVATION}, "Add it")
    library.push()
    works.services.projects.watch(ADMIN, "library", str(library.bare), local=True)
    works.give(FLAVOR, ON, Input("library", str(library.bare)))
    files = {"ci/release.nix": NIX, "ci/derivation.nix": DERIVATION}
    evaluation = works.push(files, "ci/release.nix")
    assert evaluation.status is EvaluationStatus.SUCCEEDED
    assert [(one.file, one.field, one.message) for one in evaluation.complaints] == [
        ("ci/release.nix", "bad", "not today")
    ]
    jobs = works.jobs(evaluation)
    assert set(jobs) == {"good", "sweet"}
    assert [one.directory for one in jobs["good"].sources] == ["project", "library"]
    assert '"$HOME"/library' in jobs["good"].tasks[0].script
    assert left_behind(works) == []


@needs_nix
def test_only_broken_nix_jobs_are_a_failed_evaluation(works):
    evaluation = works.push({"release.nix": '{ bad = throw "not today"; }'}, "release.nix")
    assert evaluation.status is EvaluationStatus.FAILED
    assert [one.field for one in evaluation.complaints] == ["bad"]


@needs_nix
def test_a_request_for_what_a_broken_job_stands_beside_is_done(works):
    """What it asked for was made; its message says what was not."""
    services = works.services
    evaluation = works.push({"release.nix": NIX, "derivation.nix": DERIVATION}, "release.nix")
    main = works.store.jobsets.get_by_name("project", "main")
    services.jobsets.put(
        ADMIN, "project", "main", JobsetSettings(recipe_path=("release.nix",)), main.inputs
    )
    main = works.store.jobsets.get_by_name("project", "main")
    asked = services.requests.ask_evaluation(ADMIN, main, evaluation.revision)
    while services.requests.perform_next() or services.evaluations.evaluate_next():
        pass
    request = services.requests.get(ADMIN, asked)
    assert (request.status, len(request.created)) == (RequestStatus.DONE, 1)
    assert "bad: not today" in request.message


def test_what_a_killed_server_left_is_removed_at_start(works):
    left = Path(scratch_root(works.parts.settings, works.parts.data)) / "evaluation-left"
    (left / "project").mkdir(parents=True)
    works.services.evaluations.recover()
    assert not left.exists()
