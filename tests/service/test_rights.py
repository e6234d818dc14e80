"""Who may do what, and what is not there for whom: one table for every door."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from support.clock import StillClock
from support.factories import ADMIN, MAIL, NEW, Factory

from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.model.account import ANONYMOUS, ROLES, Actor, Right, Visibility
from ciserver.model.errors import AlreadyExists, CiError, Forbidden, NotFound, NotSignedIn
from ciserver.model.project import ProjectSettings
from ciserver.wiring import make_parts

PUBLIC, UNLISTED, PRIVATE = Visibility
LETTERS = dict(zip("rescbd", Right, strict=True))  # read evaluate restart cancel bump eDit
ALL_RIGHTS = "rescbd"
EVE, OLGA, RITA, WIM = (Actor(name, scopes=("*",)) for name in ("eve", "olga", "rita", "wim"))


def with_role(right):
    return Actor("eve", scopes=("*",), roles=(right,))


ACTORS = {
    "nobody": ANONYMOUS,
    "stranger": EVE,
    "owner": OLGA,
    "administrator": ADMIN,
    "reader by name": RITA,
    "writer by name": WIM,
    **{f"member: {right}": Actor(f"m-{right}", scopes=("*",)) for right in Right},
    **{f"role: {right}": with_role(right) for right in ROLES if right in set(Right)},
    "role: create-projects": with_role("create-projects"),
}
# What they may do with a build, by the project's visibility and by that of what was built: first
# what is no secret, then what is private. A dash: it is not there for them.
#                          public          unlisted        private
TABLE = {
    "nobody":               "r      -       r      -       -      -",
    "stranger":             "r      -       r      -       -      -",
    "owner":                "rescbd rescbd  rescbd rescbd  rescbd rescbd",
    "administrator":        "rescbd rescbd  rescbd rescbd  rescbd rescbd",
    "reader by name":       "r      r       r      r       r      r",
    "writer by name":       "rescb  rescb   rescb  rescb   rescb  rescb",
    "member: read":         "r      r       r      r       r      r",
    "member: evaluate":     "re     re      re     re      re     re",
    "member: restart":      "rs     rs      rs     rs      rs     rs",
    "member: cancel":       "rc     rc      rc     rc      rc     rc",
    "member: bump":         "rb     rb      rb     rb      rb     rb",
    "member: edit":         "rd     rd      rd     rd      rd     rd",
    "role: evaluate":       "re     -       re     -       -      -",
    "role: restart":        "rs     -       rs     -       -      -",
    "role: cancel":         "rc     -       rc     -       -      -",
    "role: bump":           "rb     -       rb     -       -      -",
    "role: create-projects": "r     -       r      -       -      -",
}  # fmt: skip


class World:
    """A project of each visibility, in each of them a build of each visibility."""

    def __init__(self, make):
        self.services, self.rights = make.services, make.services.rights
        make.user("olga")
        self.jobsets, self.builds = {}, {}
        for visibility in Visibility:
            jobset = make.project(visibility.value, owner="olga", visibility=visibility)
            self.jobsets[visibility] = jobset
            for right in Right:
                make.store.members.set(jobset.project_id, f"m-{right}", [right])
            for of_build in Visibility:
                build = make.submitted(jobset, of_build, by="olga", triggers=(MAIL,))
                make.store.members.share(build.evaluation_id, "rita", may_write=False)
                make.store.members.share(build.evaluation_id, "wim", may_write=True)
                self.builds[visibility, of_build] = build

    def ids(self, *cells):
        return {self.builds[cell].id for cell in cells}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """For those who only ask."""
    clock, data = StillClock(), DataDirectory(tmp_path_factory.mktemp("world") / "data")
    parts = make_parts(Settings(), data, clock=clock)
    with parts.store.transaction():
        made = World(Factory(parts, clock))
    yield made
    parts.store.database.close()


@pytest.fixture
def changing(make):
    """For those who change it."""
    with make.store.transaction():
        return World(make)


def outcome(ask, *arguments):
    try:
        ask(*arguments)
    except CiError as error:
        return type(error)
    return None


def outcomes(ask, actor, what):
    return {right: outcome(ask, actor, what, right) for right in Right}


def expected(letters, actor):
    """What each right gives whoever has these."""
    if letters == "-":
        return dict.fromkeys(Right, NotFound)
    refused = Forbidden if actor.name else NotSignedIn
    return {right: None if letter in letters else refused for letter, right in LETTERS.items()}


def test_the_table_is_whole():
    """Every actor has its line, and no actor has none."""
    assert set(TABLE) == set(ACTORS)
    assert set(ALL_RIGHTS) == set(LETTERS)


@pytest.mark.parametrize("who", ACTORS)
def test_builds(world, who):
    """What each may do with each build and with its evaluation."""
    actor, cells = ACTORS[who], TABLE[who].split()
    for of_project, of_build in product(Visibility, Visibility):
        column = 2 * list(Visibility).index(of_project) + (of_build is PRIVATE)
        build, wanted = world.builds[of_project, of_build], expected(cells[column], actor)
        assert outcomes(world.rights.build, actor, build.id) == wanted, (of_project, of_build)
        assert outcomes(world.rights.evaluation, actor, build.evaluation_id) == wanted
        told = {right: world.rights.may(actor, right, build) for right in Right}
        if wanted[Right.READ] is None:
            assert told == {right: error is None for right, error in wanted.items()}


@pytest.mark.parametrize("who", [one for one in ACTORS if "by name" not in one])
def test_projects(world, who):
    """What each may do with each project, by its name, and with its jobset, by name or number."""
    actor, cells = ACTORS[who], TABLE[who].split()
    for visibility, letters in zip(Visibility, cells[::2], strict=True):
        wanted, jobset = expected(letters, actor), world.jobsets[visibility]
        assert outcomes(world.rights.project, actor, jobset.project) == wanted
        assert outcomes(world.rights.jobset_of_id, actor, jobset.id) == wanted
        for right, error in wanted.items():
            assert outcome(world.rights.jobset, actor, jobset.project, "main", right) is error
            if error is not NotFound:
                assert world.rights.may_in(actor, right, jobset.project) is (error is None)


@pytest.mark.parametrize("who", ["reader by name", "writer by name"])
def test_what_is_shared_is_no_project(world, who):
    """Whoever was shown one build has nothing in the project itself."""
    actor = ACTORS[who]
    assert outcomes(world.rights.project, actor, "private") == dict.fromkeys(Right, NotFound)
    assert outcomes(world.rights.project, actor, "public") == expected("r", actor)


SCOPES = {
    ("*",): (ALL_RIGHTS, ALL_RIGHTS),
    ("builds:read",): ("r", "r"),
    ("jobs:read",): ("r", "r"),
    ("projects:read",): ("r", "r"),
    ("builds:write",): ("rescb", "rescb"),
    ("jobs:write",): ("rescb", "rescb"),
    ("projects:write",): ("rd", "rd"),
    ("builds:write", "projects:write"): (ALL_RIGHTS, ALL_RIGHTS),
    ("deliveries:write",): ("r", "-"),
    ("users:write",): ("r", "-"),
    (): ("r", "-"),
}


@pytest.mark.parametrize("scopes", SCOPES, ids=" ".join)
@pytest.mark.parametrize("who", [OLGA, ADMIN], ids=["owner", "administrator"])
def test_scopes(world, scopes, who):
    """A token narrows what its owner may do; without one to read, only what is public is there."""
    actor = replace(who, scopes=scopes)
    for visibility, letters in zip((PUBLIC, PRIVATE), SCOPES[scopes], strict=True):
        wanted, build = expected(letters, actor), world.builds[visibility, visibility]
        assert outcomes(world.rights.project, actor, visibility.value) == wanted
        assert outcomes(world.rights.build, actor, build.id) == wanted


@pytest.mark.parametrize("actor", [replace(one, scopes=("users:write",)) for one in (RITA, WIM)])
def test_what_is_shared_needs_the_scope(world, actor):
    """A token that may not read builds does not see what was shared with its owner."""
    assert outcome(world.rights.build, actor, world.builds[PRIVATE, PRIVATE].id) is NotFound


def test_the_missing_scope_is_named(world):
    """So that somebody can make a token that has it."""
    actor, build = replace(OLGA, scopes=("builds:read",)), world.builds[PUBLIC, PUBLIC]
    with pytest.raises(Forbidden, match="lacks the scope builds:write"):
        world.rights.build(actor, build.id, Right.CANCEL)
    with pytest.raises(Forbidden, match="lacks the scope projects:write"):
        world.rights.project(actor, "public", Right.EDIT)


def test_several_rights(changing, make):
    """A member has exactly what was given, and it ends when it is taken back."""
    actor, jobset = Actor("mia", scopes=("*",)), changing.jobsets[PRIVATE]
    make.store.members.set(jobset.project_id, "mia", [Right.EVALUATE, Right.BUMP])
    assert outcomes(changing.rights.project, actor, "private") == expected("reb", actor)
    make.store.members.set(jobset.project_id, "mia", [])
    assert outcomes(changing.rights.project, actor, "private") == expected("-", actor)


def test_a_role_adds_to_what_a_member_has(changing, make):
    """Also in a private project that the member sees."""
    actor = Actor("mia", scopes=("*",), roles=(Right.CANCEL,))
    make.store.members.set(changing.jobsets[PRIVATE].project_id, "mia", [Right.READ])
    assert outcomes(changing.rights.project, actor, "private") == expected("rc", actor)


# -- nobody learns of what they may not see -------------------------------------------------------


def said(ask, *arguments):
    with pytest.raises(NotFound) as refused:
        ask(*arguments)
    return refused.value.message, refused.value.hint, refused.value.details


@pytest.mark.parametrize("actor", [ANONYMOUS, EVE, with_role(Right.CANCEL)])
def test_hidden_and_missing_are_told_alike(changing, actor):
    """Neither words nor hints tell what is hidden from what is not there, whatever is asked."""
    hidden, jobset = changing.builds[PRIVATE, PRIVATE], changing.jobsets[PRIVATE]
    lists, queries, rights = changing.services.lists, changing.services.queries, changing.rights
    asks = [
        (rights.project, "private"),
        (rights.build, hidden.id),
        (rights.evaluation, hidden.evaluation_id),
        (rights.jobset_of_id, jobset.id),
        (lists.jobset, jobset.id),
        (lists.project, jobset.project_id),
        (lists.group, hidden.group_id),
        (lists.branch, "main"),
        (queries.project, "private"),
        (queries.build, hidden.id),
        (queries.evaluation, hidden.evaluation_id),
        (queries.recipe, hidden.id),
    ]
    make_private(changing, "public")
    for ask, what in asks:
        missing = "nothing" if isinstance(what, str) else 999
        message, hint, details = said(ask, actor, missing)
        assert said(ask, actor, what) == (message.replace(str(missing), str(what)), hint, details)


def make_private(world, name):
    settings = ProjectSettings(visibility=PRIVATE)
    world.services.projects.put_project(ADMIN, name, settings)


def test_watching_a_hidden_project(changing, make):
    """Whoever may make projects does not learn what a hidden one watches."""
    projects = changing.services.projects
    projects.watch(ADMIN, "secret", "https://example.org/secret", owner="olga")
    make_private(changing, "secret")
    mara = make.user("mara", roles=("create-projects",))
    for name in ("secret", "another"):
        with pytest.raises(AlreadyExists, match="there is already a project secret"):
            projects.watch(mara, "secret", f"https://example.org/{name}")


# -- lists ----------------------------------------------------------------------------------------

OUTSIDE, INSIDE = (
    ("nobody", "stranger", "role: evaluate"),
    ("owner", "administrator", "member: read"),
)
EVERYWHERE = tuple(product(Visibility, Visibility))
LISTED = dict.fromkeys(OUTSIDE, ((PUBLIC, PUBLIC),)) | dict.fromkeys(
    (*INSIDE, "member: bump", "reader by name"), EVERYWHERE
)
LISTS = {
    "builds": lambda services, actor: services.queries.builds(actor).builds,
    "waiting": lambda services, actor: services.queries.queue(actor).waiting.builds,
    "by update": lambda services, actor: services.lists.by_update(actor, page=1, size=50),
    "by group": lambda services, actor: services.lists.by_group(actor, limit=50, offset=0),
}


@pytest.mark.parametrize("who", LISTED)
@pytest.mark.parametrize("name", LISTS)
def test_lists(world, name, who):
    """Lists of the whole server have what is public, what is of one's projects, and shared."""
    found = [one.id for one in LISTS[name](world.services, ACTORS[who])]
    assert len(found) == len(set(found))
    assert set(found) == world.ids(*LISTED[who])


