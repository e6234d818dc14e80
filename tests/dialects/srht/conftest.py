"""Programs that speak to the server as builds.sr.ht's clients do."""

import io

import pytest
from falcon.testing import TestClient
from support.factories import Factory, done
from support.prepared import add_account

from ciserver.machine import native_system
from ciserver.model.account import Actor
from ciserver.model.build import BuildResult, Offer
from ciserver.model.status import BuildStatus

PASSWORD = "correct horse battery"
MANIFEST = "image: host\ntasks:\n  - build: echo built\n  - test: echo tested\n"
OFFER = Offer("local-0", (native_system(),))


class Program:
    """A client with an API token, or with none."""

    def __init__(self, app, token=""):
        headers = {"Authorization": f"token {token}"} if token else {}
        self.client = TestClient(app, headers=headers)

    def get(self, path, **rest):
        return self.client.simulate_get(path, **rest)

    def post(self, path, **rest):
        return self.client.simulate_post(path, **rest)

    def request(self, method, path, **rest):
        return self.client.simulate_request(method, path, **rest)

    def submit(self, **fields):
        """The id of a new job."""
        answer = self.post("/api/jobs", json={"manifest": MANIFEST, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json["id"]

    def join(self, *jobs, **fields):
        """A new group of these jobs."""
        answer = self.post("/api/job-group", json={"jobs": jobs, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json

    def job(self, job_id):
        answer = self.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json


class Worker:
    """Runs submitted jobs, one move at a time."""

    def __init__(self, reporter):
        self.reporter = reporter

    def start(self):
        """Take the next job and begin with its first task."""
        lease = self.reporter.claim(OFFER).lease
        self.reporter.advance(lease, done(0), 1, sandbox="plain")
        return lease

    def log(self, lease, text, step=1):
        self.reporter.append_log(lease, step, 0, text)

    def product(self, lease, path="out/a.txt", content=b"made\n"):
        self.reporter.add_product(lease, path, io.BytesIO(content))

    def finish(self, lease, status=BuildStatus.SUCCEEDED, *steps):
        self.reporter.finish(lease, BuildResult(status), steps)


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def worker(parts):
    return Worker(parts.reporter)


@pytest.fixture
def add_token(parts, services, admin):
    """A token of an account, which is made when it is first named."""

    def add(name, *scopes, expires_at=None):
        if name not in {one.name for one in services.access.list_users(admin)}:
            add_account(parts, name, PASSWORD)
        return services.access.add_token(admin, name, scopes, expires_at)[0]

    return add


@pytest.fixture
def make_program():
    return Program


@pytest.fixture
def program(parts, add_token):
    """Makes programs: of somebody, with these scopes."""

    def make(name="ada", *scopes):
        return Program(parts.app, add_token(name, *(scopes or ("jobs:write",))))

    return make


@pytest.fixture
def ada(program):
    return program("ada")


@pytest.fixture
def stranger(parts):
    """A program without a token."""
    return Program(parts.app)


@pytest.fixture
def session(parts, add_token):
    """The cookies of a browser in which somebody signed in."""

    def sign_in(name):
        add_token(name, "*")
        answer = TestClient(parts.app).simulate_post(
            "/login",
            body=f"name={name}&password={PASSWORD.replace(' ', '+')}",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 303, answer.text
        return {name: cookie.value for name, cookie in answer.cookies.items()}

    return sign_in


@pytest.fixture
def actor():
    """An account as the services know it."""
    return lambda name: Actor(name, scopes=("*",))
