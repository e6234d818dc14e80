"""Evaluations of several inputs, each at the revision that was asked for."""

import pytest
from support.factories import ADMIN
from support.repositories import Repository

from ciserver.model.project import Input, JobsetSettings
from ciserver.model.status import EvaluationStatus

NOWHERE, NEITHER = "a" * 40, "b" * 40


class Pair:
    """A jobset of a recipe and a library, in repositories of their own."""

    def __init__(self, services, src, lib):
        self.services, self.src, self.lib = services, src, lib
        inputs = (
            Input("src", str(src.bare), local=True),
            Input("lib", str(lib.bare), local=True),
        )
        put = services.jobsets.put
        services.projects.watch(ADMIN, "project", str(src.bare), local=True)
        self.jobset, _ = put(ADMIN, "project", "pair", JobsetSettings(recipe_input="src"), inputs)

    def evaluate(self, **revisions):
        made = self.services.evaluation_acts.request(
            ADMIN, "project", "pair", list(revisions.items())
        )
        assert self.services.evaluations.evaluate_next()
        return self.services.queries.evaluation(ADMIN, made).evaluation


@pytest.fixture
def pair(services, tmp_path):
    src, lib = (Repository(tmp_path / "repositories", name) for name in ("src", "lib"))
    src.commit({".build.yml": "image: host\ntasks:\n  - build: echo old\n"}, "Old recipe")
    for one in (src, lib):
        one.commit({"a": "1"}, "Old")
        one.push()
    return Pair(services, src, lib)


def pinned(evaluation):
    return {one.name: one.revision for one in evaluation.inputs}


def test_every_input_is_pinned_as_given(pair):
    """Not at what its branch is now; what is not named is."""
    old = {one: getattr(pair, one).commit({"b": "1"}, "Wanted") for one in ("src", "lib")}
    new = {one: getattr(pair, one).commit({"b": "2"}, "Newer") for one in ("src", "lib")}
    for one in (pair.src, pair.lib):
        one.push()
    assert pinned(pair.evaluate(**old)) == old
    assert pinned(pair.evaluate(lib=old["lib"])) == {**new, "lib": old["lib"]}
    assert pinned(pair.evaluate(src=old["src"])) == {**new, "src": old["src"]}
    assert pinned(pair.evaluate()) == new
    assert pinned(pair.evaluate(**old)) == old


def test_a_revision_of_no_branch_is_found(pair):
    """Whatever the repository gives out."""
    first = pair.lib.commit({"b": "1"}, "Left behind")
    pair.lib.push("HEAD:refs/heads/aside")
    assert pinned(pair.evaluate(lib=first))["lib"] == first


def test_the_recipe_is_that_of_the_given_revision(pair):
    old = pair.src.commit({"c": "1"})
    pair.src.commit({".build.yml": "image: host\ntasks:\n  - other: echo new\n"})
    pair.src.push()
    evaluation = pair.evaluate(src=old)
    (build,) = pair.services.queries.evaluation(ADMIN, evaluation.id).builds
    assert evaluation.revision == build.revision == old
    assert "echo old" in pair.services.queries.recipe(ADMIN, build.id)


def test_every_revision_that_is_nowhere_is_told(pair):
    """Not only the first; nothing is built."""
    ended = pair.evaluate(src=NOWHERE, lib=NEITHER)
    assert ended.status is EvaluationStatus.FAILED
    assert {one.field for one in ended.complaints} == {"inputs.src", "inputs.lib"}
    assert NOWHERE in str(ended.complaints)
    assert NEITHER in str(ended.complaints)
    assert ended.builds_total == 0