@pytest.mark.parametrize("who", LISTED)
def test_lists_of_what_ended(changing, who):
    """So have those of builds that ended, and no list has a build that was deleted."""
    for build in changing.builds.values():
        changing.services.builds.cancel(ADMIN, build.id)
    actor = ACTORS[who]
    found = changing.services.lists.by_end(actor, limit=50)
    assert {one.id for one in found} == changing.ids(*LISTED[who])
    gone = changing.builds[PUBLIC, PUBLIC].id
    changing.services.builds.delete(ADMIN, gone)
    for ask in (*LISTS.values(), lambda services, actor: services.lists.by_end(actor, limit=50)):
        assert gone not in {one.id for one in ask(changing.services, actor)}


# Of one jobset, where its address is known: what is listed of it.
JOBSETS = {
    **{who: {PUBLIC: [PUBLIC], UNLISTED: [PUBLIC]} for who in OUTSIDE},
    **{who: {one: list(Visibility) for one in Visibility} for who in INSIDE},
}
OF_JOBSET = {
    "builds": lambda services, actor, jobset: (
        services.queries.builds(actor, project=jobset.project, jobset=jobset.name).builds
    ),
    "of a revision": lambda services, actor, jobset: services.lists.of_revision(
        actor, jobset, NEW[:5]
    ),
    "of days": lambda services, actor, jobset: services.lists.of_days(
        actor, jobset, services.clock.now(), services.clock.now() + timedelta(days=1)
    ),
    "of a requester": lambda services, actor, jobset: services.lists.of_requester(
        actor, jobset, "olga", limit=50
    ),
    "by update": lambda services, actor, jobset: services.lists.by_update(
        actor, page=1, size=50, jobset=jobset
    ),
    "by group": lambda services, actor, jobset: services.lists.by_group(
        actor, limit=50, offset=0, jobsets=[jobset]
    ),
}


