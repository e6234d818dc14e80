"""Every route of the application, with who may use it: the table of support/routes.py, whole."""

import gzip
import io
from dataclasses import dataclass, replace
from string import Template

import falcon.inspect
import pytest
from support.dialect_routes import DIALECT_ROWS
from support.factories import ADMIN, MAIL, Factory, done, make_job
from support.prepared import hashed
from support.routes import NOTHING
from support.routes import ROWS as OWN_ROWS

from ciserver.machine import native_system
from ciserver.model.account import CREATE_PROJECTS, Actor, Right, Visibility
from ciserver.model.build import BuildResult, ProductKind
from ciserver.model.project import ProjectSettings
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import BuildStatus
from ciserver.recipe.text import job_to_json
from ciserver.service.secrets import GivenSecret
from ciserver.store.arrivals import Texts

ROWS = (*OWN_ROWS, *DIALECT_ROWS)
PASSWORD = "correct horse battery"
NAME = "rose-garden"
EVERYTHING = ("*",)
GIVEN_SECRET = GivenSecret("plaintext_file", b"hunter22", path="~/.netrc")
EMPTY_ZIP = b"PK\5\6" + bytes(18)


@dataclass(frozen=True)
class Caller:
    """Who asks: an account with this standing in the project, with a token of these scopes."""

    name: str = "caller"
    scopes: tuple[str, ...] = EVERYTHING
    rights: frozenset[Right] = frozenset()
    roles: tuple[str, ...] = ()
    owns: bool = False
    is_admin: bool = False

    def has_scope(self, scope):
        write = scope.replace(":read", ":write")
        return bool({"*", scope, write} & set(self.scopes))

    @property
    def sees_private(self):
        """Only what a token may read is seen with it."""
        may_read = self.has_scope("builds:read") or self.has_scope("projects:read")
        return may_read and (self.owns or self.is_admin or bool(self.rights))

    def may(self, right, *, is_private):
        if self.owns or self.is_admin or right in self.rights:
            return True
        return right in self.roles and (not is_private or self.sees_private)


ANONYMOUS = Caller(name="", scopes=())
CALLERS = {
    "anonymous": ANONYMOUS,
    "stranger": Caller(),
    **{f"may {one}": Caller(rights=frozenset({one})) for one in Right},
    "owner": Caller(owns=True),
    "administrator": Caller(is_admin=True),
    "project maker": Caller(roles=(CREATE_PROJECTS,)),
    "restarts everywhere": Caller(roles=("restart",)),
    **{
        f"owner with {scope}": Caller(owns=True, scopes=(scope,))
        for scope in ("builds:read", "builds:write", "projects:write", "deliveries:write")
    },
    **{
        f"administrator with {scope}": Caller(is_admin=True, scopes=(scope,))
        for scope in ("builds:write", "users:write")
    },
}


