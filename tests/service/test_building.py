"""Many jobs from one push: in the order of their needs, one of a group at a time, and only what
was not built already.
"""

from dataclasses import replace

import pytest
from support.factories import MAIN, done
from support.statements import asked
from support.works import ALL, Works, recipe

from ciserver.executor.images import ImageFacts
from ciserver.machine import make_images
from ciserver.model.account import Right
from ciserver.model.build import BuildResult
from ciserver.model.errors import Forbidden
from ciserver.model.evaluation import Kind
from ciserver.model.project import Input, InputType, JobsetSettings
from ciserver.model.status import BuildStatus, EvaluationStatus, Reason


@pytest.fixture
def works(parts, clock, repository, watched):
    return Works(parts, clock, repository)


def test_a_build_starts_after_those_it_needs(works):
    evaluation = works.push(
        {
            ".build.yml": None,
            ".builds/deploy.yml": recipe("needs: [test]"),
            ".builds/compile.yml": recipe(),
            ".builds/test.yml": recipe("needs: [compile]"),
        }
    )
    assert works.builds(evaluation)["test"].waiting == "needs"
    assert works.run_all() == ["compile", "test", "deploy"]


def test_what_needs_a_failed_build_ends_too(works, services, admin):
    evaluation = works.push(
        {
            ".build.yml": None,
            ".builds/compile.yml": recipe(),
            ".builds/test.yml": recipe("needs: [compile]"),
            ".builds/deploy.yml": recipe("needs: [test]"),
        }
    )
    assert works.run(BuildStatus.FAILED, Reason.EXIT_CODE) == "compile"
    assert works.run() is None
    builds = works.builds(evaluation)
    assert builds["test"].status is BuildStatus.DEPENDENCY_FAILED
    assert builds["deploy"].status is BuildStatus.DEPENDENCY_FAILED
    assert str(builds["compile"].id) in builds["test"].detail
    assert works.store.evaluations.get(evaluation.id).builds_finished == 3
    # Running the culprit again brings them all back.
    services.builds.rerun(admin, builds["compile"].id)
    assert works.run_all() == ["compile", "test", "deploy"]
    assert works.store.evaluations.get(evaluation.id).builds_good == 3


def test_what_waits_says_for_what(works, services, admin):
    evaluation = works.push(
        {
            ".build.yml": None,
            ".builds/compile.yml": recipe(),
            ".builds/test.yml": recipe("needs: [compile]"),
        }
    )
    builds = works.builds(evaluation)
    told = services.queries.build(admin, builds["test"].id).waiting_for
    assert told == f"it needs compile (build {builds['compile'].id}, queued)"
    view = services.queries.evaluation(admin, evaluation.id)
    assert view.reasons[builds["test"].id] == told


def test_unchanged_content_is_not_built_again(works, services, admin):
    first = works.push({".build.yml": recipe(), "a.txt": "one"})
    assert works.run_all() == ["build"]
    works.push({"a.txt": "two"})
    assert works.run_all() == ["build"]
    again = works.push({"a.txt": "one"}, "Go back")
    assert works.run_all() == []
    (reused,) = services.queries.evaluation(admin, again.id).reused
    assert reused.evaluation_id == first.id
    assert (again.builds_total, again.builds_finished, again.builds_good) == (1, 1, 1)


def test_an_image_that_was_made_anew_is_built_on_again(works, parts):
    """What was built on the earlier one does not stand for it, and no other image matters."""
    images = make_images(parts.settings, parts.data)

    def make(name, number):
        with images.make(name, replace=True) as place:
            images.note(
                place, ImageFacts(number, "2026-11-01T00:00:00+00:00", "nothing", "/bin/sh")
            )

    make("debian/x", "1")
    works.push({".build.yml": recipe().replace("host", "debian/x"), "a.txt": "one"})
    assert works.run_all() == ["build"]
    works.push({"a.txt": "two"})
    assert works.run_all() == ["build"]
    make("debian/y", "2")
    works.push({"a.txt": "one"}, "Go back")
    assert works.run_all() == []
    make("debian/x", "3")
    works.push({"a.txt": "two"}, "Go on")
    assert works.run_all() == ["build"]


