"""What is submitted as a whole: a manifest to one's own project, a script of a repository."""

from dataclasses import replace

import pytest
from support.factories import ADMIN
from support.repositories import Repository, git

from ciserver.config import Git, Settings
from ciserver.datadir import DataDirectory
from ciserver.executor.lease import Stop
from ciserver.executor.limits import Limits
from ciserver.executor.plain import Plain
from ciserver.executor.run import Runner
from ciserver.machine import build_user, work_root
from ciserver.model.account import ANONYMOUS, Right, Visibility
from ciserver.model.build import Offer, Task, TriggerSpec
from ciserver.model.errors import (
    BuildAlreadyFinished,
    BuildAlreadyStarted,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
)
from ciserver.model.evaluation import Kind
from ciserver.model.project import Credential, Input, JobsetSettings, ScriptDefaults
from ciserver.model.status import BuildStatus, EvaluationStatus, Reason
from ciserver.service.sources import MirrorSources
from ciserver.service.submissions import (
    MANIFEST_LIMIT,
    NOTE_LIMIT,
    ManifestSubmission,
    ScriptSubmission,
)
from ciserver.wiring import make_parts, native_system

B = BuildStatus
PLAIN = "image: host\ntasks:\n  - build: echo built\n"
MAIL = {"action": "email", "condition": "always", "to": "ada@example.org"}


@pytest.fixture
def parts(tmp_path, clock):
    """A server where recipes may name the repositories of this test."""
    settings = Settings(git=Git(local_roots=(tmp_path,)))
    made = make_parts(settings, DataDirectory(tmp_path / "data"), clock=clock)
    yield made
    made.store.database.close()


@pytest.fixture
def submissions(services):
    return services.submissions


@pytest.fixture
def ada(make):
    return make.user("ada")


@pytest.fixture
def run(parts, clock):
    """Run the next build in a real work tree, as this server's engine does; answers it."""
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
        work = parts.reporter.claim(Offer("local-0", (native_system(),)))
        runner.run(work, stop)
        return parts.store.builds.get(work.lease.build_id)

    yield run
    runner.close()
    stop.close()


def log(store, build, step=1):
    with store.files.open_log(build.id, build.attempt, step) as file:
        return file.read().decode()


def faults(refused):
    return {one.field: one.message for one in refused.value.complaints}


# -- manifests ------------------------------------------------------------------------------------


def test_a_manifest(submissions, services, ada, clock):
    """Everything that was sent is there, as it was sent."""
    text = "image: host\nenvironment:\n  A: b\ntasks:\n  - build: make\n  - test: make test\n"
    given = ManifestSubmission(
        text, note="Try it\n\nagain", tags=("tools", "x.y_z:1-2"), triggers=(MAIL,)
    )
    build = submissions.submit(ada, given)
    assert (build.project, build.jobset, build.requested_by) == ("~ada", "jobs", "ada")
    assert (build.status, build.kind, build.visibility) == (B.QUEUED, Kind.API, Visibility.PUBLIC)
    assert (build.ref, build.revision, build.queued_at) == ("", "", clock.now())
    view = services.queries.build(ada, build.id)
    assert (view.note, view.tags) == ("Try it\n\nagain", ("tools", "x.y_z:1-2"))
    assert view.job.environment == {"A": "b"}
    assert view.job.tasks == (Task("build", "make"), Task("test", "make test"))
    assert view.job.triggers == (TriggerSpec("email", "always", {"to": ["ada@example.org"]}),)
    assert view.job.system == native_system()
    assert services.queries.recipe(ada, build.id) == text
    evaluation = view.evaluation
    assert (evaluation.status, evaluation.subject) == (EvaluationStatus.SUCCEEDED, "Try it")
    assert (evaluation.builds_total, evaluation.requested_by) == (1, "ada")


def test_triggers_of_both(submissions, services, ada):
    """Those that were sent come after those of the manifest."""
    hook = (
        "triggers:\n  - action: webhook\n    condition: failure\n    url: https://example.org/h\n"
    )
    build = submissions.submit(ada, ManifestSubmission(PLAIN + hook, triggers=(MAIL,)))
    triggers = services.queries.build(ada, build.id).job.triggers
    assert [one.action for one in triggers] == ["webhook", "email"]


