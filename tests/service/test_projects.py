"""Watching repositories, projects and jobsets: made, changed, shared and removed."""

from dataclasses import replace

import pytest
from support.factories import ADMIN, make_push

from ciserver.model.account import ANONYMOUS, Member, Right, Visibility
from ciserver.model.build import BuildResult
from ciserver.model.errors import (
    AlreadyExists,
    BadAddress,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
)
from ciserver.model.project import (
    Credential,
    Input,
    InputType,
    JobsetMode,
    JobsetSettings,
    ProjectSettings,
    ScriptDefaults,
)
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import BuildStatus

URI = "https://example.org/project.git"
B = BuildStatus


@pytest.fixture
def projects(services):
    return services.projects


@pytest.fixture
def jobsets(services):
    return services.jobsets


def test_watch(projects, services):
    """A project with one jobset, one input and a secret for the hook."""
    watched = projects.watch(ADMIN, "project", URI)
    jobset = watched.jobset
    assert (jobset.project, jobset.name, jobset.enabled) == ("project", "main", True)
    assert (jobset.source.uri, jobset.source.local) == (URI, False)
    assert services.queries.hook_secrets("project") == (watched.hook_secret,)
    assert [one.project.name for one in services.queries.list_projects(ADMIN)] == ["project"]


def test_watching_again(projects, services):
    """The same repository by another address is no change, but gives a second secret."""
    first = projects.watch(ADMIN, "project", URI)
    second = projects.watch(ADMIN, "project", "git@example.org:project")
    assert second.jobset == first.jobset
    secrets = services.queries.hook_secrets("project")
    assert secrets == (first.hook_secret, second.hook_secret)
    assert len(set(secrets)) == 2


def test_a_name_stands_for_one_repository(projects):
    """Another repository under the same name is refused with the way out."""
    projects.watch(ADMIN, "project", URI)
    with pytest.raises(AlreadyExists, match="another repository") as raised:
        projects.watch(ADMIN, "project", "https://example.org/other.git")
    assert "--name" in raised.value.hint


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "ä", "x" * 101, ".hidden"])
@pytest.mark.parametrize("refs", [("heads/*",), ("refs/heads/a b",), ()])
def test_every_fault_is_named(projects, services, name, refs):
    """Name and refs are judged together, and nothing is made."""
    with pytest.raises(Invalid) as raised:
        projects.watch(ADMIN, name, URI, refs=refs)
    assert [one.field for one in raised.value.complaints] == ["name", "refs[0]" if refs else "refs"]
    assert services.queries.list_projects(ADMIN) == ()


@pytest.mark.parametrize(
    "uri", ["file:///srv/x.git", "/srv/x.git", "http://example.org/x", "-x", "https://u:p@h/x"]
)
def test_bad_addresses(projects, services, uri):
    """An address that this server does not fetch from is refused, and nothing is made."""
    with pytest.raises(BadAddress):
        projects.watch(ADMIN, "project", uri)
    assert services.queries.list_projects(ADMIN) == ()


def test_our_own_data_cannot_be_watched(projects, parts):
    """Not even by an administrator."""
    with pytest.raises(BadAddress, match="of the server itself"):
        projects.watch(ADMIN, "project", str(parts.data.root / "x.git"), local=True)


def test_secrets_are_sealed(projects, store, parts):
    """Neither hook secrets nor credentials are in the database in the clear."""
    credential = Credential("ada", "hunter2-password")
    watched = projects.watch(ADMIN, "project", URI, credential=credential)
    signing = projects.signing_secret(ADMIN, "project")
    raw = b"".join(one.read_bytes() for one in parts.data.root.glob("ciserver.db*"))
    for secret in (watched.hook_secret, signing, "hunter2-password"):
        assert secret.encode() not in raw
    assert store.jobsets.credential(watched.jobset.id, URI) == (credential, False)
    assert store.jobsets.list_credentials(watched.jobset.id) == (credential,)


def test_what_is_hidden_in_logs(projects, make):
    """A worker is told the secrets that its log must not show."""
    watched = projects.watch(ADMIN, "project", URI, credential=Credential("ada", "hunter2"))
    make.build(jobset=watched.jobset)
    work = make.claim()
    assert work.secrets == ("hunter2",)
    assert "hunter2" not in repr(work)