@pytest.mark.parametrize(
    ("kind", "lines"), [(Kind.TAG, ()), (Kind.PUSH, ("always: true",))], ids=["tag", "always"]
)
def test_what_is_always_built(works, kind, lines):
    works.push({".build.yml": recipe(*lines), "a.txt": "one"})
    works.run_all()
    works.push({"a.txt": "two"})
    works.run_all()
    ref = "refs/tags/v1" if kind is Kind.TAG else MAIN
    works.push({"a.txt": "one"}, "Go back", ref=ref)
    assert works.run_all() == ["build"]


def test_only_what_depends_on_the_change_is_built(works, services, admin):
    """A monorepo: each job names what it looks at, and what it needs is part of that."""
    files = {".build.yml": None}
    for name in ("core", "web", "docs"):
        needs = ("needs: [core]",) if name == "web" else ()
        files[f".builds/{name}.yml"] = recipe(f"paths: [{name}]", *needs)
        files[f"{name}/file"] = "1"
    works.push(files)
    assert sorted(works.run_all()) == ["core", "docs", "web"]
    works.push({"docs/file": "2"})
    assert works.run_all() == ["docs"]
    changed = works.push({"core/file": "2"})
    assert works.run_all() == ["core", "web"]
    assert {one.job for one in services.queries.evaluation(admin, changed.id).reused} == {"docs"}


def test_whoever_the_recipe_names_now_is_told_of_a_reuse(works, store):
    """Who is told does not decide what is built: the new address is told of the earlier build."""

    def told():
        rows = store.database.sql("SELECT target FROM deliveries ORDER BY created_at, id")
        return [target for (target,) in rows.fetchall()]

    def mail(to):
        trigger = f"  - {{action: email, condition: always, to: {to}}}"
        return recipe("paths: [src]", "triggers:", trigger)

    works.push({".build.yml": mail("ada@example.org"), "src/a": "1"})
    assert works.run_all() == ["build"]
    works.push({".build.yml": mail("bob@example.org")})
    assert works.run_all() == []
    assert sorted(told()) == ["ada@example.org", "bob@example.org"]


def test_jobs_with_the_same_sources_say_once_what_is_wrong(works):
    """A source is looked up once an evaluation, not once a job."""
    lines = ("sources: [/no/such/repository]", "matrix: {n: [1, 2, 3, 4]}")
    evaluation = works.push({".build.yml": recipe(*lines)})
    assert evaluation.status is EvaluationStatus.FAILED
    assert [one.field for one in evaluation.complaints] == ["sources[1]"]


def test_jobs_of_one_push_in_one_group_do_not_replace_each_other(works):
    """They take the place of the earlier push's, and run one after the other."""
    lines = ("concurrency: {group: deploy, policy: latest}", "matrix: {n: [1, 2, 3]}")
    first = works.push({".build.yml": recipe(*lines), "a": "1"})
    second = works.push({"a": "2"})
    assert {one.status for one in works.builds(first).values()} == {BuildStatus.CANCELED}
    assert works.run_all() == ["build.1", "build.2", "build.3"]
    assert works.store.evaluations.get(second.id).builds_good == 3


def test_what_a_push_replaces_costs_the_same(works):
    """However many builds of the group waited."""
    group, costs = "concurrency: {group: deploy, policy: latest}", []
    for many in (3, 3, 40):
        matrix = f"matrix: {{n: {list(range(many))}}}"
        first = works.push({".build.yml": recipe(group, matrix)})
        with asked(works.store) as statements:
            works.push({".build.yml": recipe(group)})
        builds = works.builds(first).values()
        assert {one.reason for one in builds} == {Reason.SUPERSEDED}
        assert len(builds) == many
        costs.append(len(statements))
    assert costs[1] == costs[2]


