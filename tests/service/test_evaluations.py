"""Evaluations of real repositories: what is pinned, what is built, and why not."""

import contextlib
import shutil
import sqlite3
from dataclasses import replace

import pytest
from support.factories import ADMIN, MAIN, Factory, make_push
from support.repositories import Repository, git
from support.server import free_port

from ciserver.config import Builds, Git, Settings
from ciserver.datadir import DataDirectory
from ciserver.machine import native_system
from ciserver.model.build import Offer
from ciserver.model.errors import Busy, Conflict
from ciserver.model.evaluation import Kind, PinnedInput, SkippedJob
from ciserver.model.push import RefChange, Trust
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import DeliveryStatus, EvaluationStatus
from ciserver.recipe.text import job_from_json
from ciserver.wiring import make_parts, scratch_root

GOOD = "image: host\ntasks:\n  - build: echo built\n"
FAULTY = """\
imag: host
arch: 3
packages: 3
sources: [3]
environment: [1]
tasks:
  - build: 1
artifacts: 7
triggers:
  - action: pigeon
timeout: soon
priority: high
"""


@pytest.fixture
def project(repository, services, admin):
    """A watched repository, and no recipe yet."""
    repository.commit({"README": "hello\n"}, "First")
    repository.push()
    services.projects.watch(admin, "project", str(repository.bare), local=True)
    return repository


@pytest.fixture
def evaluate(project, services, make, store):
    """Commit and push the files, and evaluate the push; answers the evaluation."""

    def evaluate(files, message="Change", *, ref=MAIN, revision="", options=()):
        pushed = project.commit(files, message)
        project.push()
        return run(services, make, store, revision or pushed, ref=ref, options=options)

    return evaluate


def request(services, make, revision, *, ref=MAIN, options=()):
    push = make_push(RefChange(ref, "0" * 40, revision), pusher="ada", options=options)
    (one,) = services.pushes.accept_push(make.received(), push).evaluations
    return one.id


def run(services, make, store, revision, **rest):
    made = request(services, make, revision, **rest)
    assert services.evaluations.evaluate_next()
    return store.evaluations.get(made)


def builds_of(store, evaluation):
    return store.builds.list_of_evaluation(evaluation.id)


def job_of(store, build):
    return job_from_json(store.builds.job_text(build.id))


def test_nothing_waits(services):
    """Without a request nothing is done."""
    assert services.evaluations.evaluate_next() is False


def test_a_good_push(evaluate, store, project):
    """One job is one queued build, and the evaluation knows the commit."""
    evaluation = evaluate({".build.yml": GOOD}, "Add a recipe\n\nAt length.")
    assert evaluation.status is EvaluationStatus.SUCCEEDED
    assert (evaluation.subject, evaluation.author) == (
        "Add a recipe",
        "Ada Author <ada@example.org>",
    )
    assert evaluation.inputs == (
        PinnedInput("source", str(project.bare), MAIN, evaluation.revision),
    )
    (build,) = builds_of(store, evaluation)
    assert (build.job, build.status.value, build.requested_by) == ("build", "queued", "ada")
    assert (build.revision, build.kind) == (evaluation.revision, Kind.PUSH)
    assert (evaluation.builds_total, evaluation.builds_finished) == (1, 0)


def test_exactly_the_pushed_revision(project, services, make, store):
    """The branch moved on before the evaluation: the pushed commit is built all the same."""
    pushed = project.commit({".build.yml": GOOD}, "The pushed one")
    project.commit({".build.yml": "broken: [", "other": "x"}, "A later one")
    project.push()
    evaluation = run(services, make, store, pushed)
    assert (evaluation.status, evaluation.revision) == (EvaluationStatus.SUCCEEDED, pushed)
    (build,) = builds_of(store, evaluation)
    assert [source.revision for source in job_of(store, build).sources] == [pushed]


@pytest.mark.parametrize(
    ("message", "note"),
    [
        ("Typo [skip ci]", "the commit message says [skip ci]"),
        ("Typo\n\nskip-checks: true", "the commit message says skip-checks: true"),
    ],
)
def test_skipped(evaluate, store, message, note):
    """Who asks for no builds gets none, with the reason."""
    evaluation = evaluate({".build.yml": GOOD}, message)
    assert (evaluation.status, evaluation.note) == (EvaluationStatus.SKIPPED, note)
    assert builds_of(store, evaluation) == ()