def test_own_hook_secrets(projects, services):
    """A forge's own secret can be added, when it is long enough; an unknown project cannot."""
    projects.watch(ADMIN, "project", URI)
    assert projects.add_hook_secret(ADMIN, "project", "x" * 16) == "x" * 16
    assert "x" * 16 in services.queries.hook_secrets("project")
    with pytest.raises(Invalid):
        projects.add_hook_secret(ADMIN, "project", "x" * 15)
    with pytest.raises(NotFound, match="no project other"):
        projects.add_hook_secret(ADMIN, "other")
    assert services.queries.hook_secrets("other") == ()


def test_hook_secrets_stay_open_until_they_change(projects, services, store):
    """As each push asks for them; what was changed counts at once, by whomever it was."""
    projects.watch(ADMIN, "project", URI)
    first = services.queries.hook_secrets("project")
    assert services.queries.hook_secrets("project") is first
    added = projects.add_hook_secret(ADMIN, "project", "x" * 16)
    assert services.queries.hook_secrets("project") == (*first, added)
    store.database.sql("DELETE FROM hook_secrets")
    assert services.queries.hook_secrets("project") == ()


def test_watching_again_renews_the_credential(services, admin, store):
    """A key or token that has changed is given with the same command."""
    for password in ("old-password", "new-password"):
        services.projects.watch(
            admin,
            "private",
            "https://git.example.org/team/private.git",
            credential=Credential(username="ci", password=password),
        )
    jobset = store.jobsets.get_by_name("private", "main")
    credential, _ = store.jobsets.credential(jobset.id, jobset.source.uri)
    assert credential.password == "new-password"


# -- projects -------------------------------------------------------------------------------------


@pytest.fixture
def olga(make):
    return make.user("olga", roles=("create-projects",))


def settings(**changes):
    return replace(ProjectSettings(), **changes)


def field_faults(refused):
    return {one.field: one.message for one in refused.value.complaints}


def test_put(projects, services, olga, clock):
    """Whoever makes a project owns it; put again, its settings are replaced."""
    first = settings(display_name="Hello", description="Says so", homepage="https://example.org")
    project, is_new = projects.put_project(olga, "hello", first)
    assert (project.name, project.owner, is_new) == ("hello", "olga", True)
    assert (project.settings, project.created_at) == (first, clock.now())
    second = settings(enabled=False, hidden=True, visibility=Visibility.PRIVATE)
    again, is_new = projects.put_project(olga, "hello", second)
    assert (again, is_new) == (replace(project, settings=second), False)
    assert services.queries.project(olga, "hello").project == again


def test_who_may_make_projects(projects, make, olga):
    """Administrators, and accounts that were allowed to, with a token for it."""
    with pytest.raises(NotSignedIn):
        projects.put_project(ANONYMOUS, "hello", settings())
    with pytest.raises(Forbidden, match="may make projects"):
        projects.put_project(make.user("mia"), "hello", settings())
    with pytest.raises(Forbidden, match="projects:write"):
        projects.put_project(replace(olga, scopes=("builds:write",)), "hello", settings())
    assert projects.put_project(replace(olga, scopes=("projects:write",)), "hello", settings())


def test_a_new_name(projects, jobsets, services, olga, make):
    """The project with its builds has it; the old name is free, one that is taken is refused."""
    projects.put_project(olga, "hello", settings())
    jobsets.put(olga, "hello", "main", JobsetSettings(), ())
    build = make.submitted(services.queries.jobset(olga, "hello", "main").jobset)
    renamed, is_new = projects.put_project(olga, "hello", settings(), new_name="world")
    assert (renamed.name, is_new) == ("world", False)
    assert services.queries.build(olga, build.id).build.project == "world"
    with pytest.raises(NotFound):
        services.queries.project(olga, "hello")
    assert projects.put_project(olga, "hello", settings())[0].id != renamed.id
    with pytest.raises(AlreadyExists):
        projects.put_project(olga, "hello", settings(), new_name="world")
    with pytest.raises(Invalid) as refused:
        projects.put_project(olga, "hello", settings(), new_name="a/b")
    assert set(field_faults(refused)) == {"name"}