class Things:
    """A project of one visibility with everything in it, each thing made when it is named."""

    def __init__(self, parts, clock, caller, visibility):
        self._parts, self._services = parts, parts.services
        self._factory = Factory(parts, clock)
        self._caller, self._visibility = caller, visibility
        self._count = 0
        for name in ("somebody", "owner", "user"):
            self._factory.user(name)
        self._set_password("user")
        if caller.name:
            self._factory.user(caller.name, roles=caller.roles, admin=caller.is_admin)
        self._jobset = self._make_project(NAME)
        self._parts.services.projects.put_project(ADMIN, "public", ProjectSettings())
        self.fixed = {"project": NAME, "user": "user", **self._built()}

    def _set_password(self, name):
        accounts = self._parts.store.accounts
        with self._parts.store.transaction():
            accounts.set_password(accounts.get(name).id, hashed(PASSWORD))

    def _make_project(self, name):
        projects, caller = self._services.projects, self._caller
        owner = caller.name if caller.owns else "owner"
        uri = f"https://git.example.org/{name}.git"
        jobset = projects.watch(ADMIN, name, uri, owner=owner).jobset
        settings = ProjectSettings(visibility=self._visibility)
        projects.put_project(ADMIN, name, settings)
        projects.set_member(ADMIN, name, "somebody", frozenset({Right.CANCEL}))
        if caller.rights:
            projects.set_member(ADMIN, name, caller.name, caller.rights)
        return jobset

    def _built(self):
        """A build that succeeded, with a log, a product and a delivery."""
        running = self._factory.build(BuildStatus.RUNNING, jobset=self._jobset, triggers=(MAIL,))
        lease, reporter = self._factory.leases[running.id], self._parts.reporter
        reporter.append_log(lease, 1, 0, b"made of roses\n")
        reporter.add_product(lease, "out/a.txt", io.BytesIO(b"roses\n"))
        kind = ProductKind("doc", "manual")
        reporter.add_product(lease, "out/a.zip", io.BytesIO(EMPTY_ZIP), kind=kind)
        reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), (done(1),))
        view = self._services.queries.build(ADMIN, running.id)
        request = self._services.requests.list_newest(ADMIN, limit=500)[-1]
        return {
            "built": running.id,
            "evaluation": running.evaluation_id,
            "product": view.products[0].id,
            "delivery": view.deliveries[0].id,
            "request": request.id,
            "jobset": self._jobset.id,
            "number": self._jobset.project_id,
            "revision": running.revision,
            "system": native_system(),
        }

    def __getitem__(self, name):
        return self.fixed[name] if name in self.fixed else getattr(self, f"_new_{name}")()

    def _new_fresh(self):
        self._count += 1
        return f"fresh-{self._count}"

    def _new_spare(self):
        name = self._new_fresh()
        self._make_project(name)
        return name

    def _new_spare_jobset(self):
        return self._make_project(self._new_fresh()).id

    def _new_spare_system(self):
        return self._services.systems.add(ADMIN, f"spare-{self._new_fresh()}").name

    def _new_spare_worker(self):
        name = f"spare-{self._new_fresh()}"
        self._services.workers.add(ADMIN, name, ("riscv64-linux/trusted",))
        return name

    def _new_webhook_key(self):
        return self._services.webhook_keys.add(ADMIN).id

    def _new_queued(self):
        return self._factory.build(jobset=self._jobset).id

    def _new_finished(self):
        return self._factory.build(BuildStatus.FAILED, jobset=self._jobset).id

    def _new_held(self):
        return self._add_held(None)

    def _add_held(self, recipe):
        store = self._parts.store
        evaluation = self._factory.evaluated(self._jobset)
        job = make_job()
        with store.transaction():
            texts = Texts(store.queue.add_text(job_to_json(job)), recipe)
            store.evaluations.count_builds(evaluation.id, total=1)
            return store.queue.add(evaluation, job, texts, evaluation.requested_at, held=True)

    def _new_schedule(self):
        timing = Timing(cron="0 3 * * *")
        made = self._services.schedules.add(ADMIN, NAME, "main", ScheduleKind.NIGHTLY, timing)
        return made.id

    def _new_submitted(self):
        """Of the project, with the text that it came with."""
        return self._add_held(self._parts.store.queue.add_text("image: host\n"))

    def _new_asked(self):
        """A request that is performed later."""
        return self._services.requests.ask_cancel(ADMIN, self["queued"])

    def _new_own_secret(self):
        owner = Actor(self._caller.name or "user", scopes=EVERYTHING)
        return self._services.secrets.add_own(owner, GIVEN_SECRET).uuid

    def _new_user_secret(self):
        return self._services.secrets.add_own(ADMIN, GIVEN_SECRET, "user").uuid

    def _new_project_secret(self):
        return self._services.secrets.add_to_project(ADMIN, NAME, GIVEN_SECRET).uuid

    def _new_link(self):
        return self._services.access.make_sign_in_link("user")


def routes_of(app):
    return {
        (method.method, route.path)
        for route in falcon.inspect.inspect_routes(app)
        for method in route.methods
        if not method.internal
    }


@pytest.fixture
def make_things(parts, clock):
    return lambda caller, visibility: Things(parts, clock, caller, visibility)