def test_every_fault_at_once(submissions, services, ada):
    """Of the manifest, the note, the tags, the triggers and the people; and nothing is made."""
    given = ManifestSubmission(
        "imag: host\ntasks: 3\n",
        note="x" * (NOTE_LIMIT + 1),
        tags=("fine", "not fine", ""),
        triggers=({"action": "pigeon"},),
        readers=("nobody",),
        writers=("no-one",),
    )
    with pytest.raises(Invalid) as refused:
        submissions.submit(ada, given)
    told = faults(refused)
    assert set(told) >= {"manifest", "note", "tags[1]", "tags[2]", "readers", "writers"}
    assert any(one.startswith("triggers[0]") for one in told)
    said = [one.message for one in refused.value.complaints if one.field == "manifest"]
    assert any("imag" in one for one in said)
    assert any("tasks" in one for one in said)
    assert told["writers"] == "there is no user no-one"
    with pytest.raises(NotFound):
        services.queries.project(ADMIN, "~ada")


def test_limits(submissions, ada):
    """The longest manifest and note are taken, one more is not."""
    manifest = PLAIN + "#" * (MANIFEST_LIMIT - 1 - len(PLAIN))
    assert submissions.submit(ada, ManifestSubmission(manifest, note="x" * NOTE_LIMIT))
    with pytest.raises(Invalid) as refused:
        submissions.submit(ada, ManifestSubmission(manifest + "#"))
    assert faults(refused) == {"manifest": f"must be less than {MANIFEST_LIMIT} bytes"}


def test_who_may_submit(submissions, ada):
    """Everybody with an account, and a token for it."""
    with pytest.raises(NotSignedIn):
        submissions.submit(ANONYMOUS, ManifestSubmission(PLAIN))
    with pytest.raises(Forbidden, match="builds:write"):
        submissions.submit(replace(ada, scopes=("builds:read",)), ManifestSubmission(PLAIN))
    assert submissions.submit(replace(ada, scopes=("jobs:write",)), ManifestSubmission(PLAIN))


def test_the_engine_is_rung(submissions, parts, ada):
    """A worker is woken once the build is there."""
    rung = []
    parts.bells.builds.on_ring(lambda: rung.append(parts.store.builds.count_waiting()))
    submissions.submit(ada, ManifestSubmission(PLAIN))
    assert rung == [1]


def test_ones_own_project(submissions, services, ada, make):
    """It is made with the first build, is the submitter's, and serves the following ones."""
    first, second = (submissions.submit(ada, ManifestSubmission(PLAIN)) for _ in range(2))
    assert first.jobset_id == second.jobset_id
    assert (first.number, second.number) == (1, 2)
    project = services.queries.project(ada, "~ada").project
    assert (project.owner, project.is_implicit) == ("ada", True)
    other = submissions.submit(make.user("bob"), ManifestSubmission(PLAIN))
    assert other.project == "~bob"


@pytest.mark.parametrize("remove", ["project", "jobset", "name"])
def test_ones_own_project_again(submissions, services, ada, remove):
    """However its owner did away with it, the next build finds a place."""
    first = submissions.submit(ada, ManifestSubmission(PLAIN))
    if remove == "project":
        services.projects.remove_project(ada, "~ada")
    elif remove == "jobset":
        services.jobsets.remove(ada, "~ada", "jobs")
    else:
        services.jobsets.put(
            ada, "~ada", "jobs", JobsetSettings(recipe_path=()), (), new_name="old"
        )
    second = submissions.submit(ada, ManifestSubmission(PLAIN))
    assert (second.project, second.jobset) == ("~ada", "jobs")
    assert second.jobset_id != first.jobset_id
    assert services.queries.build(ada, second.id).build.status is B.QUEUED