def test_what_is_no_commit(project, services, make, store):
    """A tag of a single file is nothing to build, and no fault of anybody."""
    project.commit({".build.yml": GOOD})
    blob = git(project.tree, "rev-parse", "HEAD:.build.yml")
    git(project.tree, "tag", "file", blob)
    project.push("main", "file")
    evaluation = run(services, make, store, blob, ref="refs/tags/file")
    assert evaluation.status is EvaluationStatus.SKIPPED
    assert evaluation.note == "refs/tags/file is no commit"


def test_no_recipe(evaluate):
    """A revision without a recipe says where one was looked for."""
    evaluation = evaluate({"README": "more\n"})
    assert evaluation.status is EvaluationStatus.SKIPPED
    assert ".build.yml" in evaluation.note
    assert ".builds/*.yml" in evaluation.note


def test_a_broken_recipe_names_every_fault(evaluate, store):
    """Ten faults are ten complaints, each with file and field, and nothing is built."""
    evaluation = evaluate({".build.yml": FAULTY})
    assert evaluation.status is EvaluationStatus.FAILED
    assert {one.file for one in evaluation.complaints} == {".build.yml"}
    fields = {one.field.partition("[")[0].partition(".")[0] for one in evaluation.complaints}
    assert fields >= {
        "imag",
        "image",
        "arch",
        "packages",
        "sources",
        "environment",
        "tasks",
        "artifacts",
        "triggers",
        "timeout",
        "priority",
    }
    assert builds_of(store, evaluation) == ()


def test_one_broken_recipe_stops_all(evaluate, store):
    """Half an evaluation is none: the good jobs wait for the mended one."""
    evaluation = evaluate({".builds/a.yml": GOOD, ".builds/b.yml": "image: 3"})
    assert evaluation.status is EvaluationStatus.FAILED
    assert {one.file for one in evaluation.complaints} == {".builds/b.yml"}
    assert builds_of(store, evaluation) == ()


def test_several_jobs(evaluate, store):
    """Each file of .builds is a job of its own."""
    evaluation = evaluate({f".builds/{name}.yml": GOOD for name in ("alpine", "debian")})
    assert [one.job for one in builds_of(store, evaluation)] == ["alpine", "debian"]
    assert evaluation.builds_total == 2


def test_twins(evaluate, store):
    """Of two files that make the same job the first is built, and the other is named."""
    evaluation = evaluate({".build.yml": GOOD, ".builds/build.yaml": "image: 3"})
    assert [one.job for one in builds_of(store, evaluation)] == ["build"]
    (skipped,) = evaluation.skipped
    assert skipped == SkippedJob("build", ".builds/build.yaml: the job is made by .build.yml")


@pytest.mark.parametrize("most", [0, 2])
def test_very_many_recipes(tmp_path, repository, clock, admin, most):
    """As many are read as the configuration says; the others are named on the evaluation."""
    settings = Settings(builds=Builds(recipes=most))
    parts = make_parts(settings, DataDirectory(tmp_path / "other-data"), clock=clock)
    pushed = repository.commit({f".builds/{one}.yml": GOOD for one in "abc"}, "Add")
    repository.push()
    parts.services.projects.watch(admin, "project", str(repository.bare), local=True)
    evaluation = run(parts.services, Factory(parts, clock), parts.store, pushed)
    assert [one.job for one in builds_of(parts.store, evaluation)] == list("abc")[: most or 3]
    assert [one.job for one in evaluation.skipped] == (["c"] if most else [])
    parts.store.database.close()


def test_other_recipes_by_option(evaluate, store):
    """`-o submit=` names the recipes of this push."""
    evaluation = evaluate({".build.yml": GOOD, "ci/extra.yml": GOOD}, options=("submit=ci/*.yml",))
    assert [one.job for one in builds_of(store, evaluation)] == ["extra"]


def test_what_a_pusher_says_of_a_push(evaluate, store, admin, services):
    """A note for the evaluation, beside what was not understood; the builds have the commit as
    their note, and tags.
    """
    options = ("description= A\tspecial\x07 one", "submit=.build.yml,../x")
    evaluation = evaluate({".build.yml": GOOD}, "Add\n\nAt length.", options=options)
    assert evaluation.note == ("A special one; submit=../x is no path within what is pushed")
    (build,) = builds_of(store, evaluation)
    view = services.queries.build(admin, build.id)
    assert view.note.startswith(f"[{evaluation.revision[:12]}](http://")
    assert view.note.endswith(" — [Ada Author](mailto:ada@example.org): Add")
    assert view.tags == ("project", "commits", "main", "build")