def test_another_owner(projects, services, olga, make):
    """An administrator gives a project away; then it is the other one's."""
    mia = make.user("mia")
    projects.put_project(olga, "hello", settings())
    with pytest.raises(Forbidden):
        projects.put_project(olga, "hello", settings(), owner="mia")
    assert projects.put_project(olga, "hello", settings(), owner="olga")
    assert projects.put_project(ADMIN, "hello", settings(), owner="mia")[0].owner == "mia"
    projects.put_project(mia, "hello", settings(description="mine"))
    with pytest.raises(Forbidden):
        projects.put_project(olga, "hello", settings())
    with pytest.raises(Invalid) as refused:
        projects.put_project(ADMIN, "hello", settings(), owner="nobody")
    assert field_faults(refused) == {"owner": "there is no user nobody"}


def test_names_that_nobody_takes(projects, olga):
    """The project of what somebody submits is made for them, not by others."""
    for name in ("~ada", "~olga", "", "a:b", "x" * 101):
        with pytest.raises(Invalid):
            projects.put_project(olga, name, settings())
        with pytest.raises(Invalid):
            projects.watch(ADMIN, name, URI)


def test_members(projects, services, olga, make):
    """Exactly the rights that were given; none ends it. Only who may edit sees the list."""
    mia, bob = make.user("mia"), make.user("bob")
    projects.put_project(olga, "hello", settings(visibility=Visibility.PRIVATE))
    projects.set_member(olga, "hello", "mia", frozenset({Right.CANCEL, Right.BUMP}))
    told = projects.set_member(olga, "hello", "bob", frozenset({Right.EDIT}))
    assert told == (
        Member("bob", frozenset({Right.EDIT})),
        Member("mia", frozenset({Right.CANCEL, Right.BUMP})),
    )
    assert projects.members(bob, "hello") == told
    with pytest.raises(Forbidden):
        projects.members(mia, "hello")
    assert services.queries.project(mia, "hello")
    projects.set_member(bob, "hello", "mia", frozenset())
    with pytest.raises(NotFound):
        services.queries.project(mia, "hello")
    with pytest.raises(Invalid) as refused:
        projects.set_member(olga, "hello", "nobody", frozenset({Right.EDIT}))
    assert set(field_faults(refused)) == {"user"}


# -- jobsets --------------------------------------------------------------------------------------

SOURCE = Input("source", "https://example.org/hello.git")
MORE = (
    SOURCE,
    Input("library", "https://example.org/library.git", "refs/heads/stable"),
    Input("flavor", type=InputType.STRING, value="sweet"),
    Input("release", type=InputType.BOOLEAN, value="true"),
)


@pytest.fixture
def hello(projects, olga):
    return projects.put_project(olga, "hello", settings())[0]


def test_put_a_jobset(jobsets, services, olga, hello):
    """With every setting and input, in their order; put again, they are replaced."""
    whole = JobsetSettings(
        description="All of it",
        mode=JobsetMode.ONE_AT_A_TIME,
        hidden=True,
        recipe_path=("ci/*.yml",),
        check_interval_seconds=300,
        shares=7,
        keep_evaluations=0,
        tell_by_mail=False,
        mail_to="ada@example.org",
        script=ScriptDefaults("tell.sh", "A=b", 5),
    )
    jobset, is_new = jobsets.put(olga, "hello", "main", whole, MORE)
    assert (jobset.settings, jobset.inputs, is_new) == (whole, MORE, True)
    again, is_new = jobsets.put(olga, "hello", "main", JobsetSettings(), (SOURCE,))
    assert (again.id, again.settings, again.inputs) == (jobset.id, JobsetSettings(), (SOURCE,))
    assert not is_new
    assert services.queries.jobset(olga, "hello", "main").jobset == again