def test_many_jobs_cost_few_statements(works):
    """Their builds are written some dozens at once, with all that belongs to them."""
    costs = []
    for many in (10, 510):
        made = recipe(f"matrix: {{n: {list(range(many))}}}", "needs: [first]")
        files = {".build.yml": None, ".builds/all.yml": made, ".builds/first.yml": recipe()}
        requested = works.request(files)
        with asked(works.store) as statements:
            works.services.evaluations.evaluate_next()
        assert works.store.evaluations.get(requested).builds_total == many + 1
        costs.append(len(statements))
    assert costs[1] - costs[0] < 500 / 10


def test_a_job_is_left_out_with_what_needs_it(works):
    evaluation = works.push(
        {
            ".build.yml": None,
            ".builds/site.yml": recipe("when: {paths: [site]}"),
            ".builds/publish.yml": recipe("needs: [site]"),
            ".builds/other.yml": recipe(),
            "code.txt": "1",
        }
    )
    assert sorted(works.run_all()) == ["other", "publish", "site"]  # a first push changes all
    evaluation = works.push({"code.txt": "2"})
    assert works.run_all() == ["other"]
    assert {one.job: one.reason for one in evaluation.skipped} == {
        "site": "when.paths: none of the 1 changed files matches site",
        "publish": "needs: site is left out",
    }


class TestGroups:
    """`concurrency`: one build of a group at a time."""

    def two_pushes(self, works, policy):
        lines = f"concurrency: {{group: deploy, policy: {policy}}}"
        first = works.push({".build.yml": recipe(lines), "a": "1"})
        running = works.reporter.claim(ALL)
        works.reporter.advance(running.lease, done(0), 1, sandbox="plain")
        second = works.push({"a": "2"})
        return works.builds(first)["build"], works.builds(second)["build"], running

    def status(self, works, build):
        return works.store.builds.get(build.id)

    def test_queue(self, works):
        """All run, one after the other."""
        first, second, running = self.two_pushes(works, "queue")
        third = works.builds(works.push({"a": "3"}))["build"]
        assert works.run() is None
        works.reporter.finish(running.lease, BuildResult(BuildStatus.SUCCEEDED), ())
        assert works.run_all() == ["build", "build"]
        for one in (first, second, third):
            assert self.status(works, one).status is BuildStatus.SUCCEEDED

    def test_latest(self, works):
        """The newest waiting one replaces older waiting ones; what runs goes on."""
        first, second, running = self.two_pushes(works, "latest")
        third = works.builds(works.push({"a": "3"}))["build"]
        replaced = self.status(works, second)
        assert (replaced.status, replaced.reason) == (BuildStatus.CANCELED, Reason.SUPERSEDED)
        assert str(third.id) in replaced.detail
        works.reporter.finish(running.lease, BuildResult(BuildStatus.SUCCEEDED), ())
        assert works.run_all() == ["build"]
        assert self.status(works, first).status is BuildStatus.SUCCEEDED

    def test_cancel(self, works):
        """The newest one stops the one that runs."""
        first, second, running = self.two_pushes(works, "cancel")
        assert works.reporter.renew(running.lease)  # it learns of it
        canceled = BuildResult(BuildStatus.CANCELED, Reason.CANCELED_BY, "the build was canceled")
        works.reporter.finish(running.lease, canceled, ())
        assert self.status(works, first).reason is Reason.SUPERSEDED
        assert works.run_all() == ["build"]
        assert self.status(works, second).status is BuildStatus.SUCCEEDED


def test_a_failing_command_is_tried_again_as_often_as_asked(works):
    evaluation = works.push({".build.yml": recipe("retry_on_failure: 2")})
    for _ in range(3):
        assert works.run(BuildStatus.FAILED, Reason.EXIT_CODE) == "build"
    assert works.run() is None
    build = works.builds(evaluation)["build"]
    assert (build.status, build.attempt) == (BuildStatus.FAILED, 3)


def test_a_matrix_is_a_job_each(works):
    evaluation = works.push(
        {".build.yml": recipe('matrix: {python: ["3.11", "3.12"]}', task="echo $python")}
    )
    assert sorted(works.builds(evaluation)) == ["build.3.11", "build.3.12"]