def test_filters(evaluate, store):
    """Jobs that their filters leave out are named with the filter; the others are built."""
    evaluation = evaluate(
        {
            ".builds/all.yml": GOOD,
            ".builds/release.yml": GOOD + "when:\n  kinds: [tag]\n",
            ".builds/stable.yml": GOOD + "when:\n  refs: [stable]\n",
        }
    )
    assert [one.job for one in builds_of(store, evaluation)] == ["all"]
    assert {one.job: one.reason.partition(":")[0] for one in evaluation.skipped} == {
        "release": "when.kinds",
        "stable": "when.refs",
    }


def test_every_job_left_out(evaluate, store):
    """With nothing left the evaluation is skipped and says so."""
    evaluation = evaluate({".build.yml": GOOD + "when:\n  kinds: [tag]\n"})
    assert evaluation.status is EvaluationStatus.SKIPPED
    assert "left out" in evaluation.note
    assert len(evaluation.skipped) == 1


def test_a_tag(project, services, make, store):
    """An annotated tag is built at the commit that it names."""
    commit = project.commit({".build.yml": GOOD + "when:\n  kinds: [tag]\n"})
    git(project.tree, "tag", "-a", "v1", "-m", "One")
    project.push("main", "v1")
    tag = git(project.tree, "rev-parse", "v1")
    evaluation = run(services, make, store, tag, ref="refs/tags/v1")
    (build,) = builds_of(store, evaluation)
    assert (build.kind, build.ref, evaluation.revision) == (Kind.TAG, "refs/tags/v1", commit)


def test_the_pushed_source_takes_its_place(evaluate, store, project):
    """A source with the repository's name is read from the pushed revision, in its directory."""
    recipe = GOOD + "sources:\n  - https://example.org/fork/project.git\n"
    evaluation = evaluate({".build.yml": recipe})
    (build,) = builds_of(store, evaluation)
    (source,) = job_of(store, build).sources
    assert (source.uri, source.directory) == (str(project.bare), "project")
    assert source.revision == evaluation.revision


@pytest.fixture
def wide(tmp_path, clock):
    """A server where recipes may name local repositories and plain http."""
    settings = Settings(git=Git(local_roots=(tmp_path,), allow_http=True))
    parts = make_parts(settings, DataDirectory(tmp_path / "wide"), clock=clock)
    yield parts
    parts.store.database.close()


def wide_push(wide, clock, tmp_path, recipe):
    made = Repository(tmp_path / "wide-repositories", "main-one")
    revision = made.commit({".build.yml": recipe})
    made.push()
    wide.services.projects.watch(ADMIN, "project", str(made.bare), local=True)
    return run(wide.services, Factory(wide, clock), wide.store, revision)


def test_an_extra_source_is_pinned(wide, clock, tmp_path):
    """A second repository is built at the revision that its ref has now."""
    other = Repository(tmp_path / "others", "library")
    pinned = other.commit({"x": "1"})
    git(other.tree, "branch", "stable")
    other.push("stable")
    recipe = GOOD + f"sources:\n  - {other.bare}#stable\n"
    evaluation = wide_push(wide, clock, tmp_path, recipe)
    (build,) = wide.store.builds.list_of_evaluation(evaluation.id)
    own, extra = job_of(wide.store, build).sources
    assert own.revision == evaluation.revision
    assert (extra.directory, extra.revision) == ("library", pinned)


def test_a_missing_ref(wide, clock, tmp_path):
    """A ref that the other repository lacks is a fault of that source."""
    other = Repository(tmp_path / "others", "library")
    other.commit({"x": "1"})
    other.push()
    recipe = GOOD + f"sources:\n  - {other.bare}#missing\n  - {tmp_path}/nowhere.git\n"
    evaluation = wide_push(wide, clock, tmp_path, recipe)
    assert evaluation.status is EvaluationStatus.FAILED
    first, second = evaluation.complaints
    assert "missing is not in" in first.message
    assert "not found" in second.message
    assert [one.field for one in evaluation.complaints] == ["sources[1]", "sources[2]"]


def test_a_revision_that_is_not_there(project, services, make, store):
    """A forced push may take a revision away; the message says so."""
    evaluation = run(services, make, store, "a" * 40)
    assert evaluation.status is EvaluationStatus.FAILED
    assert "is not in" in str(evaluation.complaints[0])


