"""A push that changes nothing: an earlier evaluation stands for it as a whole, and only then."""

import os
import resource
import shutil
from dataclasses import replace

import pytest
from support.factories import ADMIN
from support.repositories import Repository, git
from support.statements import recorded
from support.works import Works, recipe

from ciserver.executor.images import ImageFacts
from ciserver.machine import make_images
from ciserver.model.project import Input, InputType
from ciserver.model.schedule import PgoStrategy
from ciserver.model.status import BuildStatus, EvaluationStatus, Reason
from ciserver.wiring import make_parts

TOPIC, PROPOSED, TAG = "refs/heads/topic", "refs/pull/7/head", "refs/tags/v1"
MANY = """\
def jobs(inputs):
    names = ["job-%%d" %% one for one in range(%d)]
    return [{"name": name, "image": "host", "tasks": [{"build": "make"}]} for name in names]
"""
NIX = """\
{ }: { job = derivation { name = "a"; system = "x86_64-linux"; builder = "/bin/sh"; }; }
"""


class Watched(Works):
    """A project of which pushes can be compared: which way they took, and what came of them."""

    def __init__(self, parts, clock, repository):
        super().__init__(parts, clock, repository)
        self.parts, self.clock = parts, clock
        self.is_repeat = False

    def push(self, files, message="Change things", **push):
        requested = self.request(files, message, **push)
        asked = recorded(self.services.evaluations.evaluate_next)
        texts = [text.strip() for text, _ in asked]
        copied = any(one.startswith("INSERT INTO reuses") and "SELECT" in one for one in texts)
        self.is_repeat = copied and not any(one.startswith("DELETE FROM reuses") for one in texts)
        return self.store.evaluations.get(requested)

    def again(self, **options):
        """Push another commit of the same tree."""
        return self.push({}, "Change nothing", **options)

    def forget(self):
        """As if no evaluation could stand for another."""
        with self.store.transaction():
            self.store.database.sql("UPDATE evaluations SET key = ''")

    def outcome(self, evaluation):
        """What an evaluation came to, without what is another one each time."""
        found = self.store.evaluations.get(evaluation.id)
        return {
            "status": found.status,
            "note": found.note,
            "skipped": found.skipped,
            "complaints": found.complaints,
            "counts": (found.builds_total, found.builds_finished, found.builds_good),
            "inputs": [replace(one, revision="") for one in found.inputs],
            "reused": self.store.evaluations.reused_ids(found.id),
            "built": sorted(self.builds(found)),
        }

    def jobset(self):
        return self.store.jobsets.get_by_name("project", "main")

    def configure(self, *others, **changes):
        """Other settings of the jobset, and inputs beside its repository."""
        before = self.jobset()
        inputs = [one for one in before.inputs if one.name == "source"]
        settings = replace(before.settings, **changes)
        self.services.jobsets.put(ADMIN, "project", "main", settings, (*inputs, *others))

    def watch_all(self):
        jobset = self.jobset()
        inputs = [replace(one, watch=("refs/*",)) for one in jobset.inputs]
        self.services.jobsets.put(ADMIN, "project", "main", jobset.settings, tuple(inputs))

    def build_of(self, evaluation, job="a"):
        return self.builds(evaluation)[job]

    def image(self, number):
        images = make_images(self.parts.settings, self.parts.data)
        with images.make("debian/x", replace=True) as place:
            images.note(
                place, ImageFacts(number, "2026-11-01T00:00:00+00:00", "nothing", "/bin/sh")
            )


@pytest.fixture
def works(parts, clock, repository, watched):
    return Watched(parts, clock, repository)