def test_pauses(works, services, admin):
    works.push({".build.yml": recipe()})
    services.pauses.pause(admin, paused=True)
    assert works.run() is None
    services.pauses.pause(admin, paused=False)
    services.pauses.pause_jobset(admin, "project", "main", paused=True)
    assert works.run() is None
    (build,) = services.queries.queue(admin).waiting.builds
    assert services.queries.queue(admin).reasons[build.id] == "the jobset project:main is paused"
    services.pauses.pause_jobset(admin, "project", "main", paused=False)
    assert works.run() == "build"


def test_bumped_builds_go_first(works, services, admin):
    works.push({".build.yml": None, ".builds/a.yml": recipe(), ".builds/b.yml": recipe()})
    last = max(services.queries.builds(admin).builds, key=lambda one: one.id)
    services.builds.bump(admin, last.id)
    assert works.run() == last.job


def test_a_repository_without_hooks_is_looked_at(works, services, store, admin, clock):
    jobset = store.jobsets.get_by_name("project", "main")
    settings = JobsetSettings(check_interval_seconds=60)
    services.jobsets.put(admin, "project", "main", settings, jobset.inputs)
    assert services.polls.check_next()
    assert services.evaluations.evaluate_next()
    assert works.run_all() == ["build"]
    assert not services.polls.check_next()
    clock.forward(seconds=61)
    assert services.polls.check_next()
    assert not services.evaluations.evaluate_next()  # nothing is new
    works.repository.commit({"more": "1"}, "More")
    works.repository.push()
    clock.forward(seconds=61)
    assert services.polls.check_next()
    assert services.evaluations.evaluate_next()
    newest = services.queries.jobset(admin, "project", "main").evaluations.evaluations[0]
    assert (newest.status, newest.requested_by) == (EvaluationStatus.SUCCEEDED, "poll")


def test_inputs_of_every_type_are_pinned(works, services, store, admin):
    """Values and earlier results are in the environment, and evaluations say which they were."""
    works.push({".build.yml": recipe()})
    works.run_all()
    jobset = store.jobsets.get_by_name("project", "main")
    others = (
        Input("flavor", type=InputType.STRING, value="sweet"),
        Input("before", type=InputType.BUILD, value="build"),
        Input("same-system", type=InputType.SYSBUILD, value="project:main:build"),
        Input("round", type=InputType.EVAL, value="main"),
    )
    services.jobsets.put(admin, "project", "main", JobsetSettings(), (*jobset.inputs, *others))
    evaluation = works.push({"a": "1"})
    assert evaluation.status is EvaluationStatus.SUCCEEDED
    assert {one.name: one.value for one in evaluation.inputs[1:]} == {
        "flavor": "sweet",
        "before": "1",
        "same-system": "1",
        "round": "1",
    }
    build = works.builds(evaluation)["build"]
    variables = services.queries.build(admin, build.id).job.environment
    assert variables["INPUT_FLAVOR"] == "sweet"
    assert variables["INPUT_BEFORE"] == variables["INPUT_SAME_SYSTEM"] == "1"
    assert variables["INPUT_ROUND_URL"].endswith("/eval/1")


def test_an_input_that_nobody_made_is_told(works, services, store, admin):
    jobset = store.jobsets.get_by_name("project", "main")
    missing = Input("before", type=InputType.BUILD, value="elsewhere:main:build")
    services.jobsets.put(admin, "project", "main", JobsetSettings(), (*jobset.inputs, missing))
    evaluation = works.push({"a": "1"})
    assert evaluation.status is EvaluationStatus.FAILED
    assert "elsewhere" in str(evaluation.complaints[0])