def test_held_until_somebody_starts_it(submissions, services, ada, make, clock):
    """No worker gets it before; then it waits like any other, once."""
    build = submissions.submit(ada, ManifestSubmission(PLAIN, execute=False))
    assert build.status is B.HELD
    assert make.claim(Offer("w", (native_system(),))) is None
    with pytest.raises(Forbidden):
        services.builds.start(make.user("bob"), build.id)
    clock.forward(hours=1)
    started = services.builds.start(ada, build.id)
    assert (started.status, started.queued_at) == (B.QUEUED, clock.now())
    with pytest.raises(BuildAlreadyStarted):
        services.builds.start(ada, build.id)
    assert make.claim(Offer("w", (native_system(),))).lease.build_id == build.id
    assert make.claim(Offer("w", (native_system(),))) is None


def test_canceled_while_it_is_held(submissions, services, ada, make):
    """It ends and cannot be started any more."""
    build = submissions.submit(ada, ManifestSubmission(PLAIN, execute=False))
    assert services.builds.cancel(ada, build.id).status is B.CANCELED
    with pytest.raises(BuildAlreadyFinished):
        services.builds.start(ada, build.id)
    assert make.claim(Offer("w", (native_system(),))) is None
    assert services.queries.evaluation(ada, build.evaluation_id).evaluation.builds_finished == 1


def test_readers_and_writers(submissions, services, ada, make):
    """Readers see what is private, writers may also cancel it; nobody else knows of it."""
    bob, mia, eve = (make.user(name) for name in ("bob", "mia", "eve"))
    given = ManifestSubmission(
        PLAIN, visibility=Visibility.PRIVATE, readers=("bob", "mia"), writers=("mia",)
    )
    build = submissions.submit(ada, given)
    for actor in (ada, bob, mia):
        assert services.queries.build(actor, build.id).build.visibility is Visibility.PRIVATE
    for actor in (eve, ANONYMOUS):
        with pytest.raises(NotFound):
            services.queries.build(actor, build.id)
    with pytest.raises(Forbidden):
        services.builds.cancel(bob, build.id)
    assert services.builds.cancel(mia, build.id).canceled_by == "mia"


def test_ones_own_builds(submissions, services, ada, make):
    """Newest first, in pages with the number of all, each with its steps, note and tags."""
    ids = []
    for number in range(5):
        given = ManifestSubmission(PLAIN, note=f"note {number}", tags=(f"tag-{number}",))
        ids.append(submissions.submit(ada, given).id)
    submissions.submit(make.user("bob"), ManifestSubmission(PLAIN))
    page = services.lists.own(ada, up_to=None, limit=3)
    assert [one.build.id for one in page.submitted] == ids[:1:-1]
    assert (page.next, page.total) == (ids[1], 5)
    assert [(one.note, one.tags) for one in page.submitted[:1]] == [("note 4", ("tag-4",))]
    rest = services.lists.own(ada, up_to=page.next, limit=3)
    assert [one.build.id for one in rest.submitted] == ids[1::-1]
    assert (rest.next, rest.total) == (None, 5)


# -- sources of a manifest ------------------------------------------------------------------------


def test_sources_are_pinned_by_the_first_attempt(submissions, services, ada, tmp_path, run, store):
    """What a build found when it began is what every later attempt of it gets."""
    library = Repository(tmp_path / "others", "library")
    first = library.commit({"version": "one\n"})
    library.push()
    manifest = f"image: host\nsources:\n  - {library.bare}\ntasks:\n  - read: cat library/version\n"
    build = submissions.submit(ada, ManifestSubmission(manifest))
    assert services.queries.build(ada, build.id).evaluation.inputs == ()
    built = run()
    assert (built.status, built.revision) == (B.SUCCEEDED, first)
    assert "one" in log(store, built)
    (pinned,) = services.queries.build(ada, build.id).evaluation.inputs
    assert (pinned.name, pinned.ref, pinned.revision) == ("library", "HEAD", first)
    library.commit({"version": "two\n"})
    library.push()
    services.builds.rerun(ada, build.id)
    again = run()
    assert (again.attempt, again.status, again.revision) == (2, B.SUCCEEDED, first)
    assert "one" in log(store, again)
    assert services.queries.build(ada, build.id).evaluation.inputs == (pinned,)
    newer = submissions.submit(ada, ManifestSubmission(manifest))
    assert "two" in log(store, run())
    assert store.builds.get(newer.id).revision != first