def test_every_fault_of_a_jobset(jobsets, services, olga, hello):
    """Name, settings and inputs are judged together, and nothing is made."""
    wrong = JobsetSettings(
        recipe_input="nothing", recipe_path=("../x",), check_interval_seconds=-1, shares=0
    )
    inputs = (Input("1st", "https://example.org/x"), Input("path", "/srv/x.git"))
    with pytest.raises(Invalid) as refused:
        jobsets.put(olga, "hello", "no name", wrong, inputs)
    told = field_faults(refused)
    assert set(told) == {
        "name",
        "recipe_input",
        "recipe_path",
        "check_interval_seconds",
        "shares",
        "inputs.1st",
        "inputs.path",
    }
    assert services.queries.project(olga, "hello").jobsets == ()


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ((SOURCE, SOURCE), "inputs.source"),
        ((replace(SOURCE, ref="a..b"),), "inputs.source.ref"),
        ((replace(SOURCE, uri="https://u:p@example.org/x"),), "inputs.source"),
        ((replace(SOURCE, type=InputType.STRING, value="x"),), "recipe_input"),
    ],
)
def test_faulty_inputs(jobsets, olga, hello, inputs, field):
    """What cannot be fetched or read is refused with its input."""
    with pytest.raises(Invalid) as refused:
        jobsets.put(olga, "hello", "main", JobsetSettings(), inputs)
    assert set(field_faults(refused)) == {field}


def test_a_jobset_keeps_its_credentials(projects, jobsets, services, store):
    """Where the address stays, whatever else is changed; another address gets none of them."""
    uri, credential = "https://example.org/private.git", Credential("ada", "pa55word")
    jobset = projects.watch(ADMIN, "hello", uri, credential=credential).jobset
    (source,) = jobset.inputs
    moved = replace(source, name="code", ref="refs/heads/next")
    more = (moved, Input("other", "https://example.org/other.git"))
    jobsets.put(ADMIN, "hello", "main", JobsetSettings(recipe_input="code"), more)
    assert store.jobsets.credential(jobset.id, uri) == (credential, False)
    assert store.jobsets.credential(jobset.id, "https://example.org/other.git") == (None, False)
    for other in ("https://example.org:8443/private.git", "https://example.com/private.git"):
        jobsets.put(ADMIN, "hello", "main", JobsetSettings(), (replace(source, uri=other),))
        assert store.jobsets.list_credentials(jobset.id) == ()


def test_a_jobset_keeps_its_leave(projects, jobsets, repository, make):
    """What an administrator registered stays readable; no other path of the machine becomes so."""
    mia = make.user("mia")
    repository.commit({"x": "1"})
    repository.push()
    jobset = projects.watch(ADMIN, "hello", str(repository.bare), local=True).jobset
    projects.set_member(ADMIN, "hello", "mia", frozenset({Right.EDIT}))
    (source,) = jobset.inputs
    kept, _ = jobsets.put(
        mia, "hello", "main", jobset.settings, (replace(source, ref="refs/heads/main"),)
    )
    assert kept.source.local
    other = replace(source, uri=str(repository.tree))
    for actor_inputs in ((other,), (source, replace(other, name="other"))):
        with pytest.raises(Invalid):
            jobsets.put(mia, "hello", "main", jobset.settings, actor_inputs)
    with pytest.raises(Invalid):
        jobsets.put(mia, "hello", "second", jobset.settings, (source,))
    assert jobsets.put(ADMIN, "hello", "second", jobset.settings, (source,))[0].source.local


def test_a_new_name_of_a_jobset(jobsets, services, olga, hello):
    """It keeps its branch; a name that is taken is refused."""
    first, _ = jobsets.put(olga, "hello", "main", JobsetSettings(), ())
    jobsets.put(olga, "hello", "next", JobsetSettings(), ())
    with pytest.raises(AlreadyExists):
        jobsets.put(olga, "hello", "main", JobsetSettings(), (), new_name="next")
    renamed, is_new = jobsets.put(olga, "hello", "main", JobsetSettings(), (), new_name="trunk")
    assert (renamed.id, renamed.name, renamed.branch, is_new) == (first.id, "trunk", "main", False)


def test_branches(projects, jobsets, services, olga):
    """A name is the branch of whoever has it first; the others are PROJECT:JOBSET. Names that
    other addresses begin with are nobody's.
    """
    branches = {}
    for project in ("one", "two"):
        projects.put_project(olga, project, settings())
        for name in ("main", "jobs", "branches"):
            made, _ = jobsets.put(olga, project, name, JobsetSettings(), (SOURCE,))
            branches[made.full_name] = made.branch
    assert {key for key, branch in branches.items() if branch} == {"one:main"}
    assert services.lists.branch(olga, "main").full_name == "one:main"
    assert services.lists.branch(olga, "two:main").full_name == "two:main"
    jobsets.remove(olga, "one", "main")
    with pytest.raises(NotFound, match="no branch main"):
        services.lists.branch(olga, "main")
    projects.put_project(olga, "three", settings())
    made, _ = jobsets.put(olga, "three", "main", JobsetSettings(), ())
    assert made.branch == "main"