@pytest.mark.parametrize("who", JOBSETS)
@pytest.mark.parametrize("name", OF_JOBSET)
def test_lists_of_a_jobset(world, name, who):
    """An unlisted project shows what is public in it to whoever knows its address."""
    for visibility, jobset in world.jobsets.items():
        wanted = world.ids(*((visibility, one) for one in JOBSETS[who].get(visibility, ())))
        try:
            found = {one.id for one in OF_JOBSET[name](world.services, ACTORS[who], jobset)}
        except NotFound:
            found = set()
            assert visibility is PRIVATE
        assert found == wanted, visibility


@pytest.mark.parametrize("who", JOBSETS)
def test_evaluations(world, who):
    """The evaluations of a jobset, on its page and by page number, are those one may see."""
    actor, services = ACTORS[who], world.services
    for visibility, seen in JOBSETS[who].items():
        wanted = {world.builds[visibility, one].evaluation_id for one in seen}
        name = world.jobsets[visibility].project
        page = services.queries.jobset(actor, name, "main")
        assert {one.id for one in page.evaluations.evaluations} == wanted
        numbered = services.lists.evaluations(actor, name, "main", page=1, size=20, built=True)
        assert {one.id for one in numbered.evaluations} == wanted


@pytest.mark.parametrize("who", JOBSETS)
def test_the_newest_evaluation_of_a_project(world, who):
    """A project shows the newest evaluation that one may see, not a private one after it."""
    actor = ACTORS[who]
    for visibility, seen in JOBSETS[who].items():
        newest = world.builds[visibility, seen[-1]].evaluation_id
        summary = world.services.queries.project(actor, visibility.value)
        assert summary.jobsets[0].latest.id == newest
    overview = {
        one.project.name: one.jobsets[0].latest.id
        for one in world.services.queries.list_projects(actor)
    }
    newest = JOBSETS[who][PUBLIC][-1]
    assert overview["public"] == world.builds[PUBLIC, newest].evaluation_id


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("nobody", {PUBLIC}),
        ("stranger", {PUBLIC}),
        ("role: evaluate", {PUBLIC}),
        ("reader by name", {PUBLIC}),
        ("member: read", set(Visibility)),
        ("owner", set(Visibility)),
        ("administrator", set(Visibility)),
    ],
)
def test_projects_and_jobsets_listed(world, who, seen):
    """Only what is public is listed to those who have nothing to do with it."""
    actor, services = ACTORS[who], world.services
    names = {one.value for one in seen}
    assert {one.project.name for one in services.queries.list_projects(actor)} == names
    assert {one.project for one in services.lists.jobsets(actor)} == names
    assert {one.project for one in services.lists.jobsets_of_owner(actor, "olga")} == names