def test_several_sources(submissions, services, ada, tmp_path, run):
    """Each is pinned by its own ref; the first one is the build's revision."""
    one, two = (Repository(tmp_path / "others", name) for name in ("one", "two"))
    revisions = [one.commit({"x": "1"})]
    one.push()
    revisions.append(two.commit({"x": "2"}))
    git(two.tree, "branch", "stable")
    two.push("stable", "main")
    two.commit({"x": "3"})
    two.push()
    manifest = f"image: host\nsources:\n  - {one.bare}\n  - {two.bare}#stable\n"
    submissions.submit(ada, ManifestSubmission(manifest + "tasks:\n  - x: test $(cat two/x) = 2\n"))
    built = run()
    assert (built.status, built.revision) == (B.SUCCEEDED, revisions[0])
    inputs = services.queries.build(ada, built.id).evaluation.inputs
    assert [each.revision for each in inputs] == revisions


def test_a_source_that_is_nowhere(submissions, ada, tmp_path, run):
    """The build fails in its setup, and names the address."""
    manifest = f"image: host\nsources:\n  - {tmp_path}/nowhere.git\ntasks:\n  - x: 'true'\n"
    submissions.submit(ada, ManifestSubmission(manifest))
    built = run()
    assert built.status is B.FAILED
    assert "nowhere.git" in built.detail


# -- scripts --------------------------------------------------------------------------------------

SCRIPTS = {
    "tell.sh": 'echo "$FLAVOR and $SIZE in $PWD"\n',
    "bin/partly.sh": "exit 6\n",
    "badly.sh": "exit 5\n",
}


@pytest.fixture
def revision(repository):
    made = repository.commit(SCRIPTS, "Add scripts")
    repository.push()
    return made


@pytest.fixture
def jobset(services, repository, revision):
    """A jobset of a repository with scripts, and defaults for what a request leaves open."""
    services.projects.watch(ADMIN, "project", str(repository.bare), local=True)
    known = services.queries.jobset(ADMIN, "project", "main").jobset
    defaults = ScriptDefaults("tell.sh", "FLAVOR=sweet SIZE='very small'", 30)
    settings = replace(known.settings, script=defaults)
    return services.jobsets.put(ADMIN, "project", "main", settings, known.inputs)[0]


def test_a_script(submissions, services, jobset, revision, run, store):
    """It runs in its repository, at the newest commit, with the defaults of the jobset."""
    build = submissions.run_script(ADMIN, jobset, ScriptSubmission())
    assert (build.project, build.jobset, build.job) == ("project", "main", "tell.sh")
    assert (build.revision, build.ref) == (revision, "refs/heads/main")
    assert (build.status, build.kind, build.subject) == (B.QUEUED, Kind.API, "Add scripts")
    view = services.queries.build(ADMIN, build.id)
    assert (view.job.script, view.job.timeout_seconds) == ("tell.sh", 1800)
    assert view.job.parameters == "FLAVOR=sweet SIZE='very small'"
    assert [one.revision for one in view.evaluation.inputs] == [revision]
    assert run().status is B.SUCCEEDED
    assert "sweet and very small in " in log(store, build_of(store, build))


def build_of(store, build):
    return store.builds.get(build.id)