@pytest.fixture
def client_of(parts):
    """What the caller asks with."""

    def make(caller):
        if not caller.name:
            return falcon.testing.TestClient(parts.app)
        token, _ = parts.services.access.add_token(ADMIN, caller.name, caller.scopes, None)
        headers = {"Authorization": f"Bearer {token}"}
        return falcon.testing.TestClient(parts.app, headers=headers)

    return make


def ask(client, row, things):
    path, body = (Template(text).substitute(things) for text in (row.path, row.body))
    path, _, query = path.partition("?")
    headers = {"Content-Type": row.content_type} if row.content_type else {}
    return client.simulate_request(row.method, path, query_string=query, body=body, headers=headers)


def text_of(answer):
    packed = answer.headers.get("content-type") == "application/gzip"
    return gzip.decompress(answer.content).decode() if packed else answer.text


def expected(row, caller, *, is_there, is_private):
    """The answers that the table promises."""
    promised = core_answers(row.need, caller, is_there=is_there, is_private=is_private)
    return {row.words.get(one, one) for one in promised} if promised else set(row.success)


def core_answers(need, caller, *, is_there, is_private):
    """The statuses of a refusal; none where it succeeds."""
    refused = {401} if not caller.name else {403}
    has_scope = not need.scope or (bool(caller.name) and caller.has_scope(need.scope))
    if need.is_signature:
        return {403}
    if need.is_account:
        return set() if caller.name else refused
    if not is_there and (has_scope or not need.after):
        return set(need.unseen)
    if not has_scope:
        return refused
    return set() if has_standing(need, caller, is_private=is_private) else {need.lacking}


def has_standing(need, caller, *, is_private):
    if need.is_admin:
        return caller.is_admin
    if need.role:
        return caller.is_admin or need.role in caller.roles
    if need.is_member:
        beyond_reading = set(Right) - {Right.READ}
        return any(caller.may(one, is_private=is_private) for one in beyond_reading)
    return not need.right or caller.may(need.right, is_private=is_private)


def test_every_route_is_in_the_table(parts):
    """A new route cannot be added without saying here who may use it."""
    assert routes_of(parts.app) == {row.key for row in ROWS}


def test_no_route_is_in_the_table_twice():
    """Two rows could say different things."""
    keys = [row.key for row in ROWS]
    assert [one for one in keys if keys.count(one) > 1] == []


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
def test_each_route_lets_in_whom_it_should(caller, make_things, client_of):
    """Whoever may gets what they ask for, and whoever may not is refused."""
    things, client = make_things(caller, Visibility.PUBLIC), client_of(caller)
    wrong = {}
    for row in ROWS:
        promised = expected(row, caller, is_there=True, is_private=False)
        answer = ask(client, row, things)
        if answer.status_code not in promised:
            wrong[row.key] = (answer.status_code, promised, answer.text[:200])
    assert wrong == {}


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
def test_what_is_private_is_not_there_for_whom_may_not_see_it(caller, make_things, client_of):
    """Not its page, API, logs, products, schedules, evaluations, deliveries and requests."""
    things, client = make_things(caller, Visibility.PRIVATE), client_of(caller)
    wrong = {}
    for row in ROWS:
        if not row.is_inside:
            continue
        is_there = caller.sees_private
        promised = expected(row, caller, is_there=is_there, is_private=True)
        answer = ask(client, row, things)
        if answer.status_code not in promised:
            wrong[row.key] = (answer.status_code, promised, answer.text[:200])
    assert wrong == {}


@pytest.mark.parametrize("caller", ["anonymous", "stranger"])
def test_what_is_unlisted_is_there_for_who_knows_the_address(caller, make_things, client_of):
    """It is left out of lists, and no secret; who asked for what with it is one."""
    things, client = make_things(CALLERS[caller], Visibility.UNLISTED), client_of(CALLERS[caller])
    rows = [row for row in ROWS if row.is_inside and row.need == NOTHING]
    found = {200, 301, 302}
    missing = {row.path for row in rows if ask(client, row, things).status_code not in found}
    assert missing == {"/ci/v1/requests/$request", "/self-serve/jobs/$asked"}