def test_a_removed_repository(project, services, make, store):
    """A repository that is gone is a failure with its address, at once."""
    made = request(services, make, "a" * 40)
    shutil.rmtree(project.bare)
    services.evaluations.evaluate_next()
    evaluation = store.evaluations.get(made)
    assert evaluation.status is EvaluationStatus.FAILED
    assert str(project.bare) in evaluation.complaints[0].message


def test_a_host_that_does_not_answer_is_tried_again(wide, clock):
    """After 2, 10 and 60 seconds; then the evaluation fails with what the host said."""
    services, store, make = wide.services, wide.store, Factory(wide, clock)
    uri = f"http://127.0.0.1:{free_port()}/project.git"
    services.projects.watch(ADMIN, "project", uri)
    made = request(services, make, "a" * 40)
    for seconds in (2, 10, 60):
        began = clock.now()
        assert services.evaluations.evaluate_next()
        assert store.evaluations.get(made).status is EvaluationStatus.RUNNING
        assert (services.evaluations.next_due() - began).total_seconds() == seconds
        assert not services.evaluations.evaluate_next()
        clock.forward(seconds=seconds, microseconds=1)
    assert services.evaluations.evaluate_next()
    evaluation = store.evaluations.get(made)
    assert evaluation.status is EvaluationStatus.FAILED
    assert uri in evaluation.complaints[0].message
    assert services.evaluations.next_due() is None


def test_a_crash_is_stored(parts, evaluate, services, store, project, make):
    """A fault of ours ends the evaluation with an incident to look for; the next one runs."""
    evaluate({".build.yml": GOOD})
    locks = [one for one in mirrors(parts).glob("*.lock") if one.stem != "naming-key"]
    for lock in locks:
        lock.unlink()
        lock.mkdir()
    evaluation = evaluate({"more": "x"})
    assert evaluation.status is EvaluationStatus.FAILED
    assert "incident" in evaluation.complaints[0].message
    assert str(locks[0]) not in evaluation.complaints[0].message
    for lock in locks:
        lock.rmdir()
    assert evaluate({"more": "y"}).status is EvaluationStatus.SUCCEEDED


def mirrors(parts):
    return scratch_root(parts.settings, parts.data) / "mirrors"