def test_what_a_request_names_wins(submissions, services, jobset, run, store):
    """Script, parameters, limit and system; also parameters that name nothing at all. A parameter
    may say something else than the server of what the script is told.
    """
    given = ScriptSubmission(
        script="bin/partly.sh",
        parameters="FLAVOR='a b'\\''c' PROJECT=ours",
        timeout_minutes=2,
        system=native_system(),
    )
    build = submissions.run_script(ADMIN, jobset, given)
    job = services.queries.build(ADMIN, build.id).job
    assert (job.name, job.timeout_seconds, job.system) == ("partly.sh", 120, native_system())
    told = {"PROJECT_VERSION": "main", "COMMIT_HASH": build.revision}
    assert job.environment == {"PROJECT": "ours", **told, "FLAVOR": "a b'c"}
    none = submissions.run_script(ADMIN, jobset, ScriptSubmission(parameters=""))
    job = services.queries.build(ADMIN, none.id).job
    assert job.environment == {"PROJECT": "root/project", **told}


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        ("bin/partly.sh", B.PARTIAL, Reason.NONE),
        ("badly.sh", B.FAILED, Reason.EXIT_CODE),
        ("missing.sh", B.FAILED, Reason.EXIT_CODE),
    ],
)
def test_how_a_script_ends(submissions, services, jobset, run, script, status, reason):
    """Exit status 6 says that something was made, but not everything."""
    submissions.run_script(ADMIN, jobset, ScriptSubmission(script=script))
    built = run()
    assert (built.status, built.reason) == (status, reason)
    evaluation = services.queries.evaluation(ADMIN, built.evaluation_id).evaluation
    assert (evaluation.builds_finished, evaluation.builds_good) == (1, int(status.is_good))


def test_a_task_is_no_script(submissions, ada, run):
    """Of an ordinary task exit status 6 is a failure like any other."""
    submissions.submit(ada, ManifestSubmission("image: host\ntasks:\n  - build: exit 6\n"))
    assert run().status is B.FAILED


def test_a_commit(submissions, jobset, repository, revision, run, store):
    """A revision is built though its branch went on, and another ref where it is named."""
    repository.commit({"tell.sh": "echo newer\n"})
    git(repository.tree, "branch", "next")
    repository.push("main", "next")
    old = submissions.run_script(ADMIN, jobset, ScriptSubmission(revision=revision))
    assert old.revision == revision
    run()
    assert "sweet" in log(store, build_of(store, old))
    new = submissions.run_script(ADMIN, jobset, ScriptSubmission(ref="refs/heads/next"))
    assert (new.ref, new.revision) == ("refs/heads/next", git(repository.tree, "rev-parse", "next"))
    run()
    assert "newer" in log(store, build_of(store, new))


@pytest.mark.parametrize(
    "given",
    [ScriptSubmission(revision="a" * 40), ScriptSubmission(ref="refs/heads/missing")],
    ids=["revision", "ref"],
)
def test_a_commit_that_is_not_there(submissions, services, jobset, given):
    """It is said at once, and no build is made."""
    with pytest.raises(Invalid) as refused:
        submissions.run_script(ADMIN, jobset, given)
    assert set(faults(refused)) == {"revision"}
    assert services.queries.builds(ADMIN).builds == ()


def test_every_fault_of_a_script_at_once(submissions, jobset):
    """Each with its field."""
    given = ScriptSubmission(
        revision="main",
        script="../escape.sh",
        parameters="FLAVOR=sweet SIZE 1=2",
        timeout_minutes=1,
        system="pdp11-unix",
    )
    with pytest.raises(Invalid) as refused:
        submissions.run_script(ADMIN, jobset, given)
    told = [one.field for one in refused.value.complaints]
    assert sorted(set(told)) == ["parameters", "revision", "script", "system", "timeout_minutes"]
    assert told.count("parameters") == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("script", ""),
        ("script", "/etc/passwd"),
        ("script", "a/../../b"),
        ("script", "-c"),
        ("script", "a\nb"),
        ("script", "x" * 256),
        ("parameters", "A='open"),
        ("parameters", "A"),
        ("parameters", "=b"),
        ("timeout_minutes", 0),
        ("timeout_minutes", -5),
        ("timeout_minutes", 721),
        ("system", "pdp11-unix"),
        ("revision", "HEAD"),
        ("revision", "--upload-pack=x"),
    ],
)
def test_limits_of_a_script(submissions, services, jobset, field, value):
    """What is out of bounds is refused with its field, before the repository is asked."""
    with pytest.raises(Invalid) as refused:
        submissions.run_script(ADMIN, jobset, ScriptSubmission(**{field: value}))
    assert set(faults(refused)) == {field}
    assert services.queries.builds(ADMIN).builds == ()