def test_maintainers_are_told_of_a_change(works, services, admin):
    """By mail, when the first build fails, and not again while it does."""
    lines = "maintainers: [ada@example.org]"
    works.push({".build.yml": recipe(lines), "a": "1"})
    assert works.run(BuildStatus.FAILED, Reason.EXIT_CODE) == "build"
    works.push({"a": "2"})
    assert works.run(BuildStatus.FAILED, Reason.EXIT_CODE) == "build"
    (told,) = services.queries.deliveries(admin)
    assert (told.action, told.target, told.event.build_id) == ("email", "ada@example.org", 1)


def test_a_result_of_earlier_is_a_state_of_its_job(works, services, admin):
    """It is told as cached when the job was broken before, once, and what breaks after it is a
    change.
    """
    lines = "maintainers: [ada@example.org]"
    works.push({".build.yml": recipe(lines), "a": "1"})
    works.run()
    works.push({"a": "2"})
    works.run(BuildStatus.FAILED, Reason.EXIT_CODE)
    works.push({"a": "1"})
    works.push({"a": "1"}, "Change nothing")
    works.push({"a": "3"})
    works.run(BuildStatus.FAILED, Reason.EXIT_CODE)
    told = [one.event for one in services.queries.deliveries(admin)]
    told.sort(key=lambda one: int(one.evaluation_url.rpartition("/")[2]))
    assert [(one.build_id, one.status, one.cached) for one in told] == [
        (2, "failed", False),
        (1, "succeeded", True),
        (3, "failed", False),
    ]


@pytest.fixture
def faults(works, services, admin):
    """Pushes a recipe; answers what the owner of the project is mailed of its faults, if so."""

    def push(text, **rest):
        evaluation = works.push({".build.yml": text}, **rest)
        works.run_all()
        return [
            (one.target, one.event.faults)
            for one in services.queries.deliveries(admin)
            if one.event.about == {"evaluation": evaluation.id}
        ]

    return push


@pytest.fixture
def owner(store, clock):
    with store.transaction():
        store.accounts.add(
            "root", email="root@example.org", password_hash="", is_admin=True, now=clock.now()
        )


BROKEN = 'image: host\nnonsense: true\ntasks:\n  - build: "true"\n'


def test_the_owner_hears_of_changed_faults(faults, owner):
    """Of new ones and of their end, and of the same ones no second time."""
    assert faults(recipe()) == []
    ((target, first),) = faults(BROKEN)
    assert target == "root@example.org"
    assert "nonsense" in first[0]
    assert faults(BROKEN + "# the same\n") == []
    assert len(faults(BROKEN.replace("nonsense", "nothing"))) == 1
    assert faults(recipe()) == [(target, ())]
    assert faults(recipe("shell: true")) != [(target, ())]


@pytest.mark.parametrize("quiet", ["no account", "no mail", "pull request"])
def test_an_owner_who_is_not_mailed(faults, services, store, admin, clock, quiet):
    """Without an account there is no address, and nobody is mailed of what strangers wrote."""
    if quiet != "no account":
        with store.transaction():
            store.accounts.add(
                "root", email="r@example.org", password_hash="", is_admin=True, now=clock.now()
            )
    jobset = store.jobsets.get_by_name("project", "main")
    settings = replace(jobset.settings, tell_by_mail=quiet != "no mail")
    (source,) = jobset.inputs
    watching = replace(source, watch=("refs/*",))
    services.jobsets.put(admin, "project", "main", settings, (watching,))
    ref = "refs/pull/1/head" if quiet == "pull request" else MAIN
    assert faults(BROKEN, ref=ref) == []


def test_who_may_know_of_a_mail_about_faults(works, faults, owner, services, admin):
    """Those with a right in the project; they may send it again."""
    faults(BROKEN)
    (one,) = services.queries.deliveries(admin)
    assert services.queries.delivery(admin, one.id)[0].event == one.event
    assert services.deliveries.resend(admin, one.id).id == one.id
    member = works.factory.user("cyd")
    assert services.queries.deliveries(member) == ()
    with pytest.raises(Forbidden):
        services.queries.delivery(member, one.id)
    services.projects.set_member(admin, "project", "cyd", frozenset({Right.EVALUATE}))
    assert [each.id for each in services.queries.deliveries(member)] == [one.id]