LISTS = [row for row in ROWS if row.method == "GET" and not row.is_inside and row.need == NOTHING]


@pytest.mark.parametrize("visibility", [Visibility.UNLISTED, Visibility.PRIVATE])
@pytest.mark.parametrize("caller", ["anonymous", "stranger", "restarts everywhere"])
def test_what_is_not_public_is_in_no_list(caller, visibility, make_things, client_of):
    """No list tells its name to those who have nothing to do with it."""
    things, client = fill(make_things(CALLERS[caller], visibility)), client_of(CALLERS[caller])
    told = {row.key for row in LISTS if NAME in text_of(ask(client, row, things))}
    assert told == set()


def test_lists_tell_members_of_what_is_private(make_things, client_of):
    """So what is absent for strangers is really there."""
    caller = CALLERS["may read"]
    things, client = fill(make_things(caller, Visibility.PRIVATE)), client_of(caller)
    told = {row.path for row in LISTS if NAME in text_of(ask(client, row, things))}
    others = {"/api/latestbuilds?nr=100", "/api_2/projects"}
    others |= {"/self-serve", "/self-serve/branches", "/pending", "/~ada"}
    others |= {f"/api/v1/{one}" for one in ("platforms.json", "search.json?query=rose")}
    others |= {"/api/v1/platforms/platforms_for_build.json"}
    others |= {"/api/queue?nr=100", "/queue-summary", "/steps", "/search?query=rose"}
    assert told == {"/", "/all", "/evals", "/queue", "/requests"} | others | {
        f"/ci/v1/{one}" for one in ("projects", "builds", "queue", "schedules", "requests")
    }


def fill(things):
    """Something for every list."""
    for name in ("queued", "held", "finished", "schedule"):
        things[name]
    return things


def test_a_private_build_of_a_public_project_is_there_for_few(parts, clock, make_things, client_of):
    """Its page, log and evaluation are 404, and lists leave it out, but for whom it is shared
    with by name, and for members.
    """
    stranger, friend = CALLERS["stranger"], replace(CALLERS["stranger"], name="friend")
    make_things(stranger, Visibility.PUBLIC)
    factory = Factory(parts, clock)
    factory.user(friend.name)
    jobset = parts.store.jobsets.get_by_name(NAME, "main")
    build = factory.submitted(jobset, Visibility.PRIVATE, by="owner", name="secret-roses")
    with parts.store.transaction():
        parts.store.members.share(build.evaluation_id, friend.name, may_write=False)
    places = (f"/build/{build.id}", f"/ci/v1/builds/{build.id}", f"/eval/{build.evaluation_id}")
    lists = ("/queue", "/ci/v1/builds", "/ci/v1/queue", f"/jobset/{NAME}/main")
    for caller, is_there in ((ANONYMOUS, False), (stranger, False), (friend, True)):
        client = client_of(caller)
        statuses = {path: client.simulate_get(path).status_code for path in places}
        assert statuses == dict.fromkeys(places, 200 if is_there else 404), caller
        told = {path: "secret-roses" in client.simulate_get(path).text for path in lists}
        assert told == dict.fromkeys(lists, is_there), caller


def test_the_address_alone_says_what_is_changed(make_things, client_of):
    """No query or field names another project than the one whose rights were checked."""
    caller = CALLERS["owner"]
    make_things(caller, Visibility.PRIVATE)
    stranger = CALLERS["stranger"]
    client = client_of(replace(stranger, name="user"))
    foreign = f"/ci/v1/projects/{NAME}"
    for query in ("", "?name=public", "?project=public&owner=user"):
        answer = client.simulate_patch(foreign + query, json={"hidden": True})
        assert answer.status_code == 404, query
        assert client.simulate_delete(foreign + query).status_code == 404
    for extra in ("name", "project", "id"):
        own = client_of(caller).simulate_patch(foreign, json={"hidden": True, extra: "public"})
        assert own.status_code == 400, extra