@pytest.mark.parametrize("minutes", [2, 720])
def test_the_bounds_themselves(submissions, services, jobset, minutes):
    """Two minutes and twelve hours may be asked for."""
    build = submissions.run_script(ADMIN, jobset, ScriptSubmission(timeout_minutes=minutes))
    assert services.queries.build(ADMIN, build.id).job.timeout_seconds == minutes * 60


def test_who_may_run_scripts(submissions, jobset, make):
    """Those with the right to evaluate."""
    mia = make.user("mia")
    with pytest.raises(NotSignedIn):
        submissions.run_script(ANONYMOUS, jobset, ScriptSubmission())
    with pytest.raises(Forbidden):
        submissions.run_script(mia, jobset, ScriptSubmission())
    make.store.members.set(jobset.project_id, "mia", [Right.EVALUATE])
    assert submissions.run_script(mia, jobset, ScriptSubmission()).requested_by == "mia"


def test_a_jobset_without_a_repository(submissions, make):
    """There is no script to run."""
    with pytest.raises(Conflict, match="has no repository"):
        submissions.run_script(ADMIN, make.project("bare"), ScriptSubmission(script="x"))


# -- scripts of another project -------------------------------------------------------------------


@pytest.fixture
def other(tmp_path, services):
    """Another project with a repository of its own."""
    made = Repository(tmp_path / "others", "tools")
    made.commit({"tell.sh": "echo from tools\n"})
    made.push()
    watched = services.projects.watch(ADMIN, "tools", str(made.bare), local=True)
    return services.queries.project(ADMIN, watched.jobset.project).project


def test_a_script_of_another_project(submissions, services, jobset, other, run, store):
    """It is a build of the jobset, of the other repository; also when it is run again."""
    given = ScriptSubmission(project=other)
    build = submissions.run_script(ADMIN, jobset, given)
    assert (build.project, build.jobset_id) == ("project", jobset.id)
    assert run().status is B.SUCCEEDED
    assert "from tools" in log(store, build_of(store, build))
    services.builds.rerun(ADMIN, build.id)
    assert run().status is B.SUCCEEDED


def test_a_project_without_a_repository(submissions, services, jobset, make):
    """It has no scripts."""
    make.project("bare")
    bare = services.queries.project(ADMIN, "bare").project
    with pytest.raises(Invalid) as refused:
        submissions.run_script(ADMIN, jobset, ScriptSubmission(project=bare))
    assert set(faults(refused)) == {"project_id"}


@pytest.mark.parametrize("private", ["a path of this machine", "a credential"])
def test_what_only_the_server_can_read(submissions, services, jobset, other, make, private):
    """Whoever sees a project, but may not build in it, gets nothing of its repository that way."""
    mia = make.user("mia")
    make.store.members.set(jobset.project_id, "mia", [Right.EVALUATE])
    if private == "a credential":
        uri = "https://example.org/private"
        services.projects.watch(ADMIN, "private", uri, credential=Credential("ada", "pa55word"))
        other = services.queries.project(mia, "private").project
    with pytest.raises(Forbidden, match="evaluate"):
        submissions.run_script(mia, jobset, ScriptSubmission(project=other))


def test_a_repository_that_everybody_can_read(submissions, services, jobset, make, tmp_path):
    """There the right to read the project is enough."""
    mia = make.user("mia")
    make.store.members.set(jobset.project_id, "mia", [Right.EVALUATE])
    made = Repository(tmp_path / "others", "open")
    made.commit({"tell.sh": "echo open\n"})
    made.push()
    owner = make.user("olga", roles=("create-projects",))
    make.project("open", owner="olga", jobset="bare")
    services.jobsets.put(
        owner, "open", "main", JobsetSettings(), (Input("source", str(made.bare)),)
    )
    found = services.queries.project(mia, "open").project
    assert submissions.run_script(mia, jobset, ScriptSubmission(project=found))
