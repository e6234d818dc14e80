"""Clients of self-serve: one without a name, one with a password, one with any token."""

import base64
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from falcon.testing import TestClient
from support.factories import ADMIN, Factory
from support.prepared import add_account

from ciserver.config import SelfServe, Settings
from ciserver.model.account import Visibility
from ciserver.model.push import ZERO, Push, RefChange
from ciserver.wiring import make_parts

PASSWORD = "correct horse battery"
JSON = {"Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RECIPE = "image: host\ntasks:\n  - build: echo built\n"
RECIPES = {
    ".builds/linux64.yml": RECIPE,
    ".builds/linux64-nightly.yml": RECIPE + "when: {kinds: [nightly]}\n",
    ".builds/linux64-pgo.yml": RECIPE + "when: {kinds: [pgo]}\n",
}


def basic(name, password=PASSWORD):
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


class Caller:
    """A client that wants JSON, unless its headers say otherwise."""

    def __init__(self, app, headers):
        self.client = TestClient(app)
        self.headers = headers

    def ask(self, method, path, *, headers=JSON, form=None, **rest):
        if form is not None:
            rest["body"], headers = urlencode(form), {**headers, **FORM}
        path, _, query = f"/self-serve{path}".partition("?")
        return self.client.simulate_request(
            method, path, query_string=query, headers={**self.headers, **headers}, **rest
        )

    def read(self, path):
        """What a good answer to a GET shows."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def change(self, method, path, **form):
        """The id of the job request of an accepted change."""
        answer = self.ask(method, path, form=form)
        assert answer.status_code == 202, answer.text
        assert answer.json == {"status": "OK", "msg": "Ok", "request_id": answer.json["request_id"]}
        assert type(answer.json["request_id"]) is int
        return answer.json["request_id"]

    def refusal(self, method, path, **rest):
        """Status and message of what is refused in self-serve's shape."""
        answer = self.ask(method, path, **rest)
        assert answer.headers["content-type"] == "application/json", answer.text
        assert answer.json.keys() == {"status", "msg"}
        assert answer.json["status"] == "FAILED"
        return answer.status_code, answer.json["msg"]


@pytest.fixture
def make_app(parts, clock):
    """The application over the same data, with other settings of self-serve."""
    made = []

    def make(**changes):
        other = make_parts(Settings(selfserve=SelfServe(**changes)), parts.data, clock=clock)
        made.append(other)
        return other.app

    yield make
    for one in made:
        one.store.database.close()


@pytest.fixture
def factory(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def main(factory):
    """The branch `main`, of the jobset main of project-1."""
    return factory.jobset()


@pytest.fixture
def stranger(parts):
    return Caller(parts.app, {})


@pytest.fixture
def make_caller(parts, services, clock):
    """A caller with an account, administrator or not: by a password, or by a token of these scopes
    where they are named.
    """

    def make(name, *scopes, admin=False, expires_at=None):
        if not scopes:
            add_account(parts, name, PASSWORD, admin=admin)
            return Caller(parts.app, basic(name))
        with parts.store.transaction():
            parts.store.accounts.add(
                name, email="", password_hash="", is_admin=admin, now=clock.now()
            )
        token, _ = services.access.add_token(ADMIN, name, scopes, expires_at)
        return Caller(parts.app, {"Authorization": f"Bearer {token}"})

    return make


@pytest.fixture
def ada(make_caller):
    """The administrator ada, with a token."""
    return make_caller("ada", "*", admin=True)


@pytest.fixture
def perform(services):
    """Work off every job request that waits, and every evaluation that it asks for."""

    def work():
        while services.requests.perform_next() or services.evaluations.evaluate_next():
            pass

    return work


@pytest.fixture
def set_visibility(store):
    def change(project, visibility=Visibility.PRIVATE):
        found = store.projects.get(project)
        settings = replace(found.settings, visibility=visibility)
        with store.transaction():
            store.projects.change(found.id, found.name, found.owner, settings)

    return change


@pytest.fixture
def pushed(services, repository, factory):
    """The revision of a push to a real repository, whose branch `main` has three builders; its
    build waits.
    """
    revision = repository.commit(RECIPES, "Add recipes")
    repository.push()
    services.projects.watch(ADMIN, "project", str(repository.bare), local=True)
    change = RefChange("refs/heads/main", ZERO, revision)
    services.pushes.accept_push(factory.received(), Push((change,), pusher="grace"))
    assert services.evaluations.evaluate_next()
    return revision