@pytest.mark.usefixtures("sqlite_alone")
def test_all_builds_or_none(evaluate, services, store):
    """When one build cannot be written, none is, and the evaluation says that it failed."""
    store.database.sql(
        "CREATE TRIGGER full BEFORE INSERT ON builds WHEN NEW.job = 'second'"
        " BEGIN SELECT RAISE(ABORT, 'no room'); END"
    )
    recipes = {f".builds/{name}.yml": GOOD for name in ("first", "second")}
    evaluation = evaluate(recipes)
    assert evaluation.status is EvaluationStatus.FAILED
    assert (evaluation.builds_total, evaluation.inputs) == (0, ())
    for table in ("builds", "ready", "job_counters", "texts", "lanes"):
        assert store.database.sql(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    store.database.sql("DROP TRIGGER full")
    assert len(builds_of(store, evaluate({"x": "1"}))) == 2


def test_a_killed_server_evaluates_again(project, services, make, store, clock):
    """What it had taken waits again at the next start, and is made once."""
    made = request(services, make, project.commit({".build.yml": GOOD}))
    project.push()
    with store.transaction():
        assert store.evaluations.claim(clock.now(), clock.forward(minutes=15))
    assert not services.evaluations.evaluate_next()
    assert services.evaluations.recover() == 1
    assert services.evaluations.evaluate_next()
    evaluation = store.evaluations.get(made)
    assert evaluation.status is EvaluationStatus.SUCCEEDED
    assert len(builds_of(store, evaluation)) == 1


class LockingClock:
    """Takes the database away between two transactions, as a foreign process may."""

    def __init__(self, clock, path):
        self._clock = clock
        self.holder = sqlite3.connect(path, isolation_level=None, timeout=0)

    def now(self):
        if not self.holder.in_transaction:
            with contextlib.suppress(sqlite3.OperationalError):  # the evaluation writes just now
                self.holder.execute("BEGIN IMMEDIATE")
        return self._clock.now()


@pytest.mark.usefixtures("sqlite_alone")
def test_an_end_that_could_not_be_written_is_written_later(parts, project, make, store, clock):
    """An evaluation does not wait for its lease when the database was held at the wrong moment."""
    revision = project.commit({".build.yml": GOOD})
    project.push()
    asked = request(parts.services, make, revision)
    store.database.sql("PRAGMA busy_timeout = 50")
    evaluations = parts.services.evaluations
    # What is pinned has its time from a clock, just before the builds are written.
    pinning = evaluations._pinning
    plain = pinning._clock
    locking = pinning._clock = LockingClock(clock, store.database.place)
    with pytest.raises(Busy):
        evaluations.evaluate_next()
    locking.holder.execute("ROLLBACK")
    locking.holder.close()
    pinning._clock = plain
    assert not evaluations.evaluate_next()
    clock.forward(seconds=1)
    assert evaluations.evaluate_next()
    found = store.evaluations.get(asked)
    assert (found.status, found.builds_total) == (EvaluationStatus.SUCCEEDED, 1)


def test_an_evaluation_whose_thread_died_is_taken_again(make, store, clock):
    """After its lease somebody else takes it; before that nobody does."""
    evaluation = make.evaluation()
    now, until = clock.now(), clock.forward(minutes=15)
    assert store.evaluations.claim(now, until)[1] == 1
    assert store.evaluations.claim(until, until) is None
    clock.forward(seconds=1)
    again, tries = store.evaluations.claim(clock.now(), clock.forward(minutes=15))
    assert (again.id, tries) == (evaluation.id, 2)


def test_the_engine_is_rung(parts, evaluate, services):
    """New builds wake the engine once they are durable."""
    rung = []
    parts.bells.builds.on_ring(lambda: rung.append(True))
    evaluate({".build.yml": "broken: ["})
    assert rung == []
    evaluate({".build.yml": GOOD})
    assert rung == [True]


# -- what somebody proposes -----------------------------------------------------------------------

TELLING = GOOD + (
    "triggers:\n  - action: email\n    condition: always\n    to: eve@example.org\n"
    "when:\n  kinds: [push, pull_request, nightly, api]\n"
)
PROPOSALS = [
    "refs/pull/7/head",
    "refs/pull/7/merge",
    "refs/pull-requests/7/from",
    "refs/merge-requests/7/head",
    "refs/changes/34/1234/5",
]


@pytest.fixture
def open_project(repository, services, admin):
    """A watched repository of which every ref is evaluated; answers a function that pushes one."""
    repository.commit({".build.yml": TELLING}, "First")
    repository.push()
    services.projects.watch(admin, "project", str(repository.bare), local=True, refs=("refs/*",))

    def push(ref):
        revision = repository.commit({"x": ref}, "Proposed")
        repository.push(f"HEAD:{ref}")
        return revision

    return push


@pytest.mark.parametrize("ref", PROPOSALS)
def test_a_proposal_is_not_trusted(open_project, services, make, store, ref):
    """It is built without network and tells nobody, since its author may have written both; whom
    it was to tell is seen, with the reason, and stays so.
    """
    evaluation = run(services, make, store, open_project(ref), ref=ref)
    assert (evaluation.kind, evaluation.trust) == (Kind.PULL_REQUEST, Trust.UNTRUSTED)
    (build,) = builds_of(store, evaluation)
    job = job_of(store, build)
    assert build.trust is Trust.UNTRUSTED
    assert (job.network, job.maintainers) == (False, ())
    services.builds.cancel(ADMIN, build.id)
    (kept,) = store.outbox.list_of_build(build.id)
    assert (kept.status, kept.tries) == (DeliveryStatus.SKIPPED, 0)
    assert "may not push" in kept.detail
    with pytest.raises(Conflict, match="never sent"):
        services.deliveries.resend(ADMIN, kept.id)
    assert not services.deliveries.deliver_next()


def test_a_proposal_may_have_a_network_of_its_own(tmp_path, repository, clock, admin):
    """Where the settings say so its recipe is asked; whoever runs it is told of the trust."""
    settings = Settings(builds=Builds(untrusted_network="isolated"))
    parts = make_parts(settings, DataDirectory(tmp_path / "other-data"), clock=clock)
    closed = TELLING.replace("tasks:", "network: false\ntasks:")
    pushed = repository.commit({".builds/on.yml": TELLING, ".builds/off.yml": closed}, "Proposed")
    repository.push(f"HEAD:{PROPOSALS[0]}")
    uri = str(repository.bare)
    parts.services.projects.watch(admin, "project", uri, local=True, refs=("refs/*",))
    make, store = Factory(parts, clock), parts.store
    evaluation = run(parts.services, make, store, pushed, ref=PROPOSALS[0])
    networks = {one.job: job_of(store, one).network for one in builds_of(store, evaluation)}
    assert networks == {"on": True, "off": False}
    work = parts.reporter.claim(Offer("local", (native_system(),)))
    assert work.trust is Trust.UNTRUSTED
    store.database.close()


@pytest.mark.parametrize(
    "ref", [MAIN, "refs/heads/pull/7/head", "refs/heads/changes/1", "refs/tags/pull"]
)
def test_branches_and_tags_are_trusted(open_project, services, make, store, ref):
    """Whatever their names; whoever pushed them may write to the repository."""
    evaluation = run(services, make, store, open_project(ref), ref=ref)
    assert evaluation.trust is Trust.TRUSTED
    for build in builds_of(store, evaluation):
        assert build.trust is Trust.TRUSTED
        assert job_of(store, build).network
        assert len(job_of(store, build).triggers) == 1


def test_a_proposal_run_again_is_not_trusted(open_project, services, make, store):
    """Neither a new attempt nor a new build of it gets what the first one did not get."""
    ref = PROPOSALS[0]
    evaluation = run(services, make, store, open_project(ref), ref=ref)
    (build,) = builds_of(store, evaluation)
    services.builds.cancel(ADMIN, build.id)
    assert services.builds.rerun(ADMIN, build.id).trust is Trust.UNTRUSTED
    (again,) = services.builds.rebuild(ADMIN, build.id)
    for one in (build.id, again):
        assert store.builds.get(one).trust is Trust.UNTRUSTED
        assert not job_of(store, store.builds.get(one)).network


def test_the_same_commit_by_both_ways(open_project, services, make, store):
    """One that is proposed and pushed is built twice, and the builds stand in two lanes."""
    ref = PROPOSALS[0]
    revision = open_project(ref)
    proposed = run(services, make, store, revision, ref=ref)
    pushed = run(services, make, store, revision, ref=MAIN)
    assert (proposed.trust, pushed.trust) == (Trust.UNTRUSTED, Trust.TRUSTED)
    builds = [*builds_of(store, proposed), *builds_of(store, pushed)]
    lanes = {
        store.database.sql("SELECT lane_id FROM builds WHERE id = ?", (one.id,)).fetchone()
        for one in builds
    }
    assert len(builds) == len(lanes) == 2


def test_a_schedule_of_a_proposal_is_not_trusted(open_project, services, make, store):
    """A person who watches over it does not make it theirs."""
    ref = PROPOSALS[0]
    open_project(ref)
    schedule = services.schedules.add(
        ADMIN, "project", "main", ScheduleKind.NIGHTLY, Timing(every_seconds=3600), ref=ref
    )
    made = services.schedules.fire(ADMIN, schedule.id)
    assert services.evaluations.evaluate_next()
    (build,) = builds_of(store, store.evaluations.get(made))
    assert (build.trust, job_of(store, build).network) == (Trust.UNTRUSTED, False)


def test_a_jobset_of_a_proposal_is_not_trusted(open_project, services, store):
    """Nor does a jobset that evaluates one by itself."""
    ref = PROPOSALS[0]
    open_project(ref)
    known = services.queries.jobset(ADMIN, "project", "main").jobset
    inputs = tuple(replace(one, ref=ref) for one in known.inputs)
    jobset, _ = services.jobsets.put(ADMIN, "project", "main", known.settings, inputs)
    made = services.evaluations.request(ADMIN, jobset)
    assert services.evaluations.evaluate_next()
    (build,) = builds_of(store, store.evaluations.get(made))
    assert (build.trust, job_of(store, build).network) == (Trust.UNTRUSTED, False)


def test_a_proposal_declares_no_schedules(open_project, services, make, store, repository):
    """What is in force is what the default branch says."""
    recipe = TELLING + "schedules:\n  - kind: nightly\n    cron: 0 3 * * *\n"
    revision = repository.commit({".build.yml": recipe}, "Propose")
    repository.push(f"HEAD:{PROPOSALS[0]}")
    evaluation = run(services, make, store, revision, ref=PROPOSALS[0])
    assert evaluation.status is EvaluationStatus.SUCCEEDED
    assert services.schedules.list_all(ADMIN) == ()