def test_slugs(projects, jobsets, olga, make):
    """Unique among the jobsets of one owner: the project's name for the first, then longer. What is
    removed leaves its own free.
    """
    mia = make.user("mia", roles=("create-projects",))

    def put(actor, project, name):
        projects.put_project(actor, project, settings())
        return jobsets.put(actor, project, name, JobsetSettings(), ())[0].slug

    assert [put(olga, "hello", name) for name in ("main", "next")] == ["hello", "hello-next"]
    assert put(olga, "hello-next", "main") == "hello-next-2"
    projects.remove_project(olga, "hello")
    assert put(olga, "hello", "main") == "hello"
    projects.remove_project(olga, "hello")
    assert put(mia, "hello", "main") == "hello"


# -- removed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["project", "jobset"])
def test_removed(projects, jobsets, services, make, what):
    """It is in no list and not found, with all that it built; what ran is stopped; its names and
    its repository are free.
    """
    jobset = make.jobset("hello")
    waiting, running = make.build(jobset=jobset), make.build(B.RUNNING, jobset=jobset)
    ended = make.build(B.SUCCEEDED, jobset=jobset)
    requested = make.evaluation(jobset)
    schedule = services.schedules.add(
        ADMIN, "hello", "main", ScheduleKind.NIGHTLY, Timing(every_seconds=3600)
    )
    if what == "project":
        projects.remove_project(ADMIN, "hello")
    else:
        jobsets.remove(ADMIN, "hello", "main")
    assert statuses(make.store, waiting, running, ended) == [B.CANCELED, B.CANCELING, B.SUCCEEDED]
    assert not services.evaluations.evaluate_next()
    for ask in (
        lambda: services.queries.jobset(ADMIN, "hello", "main"),
        lambda: services.queries.build(ADMIN, ended.id),
        lambda: services.queries.evaluation(ADMIN, requested.id),
        lambda: services.lists.jobset(ADMIN, jobset.id),
        lambda: services.schedules.show(ADMIN, schedule.id),
    ):
        with pytest.raises(NotFound):
            ask()
    assert services.queries.builds(ADMIN).builds == ()
    assert services.lists.by_end(ADMIN, limit=9) == ()
    assert services.lists.jobsets(ADMIN) == ()
    assert services.schedules.list_all(ADMIN) == ()
    assert (make.claim(), services.schedules.next_due()) == (None, None)
    again = make.jobset("hello") if what == "project" else put_main(jobsets)
    assert (again.id != jobset.id, again.branch) == (True, "main")
    assert services.queries.jobset(ADMIN, "hello", "main").results == ()


def statuses(store, *builds):
    found = "SELECT status FROM builds WHERE id = ?"
    return [B(store.database.sql(found, (one.id,)).fetchone()[0]) for one in builds]


def put_main(jobsets):
    return jobsets.put(ADMIN, "hello", "main", JobsetSettings(), (SOURCE,))[0]


def test_a_worker_ends_what_was_removed(projects, make):
    """What still runs when its project goes can be told to its end."""
    build = make.build(B.RUNNING, jobset=make.jobset("hello"))
    projects.remove_project(ADMIN, "hello")
    lease = make.leases[build.id]
    assert make.reporter.renew(lease)
    make.reporter.finish(lease, BuildResult(B.CANCELED), ())
    assert statuses(make.store, build) == [B.CANCELED]


def test_pushes_to_what_was_removed(projects, services, make):
    """Its hook signs nothing any more, and its address is not watched."""
    projects.watch(ADMIN, "hello", URI)
    projects.remove_project(ADMIN, "hello")
    assert services.queries.hook_secrets("hello") == ()
    with pytest.raises(NotFound):
        services.pushes.accept_push(make.received("hello"), make_push())
    watched = projects.watch(ADMIN, "hello", URI)
    assert services.queries.hook_secrets("hello") == (watched.hook_secret,)