KINDS = "kinds: [push, pull_request, tag, api]"
LINES = (f"when: {{{KINDS}}}", "paths: [text]")
FILES = {
    ".build.yml": None,
    ".builds/a.yml": recipe(*LINES),
    ".builds/b.yml": recipe(*LINES, "needs: [a]", "secrets: [token]"),
    ".builds/c.yml": recipe(f"when: {{refs: [release], {KINDS}}}"),
    ".builds/d.yml": recipe(*LINES, "matrix: {n: [1, 2]}").replace("host", "debian/x"),
    "text": "1",
}
WANTED = ["a", "b", "d.1", "d.2"]


@pytest.fixture
def built(works):
    """The first push, of which all jobs were built."""
    works.watch_all()
    works.image("1")
    made = works.push(FILES)
    assert sorted(works.run_all()) == WANTED
    return made


# -- what stands ----------------------------------------------------------------------------------


def pages_of_programs():
    """Memory that programs which this one started had asked for when they ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def test_what_did_not_change_is_not_read(works):
    """It costs the same statements for few jobs and for many, and no program runs."""
    costs = []
    for many in (3, 60):
        before = pages_of_programs()
        works.push({"jobs.star": MANY % many}, options=["submit=*.star"])
        assert pages_of_programs() > before
        works.run_all()
        works.again(options=["submit=*.star"])
        requested = works.request({}, options=["submit=*.star"])
        before = pages_of_programs()
        statements = recorded(works.services.evaluations.evaluate_next)
        assert pages_of_programs() == before
        assert works.store.evaluations.get(requested).builds_good == many
        costs.append(len(statements))
    assert costs[0] == costs[1]


def as_it_is(works):
    """Nothing at all."""


def deeper(works):
    """One evaluation that stands for another stands for a third."""
    works.again()
    assert works.is_repeat


def partly_built(works):
    """Some of it was built by the evaluation that stands, some earlier."""
    works.push({".builds/e.yml": recipe(*LINES)})
    assert works.run_all() == ["e"]


def gone_back(works):
    works.push({"text": "2"})
    works.run_all()
    works.push({"text": "1"})
    assert works.is_repeat


def rerun(works):
    """What failed was run again, and succeeded."""
    failed = works.push({"text": "2"})
    assert works.run(BuildStatus.FAILED, Reason.EXIT_CODE) == "a"
    works.services.builds.rerun(ADMIN, works.build_of(failed).id)
    works.run_all()


def described(works):
    """What has nothing to do with jobs."""
    works.configure(description="Another", shares=7, keep_evaluations=9)


def another_image(works):
    """One that no job has."""
    images = make_images(works.parts.settings, works.parts.data)
    with images.make("debian/y", replace=True) as place:
        images.note(place, ImageFacts("9", "2026-11-01T00:00:00+00:00", "nothing", "/bin/sh"))


@pytest.mark.parametrize(
    "before",
    [as_it_is, deeper, partly_built, gone_back, rerun, described, another_image],
    ids=lambda one: one.__name__,
)
def test_it_comes_to_the_same(works, built, before):
    """Row for row what the usual way comes to at the same state."""
    before(works)
    fast = works.again()
    assert works.is_repeat
    works.forget()
    usual = works.again()
    assert not works.is_repeat
    assert works.outcome(fast) == works.outcome(usual)
    assert fast.status is EvaluationStatus.SUCCEEDED
    assert fast.skipped[0].job == "c"
    assert works.run_all() == []


def test_what_is_proposed_has_its_own(works, built):
    """What others pushed does not stand for what people propose who may not push."""
    works.again(ref=PROPOSED)
    assert not works.is_repeat
    assert sorted(works.run_all()) == WANTED
    fast = works.again(ref=PROPOSED)
    assert works.is_repeat
    works.forget()
    assert works.outcome(works.again(ref=PROPOSED)) == works.outcome(fast)


def test_values_stay_values(works, built):
    """Inputs that stand for themselves, and other repositories at the same revision."""
    other = Repository(works.repository.bare.parent, "library")
    other.commit({"x": "1"})
    other.push()
    inputs = (
        Input("flavor", type=InputType.STRING, value="sweet"),
        Input("library", uri=str(other.bare), local=True),
    )
    works.configure(*inputs)
    works.again()
    assert not works.is_repeat
    works.run_all()
    fast = works.again()
    assert works.is_repeat
    assert [one.value for one in fast.inputs] == ["", "sweet", ""]
    other.commit({"x": "2"})
    other.push()
    works.again()
    assert not works.is_repeat
    assert sorted(works.run_all()) == WANTED
    works.configure(replace(inputs[0], value="sour"), inputs[1])
    works.again()
    assert not works.is_repeat
    assert sorted(works.run_all()) == WANTED


def test_schedules_end_with_the_recipe_that_declared_them(works, services):
    """A recipe without any ends those of the one before it, read or not."""
    declaring = recipe("schedules: [{cron: 0 3 * * *}]")

    def declared():
        return [one.schedule.declared_by for one in services.schedules.list_all(ADMIN)]

    for files, repeats, found in (
        ({".build.yml": recipe()}, False, []),
        ({".build.yml": declaring}, False, [".build.yml"]),
        ({".build.yml": recipe()}, True, []),
        ({".build.yml": declaring}, False, [".build.yml"]),
    ):
        works.push(files)
        assert (works.is_repeat, declared()) == (repeats, found)
        works.run_all()


# -- what does not --------------------------------------------------------------------------------


def settings(**changes):
    def change(works):
        works.configure(**changes)

    return change


def push_of(files=None, **options):
    def push(works):
        return works.push(files or {}, **options)

    return push


def strategy(works):
    works.services.schedules.set_pgo_strategy(ADMIN, "project", "main", PgoStrategy.PER_PUSH)


def image_made_anew(works):
    works.image("2")


def deleted_build(works):
    works.services.builds.delete(ADMIN, 1)


def removed_products(works):
    with works.store.transaction():
        works.store.keeping.remove(1, works.clock.now(), "old")


def newer_builds(works):
    """Somebody asked for new builds of all: they stand from now on."""
    works.services.evaluations.request(ADMIN, works.jobset())
    assert works.services.evaluations.evaluate_next()
    works.run_all()


def rebuilt(works):
    """A build that was repeated is one more of its evaluation."""
    works.services.builds.rebuild(ADMIN, 1)
    works.run_all()


def failing_again(works):
    """A build that succeeded runs again, and fails."""
    works.services.builds.rerun(ADMIN, 1)
    assert works.run(BuildStatus.FAILED, Reason.EXIT_CODE) == "a"


def running_again(works):
    works.services.builds.rerun(ADMIN, 1)


NOTHING, ALL_OF_THEM = [], WANTED


@pytest.mark.parametrize(
    ("change", "last", "builds"),
    [
        (as_it_is, push_of({"text": "2"}), ALL_OF_THEM),
        (as_it_is, push_of({".builds/a.yml": recipe(*LINES, task="echo more")}), ["a", "b"]),
        (as_it_is, push_of({".builds/a.yml": recipe(*LINES, "priority: 5")}), NOTHING),
        (as_it_is, push_of({".builds/e.yml": recipe(*LINES)}), ["e"]),
        (as_it_is, push_of(ref=TOPIC), NOTHING),
        (as_it_is, push_of(ref="refs/heads/release"), ["c"]),
        (as_it_is, push_of(ref=PROPOSED), ALL_OF_THEM),
        (as_it_is, push_of(ref=TAG), ALL_OF_THEM),
        (as_it_is, push_of(options=["submit=.builds/a.yml"]), NOTHING),
        (settings(recipe_path=(".builds/a.yml",)), push_of(), NOTHING),
        (settings(reuse_results=False), push_of(), ALL_OF_THEM),
        (settings(mail_to="ada@example.org"), push_of(), NOTHING),
        (strategy, push_of(), NOTHING),
        (image_made_anew, push_of(), ["d.1", "d.2"]),
        (deleted_build, push_of(), ["a"]),
        (removed_products, push_of(), ["a"]),
        (newer_builds, push_of(), NOTHING),
        (rebuilt, push_of(), NOTHING),
        (failing_again, push_of(), ["a"]),
        (running_again, push_of(), ["a", "a"]),
    ],
)
def test_what_is_looked_at_again(works, built, change, last, builds):
    """What is another push, other settings, or a result that stands no longer."""
    change(works)
    last(works)
    assert not works.is_repeat
    assert sorted(works.run_all()) == builds


def test_a_server_with_other_settings(works, built):
    """It reads by its own, and what it read stands for nothing where they are others."""
    settings = works.parts.settings
    changed = replace(settings, builds=replace(settings.builds, recipes=77))
    other, usual = make_parts(changed, works.parts.data, clock=works.clock), works.services
    ways = []
    for services in (other.services, usual, other.services):
        works.services = services
        works.again()
        ways.append(works.is_repeat)
    other.store.database.close()
    assert ways == [False, True, True]


def test_an_input_that_is_no_longer_what_was_pushed(works):
    """A job looks at its `paths` alone in whatever is at the commit that was pushed."""
    twin = Repository(works.repository.bare.parent, "twin").bare
    copy = ("push", "-q", str(twin), "main")
    git(works.repository.tree, *copy)
    works.configure(Input("twin", uri=str(twin), local=True))
    works.request({"other": "1", "text": "1", ".build.yml": recipe("paths: [text]")})
    git(works.repository.tree, *copy)
    assert works.services.evaluations.evaluate_next()
    assert works.run_all() == ["build"]
    works.again()
    assert works.run_all() == ["build"]


@pytest.mark.parametrize(
    ("lines", "builds"),
    [
        ("always: true", ["build"]),
        ("triggers: [{action: email, condition: always, to: ada@example.org}]", []),
        ("maintainers: [ada@example.org]", []),
        ("when: {paths: [text]}", []),
        ("schedules: [{cron: 0 3 * * *}]", []),
    ],
)
def test_recipes_that_are_always_read(works, lines, builds):
    """What is built each time, told of, depends on what a push changed, or is in force from it."""
    works.push({".build.yml": recipe(lines), ".builds/other.yml": recipe()})
    works.run_all()
    for _ in range(2):
        works.again()
        assert not works.is_repeat
        assert works.run_all() == builds


def test_a_source_of_its_own_is_looked_at(works):
    """What a recipe names beside the inputs of its jobset may be another commit now."""
    other = Repository(works.repository.bare.parent, "other")
    other.commit({"x": "1"})
    other.push("main", "main:stable")
    works.configure(Input("library", uri=str(other.bare), ref="refs/heads/stable", local=True))
    works.push({".build.yml": recipe(f"sources: ['own::{other.bare}#main']")})
    assert works.run_all() == ["build"]
    works.again()
    assert works.run_all() == []
    other.commit({"x": "2"})
    other.push()
    works.again()
    assert works.run_all() == ["build"]


@pytest.mark.skipif(
    shutil.which("nix-instantiate") is None and os.environ.get("CI") != "true",
    reason="Nix is not installed (Debian: nix-bin)",
)
def test_nix_is_read_again(works):
    """Its recipes may ask what time it is."""
    for _ in range(2):
        made = works.push({"ci.nix": NIX}, options=["submit=*.nix"])
        assert (made.status, works.is_repeat) == (EvaluationStatus.SUCCEEDED, False)
        works.run_all()


def test_whoever_hears_of_results_hears_of_each(works, services):
    """Each push that an earlier result stands for is told."""
    mail = "{action: email, condition: always, to: ada@example.org}"
    works.push({".build.yml": recipe(f"triggers: [{mail}]")})
    works.run_all()
    revisions = [works.again().revision for _ in range(2)]
    told = [one.event.revision for one in services.queries.deliveries(ADMIN)]
    assert set(revisions) < set(told)