@pytest.mark.parametrize("who", ACTORS)
def test_deliveries(changing, who):
    """Whom a build tells is shown to those with a right in its project, and to nobody else."""
    build = changing.builds[PUBLIC, PUBLIC]
    changing.services.builds.cancel(ADMIN, build.id)
    actor = ACTORS[who]
    is_member = len(TABLE[who].split()[0]) > 1 and who != "writer by name"
    view = changing.services.queries.build(actor, build.id)
    assert bool(view.deliveries) is is_member
    error = None if is_member else Forbidden if actor.name else NotSignedIn
    delivery = changing.services.queries.build(ADMIN, build.id).deliveries[0]
    assert outcome(changing.services.queries.delivery, actor, delivery.id) is error
    if not actor.name:
        assert outcome(changing.services.queries.deliveries, actor) is NotSignedIn
        return
    listed = {one.id for one in changing.services.queries.deliveries(actor)}
    mine = {"owner", "administrator", *(one for one in ACTORS if one.startswith("member"))}
    assert listed == ({delivery.id} if who in mine else set())


REQUESTS = {
    **{who: {PUBLIC} for who in (*OUTSIDE, "reader by name")},
    **{who: set(Visibility) for who in INSIDE},
}


@pytest.mark.parametrize("who", REQUESTS)
def test_job_requests(changing, who):
    """What was asked of a project is there for whoever sees the project in a list, and for who
    asked.
    """
    actor, requests = ACTORS[who], changing.services.requests
    asked = {
        visibility: requests.ask_cancel(ADMIN, changing.builds[visibility, PUBLIC].id)
        for visibility in Visibility
    }
    found = {one.id for one in requests.list_newest(actor, limit=100)} & set(asked.values())
    assert found == {asked[one] for one in REQUESTS[who]}
    for visibility, request_id in asked.items():
        error = None if visibility in REQUESTS[who] else NotFound
        assert outcome(requests.get, actor, request_id) is error


def test_requests_about_private_builds(changing):
    """Though the project is public, a request about a private build is not everybody's."""
    secret = changing.builds[PUBLIC, PRIVATE].id
    asked = changing.services.requests.ask_cancel(OLGA, secret)
    assert outcome(changing.services.requests.get, OLGA, asked) is None
    assert outcome(changing.services.requests.get, ADMIN, asked) is None
    assert outcome(changing.services.requests.get, EVE, asked) is NotFound
