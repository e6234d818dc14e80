"""What saving a project or a jobset is refused for, with the faults that a door found before."""

import pytest
from support.factories import ADMIN

from ciserver.model.account import Actor
from ciserver.model.errors import Complaint, Forbidden, Invalid
from ciserver.model.project import Input, JobsetSettings, ProjectSettings

URI = "https://example.org/project.git"


@pytest.fixture
def projects(services):
    return services.projects


@pytest.fixture
def jobsets(services):
    return services.jobsets


@pytest.mark.parametrize("ref", ["HEAD", "refs/heads/a/b", "main", "v1.0", "a" * 40])
def test_what_an_input_follows(projects, jobsets, ref):
    """A full ref, the name of a branch or tag, a revision, or the default branch."""
    projects.watch(ADMIN, "project", URI)
    inputs = (Input("source", URI, ref),)
    made, _ = jobsets.put(ADMIN, "project", "other", JobsetSettings(), inputs)
    assert made.source.ref == ref


@pytest.mark.parametrize("ref", ["", "a b", "refs/heads/a..b", "-x^", "refs/heads/", "a:b"])
def test_what_no_input_can_follow(projects, jobsets, ref):
    """What git would not take is refused before anything is stored."""
    projects.watch(ADMIN, "project", URI)
    inputs = (Input("source", URI, ref),)
    with pytest.raises(Invalid) as raised:
        jobsets.put(ADMIN, "project", "other", JobsetSettings(), inputs)
    assert [one.field for one in raised.value.complaints] == ["inputs.source.ref"]


GLOBS = ("refs/heads/*", "refs/tags/v[0-9]?", "refs/heads/main")
NO_GLOBS = ("main", "", "refs/heads/a b", "refs/heads/a:b", "refs/x\0", "refs/~", "*", "refs/a\\b")


@pytest.mark.parametrize("glob", [*GLOBS, *NO_GLOBS])
def test_what_an_input_watches(projects, jobsets, glob):
    """Globs of full ref names, as for a repository that is watched."""
    projects.watch(ADMIN, "project", URI)
    inputs = (Input("source", URI, watch=("refs/heads/*", glob)),)
    if glob in GLOBS:
        made, _ = jobsets.put(ADMIN, "project", "other", JobsetSettings(), inputs)
        assert made.source.watch == inputs[0].watch
        return
    with pytest.raises(Invalid) as raised:
        jobsets.put(ADMIN, "project", "other", JobsetSettings(), inputs)
    assert [one.field for one in raised.value.complaints] == ["inputs.source.watch"]


def test_every_fault_of_the_inputs_is_told(projects, jobsets):
    """Of each input, and of each part of it, at once."""
    projects.watch(ADMIN, "project", URI)
    inputs = (Input("source", "nowhere", "a b", ("main",)), Input("more", URI, "x..y"))
    with pytest.raises(Invalid) as raised:
        jobsets.put(ADMIN, "project", "other", JobsetSettings(), inputs)
    fields = {one.field for one in raised.value.complaints}
    assert fields == {
        "inputs.source.ref",
        "inputs.source.watch",
        "inputs.source",
        "inputs.more.ref",
    }


def test_faults_of_a_door_are_told_with_our_own(projects, jobsets, services):
    """All at once, once it is known that the actor may; and nothing is made."""
    fault, nobody = Complaint("color", "must be a color"), Actor("rob", scopes=("*",))
    with pytest.raises(Invalid) as raised:
        projects.put_project(ADMIN, "a/b", ProjectSettings(), faults=[fault])
    assert [one.field for one in raised.value.complaints] == ["color", "name"]
    with pytest.raises(Forbidden):
        projects.put_project(nobody, "a/b", ProjectSettings(), faults=[fault])
    projects.watch(ADMIN, "project", URI)
    settings = JobsetSettings(shares=0)
    with pytest.raises(Invalid) as raised:
        jobsets.put(ADMIN, "project", "x", settings, (), faults=[fault])
    assert [one.field for one in raised.value.complaints] == ["color", "shares"]
    with pytest.raises(Forbidden):
        jobsets.put(nobody, "project", "x", settings, (), faults=[fault])
    assert [one.jobset.name for one in services.queries.project(ADMIN, "project").jobsets] == [
        "main"
    ]
