"""A browser and scripts in front of one application, and builds in any state behind it."""

import io
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlencode

import falcon.testing
import pytest
from support.prepared import add_account
from support.repositories import Repository
from support.waiting import until

from ciserver.machine import native_system
from ciserver.model.build import BuildResult, Lease, Offer, StepResult
from ciserver.model.push import ZERO, Push, Received, RefChange
from ciserver.model.status import BuildStatus, StepStatus
from ciserver.service.services import Services
from ciserver.wiring import Parts

PASSWORD = "correct horse battery"
TWO_TASKS = "image: host\ntasks:\n  - build: echo built\n  - test: echo tested\n"
NOTHING_DONE = StepResult(0, StepStatus.SUCCEEDED, 0)


class Page(HTMLParser):
    """What a test asks of a page: its tags with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def csrf(self):
        return next(one["value"] for one in self.all("input") if one.get("name") == "csrf")


class Browser:
    """A person's browser: keeps cookies, posts forms, asks for pages."""

    def __init__(self, app) -> None:
        self.client = falcon.testing.TestClient(app, headers={"Accept": "text/html"})
        self.cookies: dict[str, str] = {}

    def get(self, path, **rest):
        return self._keep(self.client.simulate_get(path, cookies=self.cookies, **rest))

    def page(self, path):
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return self.parse(answer.text)

    @staticmethod
    def parse(html):
        return Page(html)

    def post(self, path, /, headers=None, **fields):
        answer = self.client.simulate_post(
            path,
            body=urlencode(fields),
            headers={"Content-Type": "application/x-www-form-urlencoded", **(headers or {})},
            cookies=self.cookies,
        )
        return self._keep(answer)

    def sign_in(self, name, password=PASSWORD):
        answer = self.post("/login", name=name, password=password)
        assert answer.status_code == 303, answer.text
        return self

    def _keep(self, answer):
        for name, cookie in answer.cookies.items():
            if cookie.value:
                self.cookies[name] = cookie.value
            else:
                self.cookies.pop(name, None)
        return answer


class Script:
    """A program with an API token, or with none."""

    def __init__(self, app, token="") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = falcon.testing.TestClient(app, headers=headers)

    def get(self, path, **rest):
        return self.client.simulate_get(path, **rest)

    def post(self, path, json=None, **rest):
        if json is not None:
            rest["json"] = json
        return self.client.simulate_post(path, **rest)

    def request(self, method, path, **rest):
        return self.client.simulate_request(method, path, **rest)


@dataclass
class Works:
    """Brings builds about as pushes and a worker do, one move at a time."""

    parts: Parts
    services: Services
    repository: Repository
    admin: object
    _count: int = 0

    def build(self, recipe=TWO_TASKS, project="project") -> int:
        """Push this recipe with something new; answers the id of the queued build."""
        self._count += 1
        files = {".build.yml": recipe, "count.txt": f"{self._count}\n"}
        evaluation_id = self.evaluation(files, project=project)
        (build,) = self.services.queries.evaluation(self.admin, evaluation_id).builds
        return build.id

    def evaluation(self, files, project="project", message="Teach it to count") -> int:
        """Push these files and evaluate; answers the id of the evaluation."""
        new = self.repository.commit(files, message)
        self.repository.push()
        self.services.projects.watch(self.admin, project, str(self.repository.bare), local=True)
        return self.evaluate(new, project)

    def evaluate(self, revision, project="project") -> int:
        change = RefChange("refs/heads/main", ZERO, revision)
        now = self.services.clock.now()
        received = Received(project, "generic", f"msg_{revision}", revision, now)
        outcome = self.services.pushes.accept_push(received, Push((change,), pusher="ada"))
        assert self.services.evaluations.evaluate_next()
        return outcome.evaluations[0].id

    def running(self, **recipe) -> Lease:
        """A build whose first task, step 1, runs."""
        self.build(**recipe)
        return self.claim()

    def claim(self) -> Lease:
        """As a worker does: take the next build and begin with its first task."""
        work = self.parts.reporter.claim(Offer("local", (native_system(),)))
        self.parts.reporter.advance(work.lease, NOTHING_DONE, 1, sandbox="plain")
        return work.lease

    def log(self, lease, text: bytes, offset=0, step=1) -> None:
        self.parts.reporter.append_log(lease, step, offset, text)

    def product(self, lease, path="out/a.txt", content=b"made\n") -> None:
        self.parts.reporter.add_product(lease, path, io.BytesIO(content))

    def finish(self, lease, status=BuildStatus.SUCCEEDED) -> None:
        good = status is BuildStatus.SUCCEEDED
        steps = (StepResult(1, StepStatus.SUCCEEDED if good else StepStatus.FAILED, int(not good)),)
        self.parts.reporter.finish(lease, BuildResult(status), steps)

    def finished(self, **recipe) -> Lease:
        """A build that succeeded, with a log and a product."""
        lease = self.running(**recipe)
        self.log(lease, b"built\n")
        self.product(lease)
        self.finish(lease)
        return lease


@pytest.fixture
def works(parts, services, repository, admin):
    return Works(parts, services, repository, admin)


@pytest.fixture
def make_token(parts, services, admin):
    """An API token of a new user, who may be an administrator."""

    def make(*scopes, admin_user=False):
        name = f"user{len(services.access.list_users(admin))}"
        add_account(parts, name, PASSWORD, admin=admin_user)
        return services.access.add_token(admin, name, scopes, None)[0]

    return make


@pytest.fixture
def script(parts, make_token):
    """A program that may do everything."""
    return Script(parts.app, make_token("*", admin_user=True))


@pytest.fixture
def stranger(parts):
    """A program without a token."""
    return Script(parts.app)


@pytest.fixture
def make_script(parts, make_token):
    return lambda *scopes, **user: Script(parts.app, make_token(*scopes, **user))


@pytest.fixture
def acting(parts, services, admin):
    """A program with a token of an account that is there."""
    return lambda name, *scopes: Script(
        parts.app, services.access.add_token(admin, name, scopes or ("*",), None)[0]
    )


@pytest.fixture
def until_followed(services):
    """Wait until this many readers wait for a log."""
    waiting = services.logs._waiting

    def wait(count):
        until(lambda: sum(map(len, list(waiting.values()))) == count, what=f"{count} followers")

    return wait


@pytest.fixture
def make_browser():
    return Browser


@pytest.fixture
def browser(parts):
    """A person's browser, not signed in."""
    return Browser(parts.app)


@pytest.fixture
def person(parts):
    """The browser of the administrator ada, signed in."""
    add_account(parts, "ada", PASSWORD, admin=True)
    return Browser(parts.app).sign_in("ada")
